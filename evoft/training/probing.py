"""Probes: steps of real training, timed and measured, from which trials' costs are predicted."""

from __future__ import annotations

import time
from typing import NoReturn

import torch
from torch import nn

from evoft.errors import BackboneError, words_of
from evoft.peak import forget_peak, own_peak
from evoft.training.data import Preprocessing
from evoft.training.density import density_of
from evoft.training.device import begin_afresh, gpu_failed, gpu_peak
from evoft.training.facts import Probe, Probes
from evoft.training.freezing import freeze, layer_groups, train_mode
from evoft.training.memory import is_out_of_memory
from evoft.training.optimization import training_step
from evoft.training.precision import Precision, autocast

#: Images in the smaller batch of the two, unless the space has only smaller ones.
_FEW = 8
#: Most seconds that a step of the larger batch may take, by what the smaller one took.
_SECONDS = 0.15
#: Times as many images that the larger batch has at least: less tells image from step badly.
_SPREAD = 2
#: Most bytes that a process takes of a GPU by being there: what it took before the first look at
#: what is free cannot be told from what other processes have.
_PRESENCE = 2**30


def probe(
    model: nn.Module,
    name: str,
    preprocessing: Preprocessing,
    classes: int,
    *,
    largest: int,
    device: torch.device,
    amp: bool,
) -> Probes:
    """Take two steps at three depths with two batch sizes; the second of each counts.

    Args:
        model: On the device; it is changed, and of no further use.
        name: The backbone's name.
        preprocessing: What images it takes.
        classes: Outputs of its classifier.
        largest: Largest batch size that a recipe may have.
        device: Where to.
        amp: Mixed precision where the device has it.

    Raises:
        BackboneError: It cannot take images of this size.
    """
    lab = _Laboratory(model, name, preprocessing, classes, device)
    density = lab.density()
    lab.precision = Precision.of(device, density) if amp else None
    groups = len(layer_groups(model))
    few = min(_FEW, largest)
    first = lab.step(0, few)
    spread = int(_SECONDS / max(first.seconds, 1e-9))
    many = min(largest, few * max(_SPREAD, spread))
    points = [first]
    for depth in sorted({0, groups // 2, groups}):
        points += [lab.step(depth, size) for size in (few, many) if (depth, size) != (0, few)]
    # Each once: the larger batch is the smaller one where no recipe has more.
    steps = {(point.depth, point.batch_size): point for point in points}
    return Probes(name, tuple(steps.values()), lab.look(many) / many, lab.context, density=density)


class _Laboratory:
    """One model and the means to measure it."""

    def __init__(
        self,
        model: nn.Module,
        name: str,
        preprocessing: Preprocessing,
        classes: int,
        device: torch.device,
    ) -> None:
        self._model = model
        self._name = name
        self._size = preprocessing.img_size
        self._classes = classes
        self._device = device
        #: That it trains in, and is judged in; None: float32.
        self.precision: Precision | None = None
        self._before = self._left()

    @property
    def context(self) -> int:
        """Bytes of the device that a process takes beside what it allocates."""
        if self._device.type != "cuda":
            return 0
        left, total = self._left(), torch.cuda.mem_get_info(self._device)[1]
        return max(0, min(total - left, max(0, self._before - left) + _PRESENCE))

    def _left(self) -> int:
        """Return the bytes of a GPU that are free, or ours to allocate; else 0."""
        if self._device.type != "cuda":
            return 0
        return torch.cuda.mem_get_info(self._device)[0] + torch.cuda.memory_reserved(self._device)

    def step(self, depth: int, batch_size: int) -> Probe:
        """Train two steps; out of memory is an answer too."""
        freeze(self._model, depth)
        train_mode(self._model)
        trained = [p for p in self._model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=0.0)
        seconds, memory = 0.0, 0
        try:
            images = torch.zeros(batch_size, 3, *self._size, device=self._device)
            targets = torch.zeros(batch_size, self._classes, device=self._device)
            self._forget_peak()
            for _ in range(2):
                self._wait()
                start = time.perf_counter()
                training_step(
                    self._model,
                    optimizer,
                    images,
                    targets,
                    smoothing=0.0,
                    l1=0.0,
                    precision=self.precision,
                )
                self._wait()
                seconds = time.perf_counter() - start
            memory = self._peak()
        except Exception as error:
            if not is_out_of_memory(error):
                self._refuse(error)
            return Probe(depth, batch_size, 0.0, 0, fits=False)
        finally:
            self._model.zero_grad(set_to_none=True)
        return Probe(depth, batch_size, seconds, memory)

    def density(self) -> float:
        """Return the model's density; 0 where not even one image fits."""
        try:
            return density_of(self._model, self._size)
        except Exception as error:
            if not is_out_of_memory(error):
                self._refuse(error)
            return 0.0

    def look(self, batch_size: int) -> float:
        """Return the seconds of a batch of validation; 0 when it does not fit."""
        self._model.eval()
        try:
            images = torch.zeros(batch_size, 3, *self._size, device=self._device)
            with torch.inference_mode(), autocast(self._device, self.precision):
                self._wait()
                start = time.perf_counter()
                self._model(images)
                self._wait()
        except Exception as error:
            if not is_out_of_memory(error):
                self._refuse(error)
            return 0.0
        return time.perf_counter() - start

    def _refuse(self, error: Exception) -> NoReturn:
        if gpu_failed(error):
            raise error
        # An architecture says in its own way what it cannot take.
        height, width = self._size
        words = words_of(error, 200)
        raise BackboneError(
            f"{self._name} cannot take images of {height} x {width} pixels ({words})"
        ) from error

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def _forget_peak(self) -> None:
        if self._device.type == "cuda":
            begin_afresh(self._device)
            return
        forget_peak()

    def _peak(self) -> int:
        return gpu_peak(self._device) if self._device.type == "cuda" else own_peak()
