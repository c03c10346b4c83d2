"""Paused trainings: what the next rung goes on from, as one file beside the checkpoints.

All of it can be computed again from recipe and seed, so whatever is wrong with a file, it costs
time and changes no result.
"""

from __future__ import annotations

import io
import json
import logging
import os
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor

from evoft.errors import words_of
from evoft.outcome import CurvePoint
from evoft.recipe import Recipe

_logger = logging.getLogger(__name__)

#: Raised whenever what a file holds changes.
_FORM = 1
#: Bytes of the checksum that a file begins with.
_SUM = 4


@dataclass(frozen=True, slots=True)
class Paused:
    """A training that was left where its cool-down branched off."""

    #: Optimizer steps taken.
    step: int
    #: Numbers and tensors on the CPU, by names, as `loop` nests them.
    state: Mapping[str, Any]
    #: The learning curve so far.
    curve: tuple[CurvePoint, ...]

    @property
    def of_head(self) -> bool:
        """Whether `learner` left it, and not `loop`: neither goes on from what the other left."""
        return "head" in self.state


@dataclass(frozen=True, slots=True)
class Mark:
    """What settles a training: only one with an equal mark goes on from what another left."""

    recipe: Recipe
    seed: int
    #: Images, weights, device, and the settings that have a say in the numbers.
    about: Mapping[str, Any]

    def text(self) -> str:
        """Return it, and the versions that have a say too, as text."""
        versions = {"form": _FORM, "torch": str(torch.__version__), "timm": timm.__version__}
        return json.dumps({**asdict(self), **versions}, sort_keys=True, default=str)


def copied(state: Any) -> Any:
    """Return a copy of nested numbers and tensors on the CPU, each tensor laid out as it was."""
    if isinstance(state, Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, Mapping):
        return {key: copied(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(copied(value) for value in state)
    return state


def write(paused: Paused, path: Path, mark: Mark) -> None:
    """Write a paused training so that there is always a whole file or none.

    Raises:
        OSError: The disk did not take it; an earlier file is as it was.
    """
    curve = [(point.epoch, dict(point.metrics)) for point in paused.curve]
    buffer = io.BytesIO()
    content = {"mark": mark.text(), "step": paused.step, "state": paused.state, "curve": curve}
    torch.save(content, buffer)
    data = buffer.getbuffer()
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as file:
            file.write(zlib.crc32(data).to_bytes(_SUM, "big"))
            file.write(data)
        # Not synced: what a power failure damages, the checksum shows.
        os.replace(unfinished, path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise


def read(path: Path, mark: Mark) -> Paused | None:
    """Return the paused training of a file; None where there is none that this one can go on from.

    Args:
        path: Where it may be.
        mark: Of the training that wants to go on.
    """
    try:
        data = memoryview(path.read_bytes())
        if zlib.crc32(data[_SUM:]).to_bytes(_SUM, "big") != data[:_SUM]:
            raise ValueError("its checksum is not that of its content")
        content = torch.load(io.BytesIO(data[_SUM:]), map_location="cpu", weights_only=True)
        if content["mark"] != mark.text():
            raise ValueError("it is of another training")
        curve = tuple(CurvePoint(epoch, metrics) for epoch, metrics in content["curve"])
        return Paused(content["step"], content["state"], curve)
    except FileNotFoundError:
        return None
    except Exception as error:  # whatever it is, it can be computed again
        words = words_of(error)
        _logger.info("%s is not gone on from (%.160s): training begins anew", path, words)
        return None
