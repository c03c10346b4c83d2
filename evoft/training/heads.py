"""Training of linear heads on features of frozen layers, many together.

A step of one head alone is a product of a few rows, which takes less time than asking for it does.
Heads of one shape whose batches have one size take their steps together, each with its own images,
weights, optimizer and rates, and each to the bit as it would alone; see ``head_memory``.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from evoft.outcome import CurvePoint, Outcome, Status
from evoft.recipe import Recipe
from evoft.training.feed import Feed
from evoft.training.head_inputs import Batch, Batches, Dropout
from evoft.training.head_memory import Weights, column, multiply, room
from evoft.training.head_optimizers import Group
from evoft.training.loop import Report, Trained
from evoft.training.schedule import Schedule

#: Most weights of heads that train together: more of them do not stay in a processor's cache.
_TOGETHER = 2**20
#: Most logits of validation that are looked at together.
_LOOKED_AT = 2**22


@dataclass(frozen=True, slots=True)
class Judges:
    """The images that heads are judged on."""

    #: ``(images, features)``.
    features: Tensor
    #: ``(images,)``, int64.
    labels: Tensor

    def judge(self, weights: Tensor, biases: Tensor) -> tuple[Tensor, Tensor]:
        """Return each head's mean loss, and the share of images that it classifies rightly.

        Args:
            weights: ``(heads, classes, features)``.
            biases: ``(heads, classes)``.
        """
        heads, classes = biases.shape
        images = len(self.labels)
        logits = room(heads, classes, images, biases.device)[1]
        multiply(weights, self.features.t().expand(heads, -1, -1), logits)
        logits.add_(biases[:, :, None])
        logs = torch.log_softmax(logits, dim=1)
        losses = logs.gather(1, self.labels.expand(heads, 1, -1)).sum(dim=(1, 2)).div_(-images)
        right = (first_highest(logits) == self.labels).sum(dim=1)
        return losses, right.double() / images


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
    #: After how many epochs it is judged; None: the recipe's.
    epochs: float | None = None

    @property
    def schedule(self) -> Schedule:
        """Its steps, and the rate of each."""
        return Schedule.of(self.recipe, self.feed.steps, self.epochs)

    @property
    def kind(self) -> Hashable:
        """What heads that train together agree on."""
        total, steps = self.schedule.total, self.feed.steps
        # Those that end with an epoch leave the others there.
        end = total if total % steps else 0
        return self.recipe.model, self.weight.shape, self.feed.batch, steps, end

    def rates(self, epoch: int) -> list[float]:
        """Return the learning rate of each step of an epoch, up to the last of all."""
        schedule, first = self.schedule, epoch * self.feed.steps
        steps = range(first, min(first + schedule.steps, schedule.total))
        return [self.recipe.lr * schedule.rate(step) for step in steps]


def train_heads(heads: Sequence[Head]) -> list[Trained]:
    """Train linear heads by their recipes, as ``loop.fine_tune`` does but for rounding.

    Args:
        heads: In any order and company: each is trained to the bit as it is alone.

    Returns:
        What training gave, in the order of ``heads``.
    """
    found: dict[int, Trained] = {}
    for kind in dict.fromkeys(head.kind for head in heads):
        alike = [place for place, head in enumerate(heads) if head.kind == kind]
        alike.sort(key=lambda place: heads[place].recipe.opt)
        most = max(1, _TOGETHER // heads[alike[0]].weight.numel())
        for first in range(0, len(alike), most):
            places = alike[first : first + most]
            done = _Company([heads[place] for place in places]).train()
            found |= dict(zip(places, done, strict=True))
    return [found[place] for place in range(len(heads))]


class _Course:
    """How one head's training goes."""

    def __init__(self, head: Head) -> None:
        self.head = head
        self._schedule = head.schedule
        self.done: Trained | None = None
        self._curve: list[CurvePoint] = []
        self._best = -math.inf
        self._best_epoch = 0
        self._state: dict[str, Tensor] = {}

    def take(self, epoch: int, metrics: dict[str, float], weight: Tensor, bias: Tensor) -> None:
        """Take in what an epoch gave; ``done`` is set if it was the last.

        Args:
            epoch: Which, from 0.
            metrics: What was measured.
            weight: ``(classes, features)``, copied if it may be kept.
            bias: ``(classes,)``, too.
        """
        recipe, schedule = self.head.recipe, self._schedule
        stop = min((epoch + 1) * schedule.steps, schedule.total)
        losses = [metrics["train_loss"]]
        if measured := schedule.measures(stop):
            losses.append(metrics["val_loss"])
            self._curve.append(CurvePoint(stop / schedule.steps, metrics))
            self.head.report(stop / schedule.steps, **metrics)
        if not all(math.isfinite(loss) for loss in losses):
            reason = f"the loss was not finite in epoch {epoch + 1}"
            outcome = Outcome(Status.DIVERGED, reason=reason, curve=tuple(self._curve))
            self.done = Trained(outcome, {})
            return
        last = stop == schedule.total
        accuracy = metrics["val_accuracy"]
        if measured and (accuracy > self._best if recipe.patience else last):
            self._best, self._best_epoch = accuracy, epoch
            kept = zip(self.head.names, (weight, bias), strict=True)
            self._state = {
                name: value.cpu().clone(memory_format=torch.contiguous_format)
                for name, value in kept
            }
        elif measured and recipe.patience and epoch - self._best_epoch >= recipe.patience:
            last = True
        if last:
            outcome = Outcome.of_fitness(self._best, curve=tuple(self._curve))
            self.done = Trained(outcome, self._state)


