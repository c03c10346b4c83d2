"""Export: a folder that plain timm loads, and that says where the model came from."""

from __future__ import annotations

import copy
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from timm.models import save_for_hf
from torch import nn

from evoft.errors import StorageError
from evoft.training.data import Preprocessing


def export(
    model: nn.Module,
    folder: Path,
    *,
    preprocessing: Preprocessing,
    labels: Sequence[str],
    recipe: Mapping[str, Any],
    metrics: Mapping[str, Any],
    card: str,
    replace: bool = False,
) -> None:
    """Write a model as a folder, whole or not at all.

    ``config.json`` (the hub's format, with labels and preprocessing) and ``model.safetensors`` are
    what ``timm.create_model("local-dir:FOLDER", pretrained=True)`` reads; ``recipe.json``,
    ``metrics.json`` and ``README.md`` are for people.

    With ``replace`` it takes the place of what is there, which stays until it is whole; files of
    other names are kept.

    Raises:
        StorageError: The folder is there already and not empty, or cannot be written.
    """
    folder = Path(os.path.realpath(folder))  # of a link, where it leads
    if not replace and folder.exists() and any(folder.iterdir()):
        raise StorageError(f"{folder} is there already and not empty: name another folder")
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        unfinished.mkdir(parents=True)
        _write_model(model, unfinished, preprocessing, labels)
        _write_json(unfinished / "recipe.json", recipe)
        # safetensors lets only the owner read; whoever may read the rest may read the weights.
        weights, other = unfinished / "model.safetensors", unfinished / "recipe.json"
        weights.chmod(other.stat().st_mode)
        _write_json(unfinished / "metrics.json", metrics)
        # Names of files may have what no text in UTF-8 has.
        (unfinished / "README.md").write_text(card, encoding="utf-8", errors="backslashreplace")
        _keep_others(folder, unfinished)
        _take_place(unfinished, folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise StorageError(
            f"{folder} cannot be written ({error}): free some space, make its parent writable, or "
            "name another folder"
        ) from error


def _write_model(
    model: nn.Module, folder: Path, preprocessing: Preprocessing, labels: Sequence[str]
) -> None:
    save_for_hf(
        _with_tensors_apart(model.cpu()),
        str(folder),
        model_config={"label_names": list(labels)},
        safe_serialization=True,
        data_config={
            "input_size": (3, *preprocessing.img_size),
            "mean": preprocessing.mean,
            "std": preprocessing.std,
            "interpolation": preprocessing.interpolation,
            "crop_pct": preprocessing.crop_pct,
            "crop_mode": preprocessing.crop_mode,
        },
    )


def _with_tensors_apart(model: nn.Module) -> nn.Module:
    """Return the model as it tells its state if no tensors in that share memory.

    safetensors refuses those that do, and timm, which loads the file, wants all of them: CoaT has
    the same layers under several names.
    """
    state, seen = model.state_dict(), set[int]()
    for name, tensor in state.items():
        place = tensor.untyped_storage().data_ptr()
        state[name] = tensor.clone() if place in seen else tensor
        seen.add(place)
    teller = copy.copy(model)
    teller.state_dict = lambda: state  # type: ignore[assignment,method-assign]
    return teller


def _keep_others(earlier: Path, folder: Path) -> None:
    """Have what somebody else put into an earlier folder in the one that takes its place, too."""
    for path in earlier.iterdir() if earlier.is_dir() else ():
        if not (place := folder / path.name).exists():
            copy_of = shutil.copytree if path.is_dir() and not path.is_symlink() else _linked
            copy_of(path, place)


def _linked(path: Path, place: Path) -> None:
    """Give a file a second name, or a copy where the disk knows no second names."""
    try:
        os.link(path, place, follow_symlinks=False)
    except OSError:
        shutil.copy2(path, place, follow_symlinks=False)


def _take_place(unfinished: Path, folder: Path) -> None:
    """Put a folder that is whole where another may be."""
    earlier = folder.with_name(f".{folder.name}.earlier")
    shutil.rmtree(earlier, ignore_errors=True)
    if folder.exists():
        folder.rename(earlier)
    unfinished.rename(folder)
    shutil.rmtree(earlier, ignore_errors=True)


def _write_json(path: Path, data: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(dict(data), indent=2) + "\n")
