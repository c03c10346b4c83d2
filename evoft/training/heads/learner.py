"""One linear head on its way through training, whoever trains beside it."""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from evoft.outcome import CurvePoint, Outcome, Status
from evoft.recipe import Recipe
from evoft.training.feed import Drawn, Feed
from evoft.training.heads.inputs import Dropout
from evoft.training.heads.judging import Judges
from evoft.training.heads.memory import Weights
from evoft.training.loop import WHOLE, Leg, Report, Trained
from evoft.training.paused import Paused
from evoft.training.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Head:
    """One trial's linear head before training."""

    recipe: Recipe
    #: ``(classes, features)`` and ``(classes,)``.
    weight: Tensor
    bias: Tensor
    #: Their names in the model.
    names: tuple[str, str]
    feed: Feed
    dropout: Dropout
    #: What the fitness is measured on.
    val: Judges
    report: Report
    #: How much of its training; the same comes out wherever it goes on from.
    leg: Leg = WHOLE

    @property
    def schedule(self) -> Schedule:
        """Its steps, and the rate of each."""
        return Schedule.of(self.recipe, self.feed.steps, self.leg.epochs)

    @property
    def kind(self) -> Hashable:
        """What heads that train together agree on."""
        total, steps = self.schedule.total, self.feed.steps
        # Those that end with an epoch leave the others there.
        end = total if total % steps else 0
        # The slope of a weighted loss takes one more sum, which the others are spared.
        weighted = self.recipe.class_weights
        return self.recipe.model, self.weight.shape, self.feed.batch, steps, end, weighted


class Learner:
    """A head with all that its next step follows from."""

    def __init__(self, head: Head) -> None:
        self.head = head
        self.schedule = head.schedule
        #: Steps taken.
        self.step = 0
        self.weights = Weights.of([head.weight], [head.bias])
        #: Moving average of ``weights.values``, ``(1, floats)``, where the recipe has one.
        self.mean = self.weights.values.clone() if head.recipe.model_ema else None
        #: Of the current epoch, ``(1,)``: the sum of its steps' losses.
        self.loss = torch.zeros(1, device=head.weight.device)
        #: The same: how many images were classified rightly.
        self.right = torch.zeros(1, device=head.weight.device, dtype=torch.int64)
        self._drawn: tuple[int, Drawn] | None = None
        self._done: Trained | None = None
        self._paused: Paused | None = None
        self._curve: list[CurvePoint] = []
        self._best = -math.inf
        self._best_epoch = 0
        self._kept: dict[str, Tensor] = {}
        if head.leg.paused is not None and self.schedule.allows(head.leg.paused.step):
            self._resume(head.leg.paused)

    @property
    def is_done(self) -> bool:
        """Whether it was judged for the last time, or diverged."""
        return self._done is not None

    @property
    def trained(self) -> Trained:
        """What training gave, once it is done."""
        assert self._done is not None
        good = self._done.outcome.status is Status.OK
        return replace(self._done, paused=self._paused if good else None)

    @property
    def pauses(self) -> bool:
        """Whether this is where it is left for a longer training to go on from."""
        return self.head.leg.pause and self.step == self.schedule.fall

    def stop(self) -> int:
        """Return after which step it has to be looked at next."""
        epoch = (self.step // self.schedule.steps + 1) * self.schedule.steps
        stops = [epoch, self.schedule.total]
        if self.head.leg.pause:
            stops.append(self.schedule.fall)
        return min(stop for stop in stops if stop > self.step)

    def rates(self, stop: int) -> list[float]:
        """Return the learning rate of each step from here on, up to a last one."""
        peak = self.head.recipe.lr
        return [peak * self.schedule.rate(step) for step in range(self.step, stop)]

    def drawn(self) -> Drawn:
        """Return what the batches of the current epoch hold."""
        epoch = self.step // self.schedule.steps
        if self._drawn is None or self._drawn[0] != epoch:
            self._drawn = epoch, self.head.feed.draw()
        return self._drawn[1]

    def take(self, metrics: dict[str, float], weight: Tensor, bias: Tensor) -> None:
        """Take in what was measured after the last step of an epoch, or of all.

        Args:
            metrics: What was measured.
            weight: ``(classes, features)``, copied if it may be kept.
            bias: ``(classes,)``, too.
        """
        recipe, schedule, stop = self.head.recipe, self.schedule, self.step
        epoch = (stop - 1) // schedule.steps
        losses = [metrics["train_loss"]]
        if measured := schedule.measures(stop):
            losses.append(metrics["val_loss"])
            self._measured(CurvePoint(stop / schedule.steps, metrics))
        if not all(math.isfinite(loss) for loss in losses):
            reason = f"the loss was not finite in epoch {epoch + 1}"
            outcome = Outcome(Status.DIVERGED, reason=reason, curve=tuple(self._curve))
            self._done = Trained(outcome, {})
            return
        last = stop == schedule.total
        fitness = metrics[f"val_{self.head.val.metric}"]
        if measured and (fitness > self._best if recipe.patience else last):
            self._best, self._best_epoch = fitness, epoch
            kept = zip(self.head.names, (weight, bias), strict=True)
            self._kept = {
                name: value.cpu().clone(memory_format=torch.contiguous_format)
                for name, value in kept
            }
        elif measured and recipe.patience and epoch - self._best_epoch >= recipe.patience:
            last = True
        if last:
            outcome = Outcome.of_fitness(self._best, curve=tuple(self._curve))
            self._done = Trained(outcome, self._kept)

    def pause(self) -> None:
        """Keep a copy of all that a longer training goes on from."""
        whole = tuple(point for point in self._curve if point.epoch.is_integer())
        self._paused = Paused(self.step, {"head": packed(self._state())}, whole)

    def _resume(self, paused: Paused) -> None:
        """Go on from what `pause` kept; its learning curve is reported anew."""
        mine = self._state()
        kept = dict(zip(mine, unpacked(paused.state["head"], mine.values()), strict=True))
        for name in ("right", "loss", "values", "first", "second", "mean"):
            if name in mine:
                mine[name].copy_(kept[name])
        self.head.feed.resume(kept)
        self.head.dropout.state = kept["dropout"]
        self.step = paused.step
        for point in paused.curve:
            self._measured(point)

    def _state(self) -> dict[str, Tensor]:
        """Return all that the next step follows from."""
        weights, feed = self.weights, self.head.feed
        return {
            "right": self.right,
            "loss": self.loss,
            "values": weights.values,
            "first": weights.first,
            "second": weights.second,
            **({} if self.mean is None else {"mean": self.mean}),
            **feed.state(self.step % self.schedule.steps),
            "dropout": self.head.dropout.state,
        }

    def _measured(self, point: CurvePoint) -> None:
        self._curve.append(point)
        self.head.report(point.epoch, **point.metrics)


def packed(tensors: Mapping[str, Tensor]) -> Tensor:
    """Return a copy of tensors as bytes: one tensor is written and read in a fifth of the time."""
    return torch.cat([t.detach().cpu().flatten().view(torch.uint8) for t in tensors.values()])


def unpacked(data: Tensor, like: Collection[Tensor]) -> list[Tensor]:
    """Return what was packed of tensors like these.

    Args:
        data: ``(bytes,)``.
        like: Of the same types and shapes.
    """
    parts = torch.split(data, [tensor.nbytes for tensor in like])
    # Copies: a generator takes its state from the beginning of a tensor's memory.
    return [part.clone().view(t.dtype).view(t.shape) for part, t in zip(parts, like, strict=True)]
