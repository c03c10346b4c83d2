"""A moving average of the weights, judged and kept in place of the last ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from evoft.training.freezing import trained_names


class Average:
    """An exponential moving average of what is trained, statistics of batch norm included.

    Its decay rises to ``decay`` as ``(1 + step) / (10 + step)``, so that the start weights do not
    weigh on short runs (Abadi et al. 2016, TensorFlow's ``ExponentialMovingAverage``).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        self._steps = 0
        names, state = trained_names(model), model.state_dict()
        #: The model's own tensors, and the average of each.
        self._live = [t for n, t in state.items() if n in names and t.is_floating_point()]
        self._mean = [tensor.clone() for tensor in self._live]

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after a step."""
        self._steps += 1
        decay = min(self._decay, (1 + self._steps) / (10 + self._steps))
        torch._foreach_lerp_(self._mean, self._live, 1.0 - decay)

    def state(self) -> dict[str, Any]:
        """Return what `resume` goes on from; its tensors change with the next step."""
        return {"steps": self._steps, "mean": self._mean}

    @torch.no_grad()
    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self._steps = state["steps"]
        for mean, kept in zip(self._mean, state["mean"], strict=True):
            mean.copy_(kept)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the average into the model for a while."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for mean, live in zip(self._mean, self._live, strict=True):
            last = live.clone()
            live.copy_(mean)
            mean.copy_(last)
