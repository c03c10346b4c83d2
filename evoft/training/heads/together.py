"""Training of linear heads on features of frozen layers, many together.

A step of one head alone is a product of a few rows, which takes less time than asking for it does.
Heads of one shape whose batches have one size take their steps together, each with its own images,
weights, optimizer and rates, and each to the bit as it would alone; see ``memory``.

They go by one count of steps.  Who goes on from a paused training joins where it was left, also
where another has to begin anew.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from evoft.training.heads.clipping import Clips
from evoft.training.heads.inputs import Bank, Batch, Batches
from evoft.training.heads.judging import first_highest
from evoft.training.heads.learner import Head, Learner
from evoft.training.heads.memory import Weights, column, multiply, room
from evoft.training.heads.optimizers import Group
from evoft.training.loop import Trained

#: Most weights of heads that train together: more of them do not stay in a processor's cache.
_TOGETHER = 2**20


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


class _Company:
    """Heads of one shape that train together; they may come later and leave earlier."""

    def __init__(self, heads: Sequence[Head]) -> None:
        self._everyone = [Learner(head) for head in heads]
        self._bank = Bank.of([head.feed for head in heads])
        weights = heads[0].feed.class_weights  # of one kind, they have the same
        #: ``(classes, 1)``; None: all 1.
        self._class_weights = None if weights is None else weights[:, None]
        self._here: list[Learner] = []

    def train(self) -> list[Trained]:
        """Train until all are done."""
        while left := [learner for learner in self._everyone if not learner.is_done]:
            step = min(learner.step for learner in left)
            later = [learner.step for learner in left if learner.step > step]
            self._gather([learner for learner in left if learner.step == step])
            stop = min([*later, *(learner.stop() for learner in self._here)])
            self._train(step, stop)
            self._look(stop)
        return [learner.trained for learner in self._everyone]

    def _gather(self, learners: list[Learner]) -> None:
        """Have these train from here on."""
        if learners == self._here:
            return
        self._hand_back()
        heads = [learner.head for learner in learners]
        recipes = [head.recipe for head in heads]
        device, batch, classes = heads[0].weight.device, heads[0].feed.batch, len(heads[0].bias)
        self._here = learners
        self._weights = weights = Weights.joined([learner.weights for learner in learners])
        self._losses = torch.cat([learner.loss for learner in learners])
        self._right = torch.cat([learner.right for learner in learners])
        self._groups = Group.of(weights, recipes)
        self._weight, self._bias = weights.matrix(weights.values), weights.bias(weights.values)
        self._slope, self._tilt = weights.matrix(weights.slopes), weights.bias(weights.slopes)
        self._l1 = column([r.l1 for r in recipes], device).float()[:, :, None]
        smoothing = column([r.smoothing for r in recipes], device)[:, :, None]
        self._sharp, self._smooth = (1.0 - smoothing).float(), (smoothing / classes).float()
        self._clips = Clips.of([recipe.clip_grad for recipe in recipes], device)
        feeds, dropouts = [head.feed for head in heads], [head.dropout for head in heads]
        self._batches = Batches(self._bank, feeds, dropouts, classes)
        self._logits = room(len(heads), classes, batch, device)[1]
        self._errors = room(len(heads), classes, batch, device)[1]

    def _hand_back(self) -> None:
        """Give those who are here what is theirs of all."""
        for at, learner in enumerate(self._here):
            learner.weights = self._weights.row(at)
            learner.loss, learner.right = self._losses[at, None], self._right[at, None]

    def _train(self, first: int, stop: int) -> None:
        """Take the steps from one to another, within one epoch."""
        learners, steps = self._here, self._here[0].schedule.steps
        device, report = self._logits.device, learners[0].head.report
        begun = first % steps
        if not begun:
            self._losses, self._right = self._losses.new_zeros(()), self._right.new_zeros(())
        lr = torch.stack([column(learner.rates(stop), device) for learner in learners], dim=1)
        courses = [group.course(lr, first) for group in self._groups]
        drawn = [learner.drawn().between(begun, begun + stop - first) for learner in learners]
        for at, batch in enumerate(self._batches.of(drawn)):
            self._losses = self._losses + self._slopes(batch)
            self._right = self._right + (first_highest(self._logits) == batch.labels).sum(dim=1)
            for group, course in zip(self._groups, courses, strict=True):
                group.step(course, at)
            self._average(first + at + 1)
            report((first + at) / steps)
        for learner in learners:
            learner.step = stop

    def _slopes(self, drawn: Batch) -> Tensor:
        """Put the slope of the loss in each weight; return the mean losses ``(heads,)``."""
        batch = drawn.labels.shape[1]
        multiply(self._weight, drawn.inputs.transpose(1, 2), self._logits)
        self._logits.add_(self._bias[:, :, None])
        targets = drawn.targets.mul_(self._sharp).add_(self._smooth)
        logs = torch.log_softmax(self._logits, dim=1)
        if self._class_weights is not None:
            targets.mul_(self._class_weights)
        losses = (targets * logs).sum(dim=(1, 2)).div_(-batch)
        torch.exp(logs, out=self._errors)
        if self._class_weights is not None:
            # Weighted targets do not sum to one, and what they sum to pulls at all logits.
            self._errors.mul_(targets.sum(dim=1, keepdim=True))
        self._errors.sub_(targets).div_(batch)
        multiply(self._errors, drawn.inputs, self._slope)
        torch.sum(self._errors, dim=2, out=self._tilt)
        self._slope.addcmul_(self._weight.sign(), self._l1)
        if self._clips is not None:
            self._clips.apply(self._weights.slopes)
        return losses

    def _average(self, number: int) -> None:
        """Take the weights after a step into their averages; see ``averaging.Average``."""
        for at, learner in enumerate(self._here):
            if learner.mean is not None:
                most = learner.head.recipe.model_ema
                decay = min(most, (1 + number) / (10 + number))
                learner.mean.lerp_(self._weights.values[at, None], 1.0 - decay)

    def _look(self, stop: int) -> None:
        """Measure the heads where an epoch ends, or all; keep what is to be paused."""
        schedules = [learner.schedule for learner in self._here]
        if stop % schedules[0].steps == 0 or any(s.total == stop for s in schedules):
            self._judge(stop)
        if pausing := [learner for learner in self._here if learner.pauses]:
            self._hand_back()
            for learner in pausing:
                learner.pause()

    def _judge(self, stop: int) -> None:
        """Measure the heads on the images of validation, and tell each what came of the epoch."""
        values = self._weights.values.clone()
        for at, learner in enumerate(self._here):
            if learner.mean is not None:
                values[at] = learner.mean[0]
        matrices, biases = self._weights.matrix(values), self._weights.bias(values)
        judged = self._here[0].head.val.judge_all(matrices, biases)
        taken = (stop - 1) % self._here[0].schedule.steps + 1
        losses = (self._losses / taken).tolist()
        right = (self._right.double() / (taken * self._logits.shape[2])).tolist()
        for at, (learner, mine) in enumerate(zip(self._here, judged, strict=True)):
            metrics = {"train_loss": losses[at], "train_accuracy": right[at], **mine}
            learner.take(metrics, matrices[at], biases[at])