class _Company:
    """Heads of one shape that train together; whoever is done leaves."""

    def __init__(self, heads: Sequence[Head]) -> None:
        self._val = heads[0].val
        self._weights = Weights.of([head.weight for head in heads], [head.bias for head in heads])
        #: Moving averages of the weights, where recipes have them.
        self._means = [
            values.clone() if head.recipe.model_ema else None
            for head, values in zip(heads, self._weights.values, strict=True)
        ]
        self._gather([_Course(head) for head in heads])

    def _gather(self, courses: list[_Course]) -> None:
        """Make what depends on who is there."""
        heads = [course.head for course in courses]
        recipes = [head.recipe for head in heads]
        device, batch, classes = heads[0].weight.device, heads[0].feed.batch, len(heads[0].bias)
        self._courses = courses
        self._groups = Group.of(self._weights, recipes)
        weights = self._weights
        self._weight, self._bias = weights.matrix(weights.values), weights.bias(weights.values)
        self._slope, self._tilt = weights.matrix(weights.slopes), weights.bias(weights.slopes)
        self._l1 = column([r.l1 for r in recipes], device).float()[:, :, None]
        smoothing = column([r.smoothing for r in recipes], device)[:, :, None]
        self._sharp, self._smooth = (1.0 - smoothing).float(), (smoothing / classes).float()
        self._batches = Batches([h.feed for h in heads], [h.dropout for h in heads], classes)
        self._logits = room(len(heads), classes, batch, device)[1]
        self._errors = room(len(heads), classes, batch, device)[1]

    def train(self) -> list[Trained]:
        """Train until all are done."""
        everyone = self._courses
        epoch = 0
        while self._courses:
            losses, right = self._train(epoch)
            self._judge(epoch, losses, right)
            self._part()
            epoch += 1
        return [course.done for course in everyone if course.done is not None]

    def _part(self) -> None:
        """Go on without those that are done."""
        left = [at for at, course in enumerate(self._courses) if course.done is None]
        if not left:
            self._courses = []
        elif len(left) < len(self._courses):
            self._means = [self._means[at] for at in left]
            self._weights = self._weights.keep(torch.tensor(left, device=self._logits.device))
            self._gather([self._courses[at] for at in left])

    def _train(self, epoch: int) -> tuple[Tensor, Tensor]:
        """Train for one epoch; return each head's mean loss and share of images rightly classed."""
        heads = [course.head for course in self._courses]
        steps, batch = heads[0].feed.steps, heads[0].feed.batch
        device = self._logits.device
        lr = torch.stack([column(head.rates(epoch), device) for head in heads], dim=1)
        courses = [group.course(lr, epoch * steps) for group in self._groups]
        losses = torch.zeros(len(heads), device=device)
        right = torch.zeros(len(heads), dtype=torch.int64, device=device)
        taken = len(lr)  # all of the epoch, unless they are judged within it
        for at, drawn in zip(range(taken), self._batches.epoch(), strict=False):
            losses += self._slopes(drawn)
            right += (first_highest(self._logits) == drawn.labels).sum(dim=1)
            for group, course in zip(self._groups, courses, strict=True):
                group.step(course, at)
            self._average(epoch * steps + at + 1)
            heads[0].report(epoch + at / steps)
        return losses / taken, right.double() / (taken * batch)

    def _slopes(self, drawn: Batch) -> Tensor:
        """Put the slope of the loss in each weight; return the mean losses ``(heads,)``."""
        batch = drawn.labels.shape[1]
        multiply(self._weight, drawn.inputs.transpose(1, 2), self._logits)
        self._logits.add_(self._bias[:, :, None])
        targets = drawn.targets.mul_(self._sharp).add_(self._smooth)
        logs = torch.log_softmax(self._logits, dim=1)
        losses = (targets * logs).sum(dim=(1, 2)).div_(-batch)
        torch.exp(logs, out=self._errors).sub_(targets).div_(batch)
        multiply(self._errors, drawn.inputs, self._slope)
        torch.sum(self._errors, dim=2, out=self._tilt)
        self._slope.addcmul_(self._weight.sign(), self._l1)
        return losses

    def _average(self, number: int) -> None:
        """Take the weights after a step into their averages; see ``averaging.Average``."""
        for at, mean in enumerate(self._means):
            if mean is not None:
                most = self._courses[at].head.recipe.model_ema
                decay = min(most, (1 + number) / (10 + number))
                mean.lerp_(self._weights.values[at], 1.0 - decay)

    def _judge(self, epoch: int, losses: Tensor, right: Tensor) -> None:
        """Measure the heads on the images of validation, and tell each what came of the epoch."""
        values = self._weights.values.clone()
        for at, mean in enumerate(self._means):
            if mean is not None:
                values[at] = mean
        matrices, biases = self._weights.matrix(values), self._weights.bias(values)
        size = max(1, _LOOKED_AT // (biases.shape[1] * len(self._val.labels)))
        judged = [
            self._val.judge(matrices[first : first + size], biases[first : first + size])
            for first in range(0, len(values), size)
        ]
        val_losses, val_right = (torch.cat(parts).tolist() for parts in zip(*judged, strict=True))
        for at, (loss, accuracy) in enumerate(zip(losses.tolist(), right.tolist(), strict=True)):
            metrics = {
                "train_loss": loss,
                "train_accuracy": accuracy,
                "val_loss": val_losses[at],
                "val_accuracy": val_right[at],
            }
            self._courses[at].take(epoch, metrics, matrices[at], biases[at])


def first_highest(logits: Tensor) -> Tensor:
    """Return ``logits.argmax(dim=1)``, which takes longer; the number of classes where all are NaN.

    Args:
        logits: ``(heads, classes, batch)``.
    """
    classes = logits.shape[1]
    places = torch.arange(classes, dtype=logits.dtype, device=logits.device)[:, None]
    highest = logits == logits.amax(dim=1, keepdim=True)
    return torch.where(highest, places, float(classes)).amin(dim=1).long()
