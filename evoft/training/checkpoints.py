"""Checkpoints: the part of a model that was trained, as one safetensors file."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from evoft.errors import PopulationDamagedError, StorageError
from evoft.training.freezing import trained_names


def trained_state(model: nn.Module) -> dict[str, Tensor]:
    """Return a copy of what fine-tuning may have changed, by name, on the CPU."""
    names = trained_names(model)
    return {
        name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, tensor in model.state_dict().items()
        if name in names
    }


def save(state: Mapping[str, Tensor], path: Path, recipe: Mapping[str, Any], seed: int) -> None:
    """Write a checkpoint so that there is always a whole file or none.

    Args:
        state: What was trained, by name.
        path: Where to.
        recipe: How it was trained.
        seed: Of the trial; a frozen layer that started from random weights has them from it.

    Raises:
        StorageError: The disk did not take it.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    metadata = {"recipe": json.dumps(dict(recipe)), "seed": str(seed)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(dict(state), unfinished, metadata=metadata)
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except (OSError, SafetensorError) as error:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise StorageError(
            f"the checkpoint {path} cannot be written ({error}): free some space or make the "
            "folder writable; --max-disk bounds what checkpoints take"
        ) from error


def seed_of(path: Path) -> int:
    """Return the seed of the trial that a checkpoint is from.

    Raises:
        PopulationDamagedError: The file is damaged, or no checkpoint of evoft's.
    """
    return int(_about(path)["seed"])


def recipe_of(path: Path) -> dict[str, Any]:
    """Return the fields of the recipe that a checkpoint was trained by.

    Raises:
        PopulationDamagedError: The file is damaged, or no checkpoint of evoft's.
    """
    return dict(_about(path)["recipe"])


def _about(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            return {"seed": int(about["seed"]), "recipe": json.loads(about["recipe"])}
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise _unreadable(path, error) from error


def load(model: nn.Module, path: Path) -> None:
    """Load a checkpoint into a model that is built and frozen as it was in training.

    Raises:
        PopulationDamagedError: The file is damaged, or another model's.
    """
    try:
        with safe_open(path, framework="pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, error) from error
    here = model.state_dict()
    fits = set(state) == trained_names(model)
    if not fits or any(tensor.shape != here[name].shape for name, tensor in state.items()):
        raise PopulationDamagedError(f"the checkpoint {path} belongs to another model or recipe")
    model.load_state_dict(state, strict=False)


def _unreadable(path: Path, error: Exception) -> PopulationDamagedError:
    return PopulationDamagedError(
        f"the checkpoint {path} cannot be read ({error}): remove it, and its model is trained "
        "again when it is asked for"
    )
