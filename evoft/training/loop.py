"""The training loop: one recipe, one seed, one learning curve."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from evoft.outcome import CurvePoint, Outcome, Status
from evoft.recipe import Recipe
from evoft.seeds import derive
from evoft.settings import ACCURACY
from evoft.training.averaging import Average
from evoft.training.checkpoints import trained_state
from evoft.training.examples import Examples
from evoft.training.feed import Feed
from evoft.training.freezing import freeze, train_mode
from evoft.training.judging import evaluate
from evoft.training.memory import is_out_of_memory
from evoft.training.optimization import (
    HalfStepError,
    Inputs,
    make_optimizer,
    set_rate,
    training_step,
)
from evoft.training.paused import Paused, copied
from evoft.training.precision import Precision
from evoft.training.schedule import Schedule
from evoft.training.streams import set_torch_state, torch_state

#: Called as ``report(epoch, name=number, ...)``; without numbers it is a mere sign of life.
Report = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Trained:
    """What training gave: the outcome, and the weights that earned it."""

    outcome: Outcome
    #: What was trained, by name; empty unless the outcome is good.
    state: dict[str, Tensor]
    #: What a longer training by the same recipe goes on from, where that was asked for and the
    #: outcome is good.
    paused: Paused | None = None


@dataclass(frozen=True, slots=True)
class Leg:
    """From where to where a training goes."""

    #: After how many epochs it is judged; None: the recipe's.
    epochs: float | None = None
    #: What an earlier training by the same recipe, images and seed left, to go on from if it is not
    #: beyond where this one's cool-down begins.
    paused: Paused | None = None
    #: Whether to return what a longer training can go on from.
    pause: bool = False


#: All of a training, from its start.
WHOLE = Leg()


@dataclass(slots=True)
class _Best:
    """The best so far, for early stopping, and after how many steps."""

    fitness: float = -math.inf
    step: int = 0
    state: dict[str, Tensor] | None = None


def fine_tune(  # noqa: PLR0913  # each is a thing of its own
    model: nn.Module,
    recipe: Recipe,
    train: Examples,
    val: Examples,
    seed: int,
    *,
    report: Report,
    leg: Leg = WHOLE,
    metric: str = ACCURACY,
    micro: int | None = None,
    precision: Precision | None = None,
) -> Trained:
    """Fine-tune a model by a recipe.

    The fitness is the metric on validation after the last epoch; with ``patience`` it is that of
    the best epoch, whose weights are then kept.

    Args:
        model: With its start weights, on the device; it is trained in place.
        recipe: What to do.
        train: What to learn from.
        val: What the fitness is measured on.
        seed: Of everything random from here on: order, augmentation, mixing, dropout.
        report: Told of each epoch, and of each step as a sign of life.
        leg: How much of it; the same comes out wherever it goes on from.
        metric: What the fitness is, one of ``settings.METRICS``.
        micro: Most images that pass through the model at a time, see ``training_step``; fewer once
            memory runs out.
        precision: That it trains in, and is judged in; None: float32.

    Raises:
        HalfStepError: Memory ran out in the midst of an optimizer's step, which only a training
            from the start makes good.
    """
    torch.manual_seed(derive(seed, "layers"))
    freeze(model, recipe.freeze_depth)
    trainer = _Trainer(model, recipe, train, seed, report, precision, leg.epochs, micro)
    schedule = trainer.schedule
    best, curve, left = _Best(), list[CurvePoint](), None
    if leg.paused is not None and schedule.allows(leg.paused.step):
        curve += trainer.resume(leg.paused)
    for stop in schedule.stops(trainer.done):
        train_loss, train_accuracy = trainer.train(stop)
        val_loss, measured = 0.0, schedule.measures(stop)
        if measured:
            with trainer.averaged():
                judged = evaluate(model, val, trainer.precision, metric)
                val_loss, fitness = judged["val_loss"], judged[f"val_{metric}"]
                wanted = recipe.patience or stop == schedule.total
                state = trained_state(model) if wanted else {}
            metrics = {"train_loss": train_loss, "train_accuracy": train_accuracy, **judged}
            curve.append(CurvePoint(stop / schedule.steps, metrics))
            report(stop / schedule.steps, **metrics)
        if not (math.isfinite(train_loss) and math.isfinite(val_loss)):
            reason = f"the loss was not finite in epoch {math.ceil(stop / schedule.steps)}"
            return Trained(Outcome(Status.DIVERGED, reason=reason, curve=tuple(curve)), {})
        if leg.pause and stop == schedule.fall:
            left = trainer.pause(curve)
        if recipe.patience and measured:
            if fitness > best.fitness:
                best = _Best(fitness, stop, state)
            elif stop - best.step >= recipe.patience * schedule.steps:
                break
    if best.state is not None:
        state, fitness = best.state, best.fitness
    return Trained(Outcome.of_fitness(fitness, curve=tuple(curve)), state, left)


class _Trainer:
    """What lasts from step to step."""

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        train: Examples,
        seed: int,
        report: Report,
        precision: Precision | None,
        epochs: float | None,
        micro: int | None,
    ) -> None:
        device = train.pixels.device
        self._model = model
        self._recipe = recipe
        self._train = train
        self._report = report
        #: That it trains in, and is judged in.
        self.precision = precision
        self._optimizer = make_optimizer(model, recipe, scaled=self._scaler is not None)
        self._feed = Feed(train, recipe, seed)
        self._weights = self._feed.class_weights
        #: Images that pass through the model at a time: fewer than a batch once memory ran out.
        self._micro = min(micro or self._feed.batch, self._feed.batch)
        self._average = Average(model, recipe.model_ema) if recipe.model_ema else None
        self._batches: Iterator[tuple[Inputs, Tensor, Tensor]] = iter(())
        #: Of the current epoch: the sum of its steps' losses, and the images classified rightly.
        self._loss = torch.zeros((), device=device)
        self._right = torch.zeros((), device=device, dtype=torch.int64)
        self.schedule = Schedule.of(recipe, self._feed.steps, epochs)
        #: Optimizer steps taken.
        self.done = 0

    def averaged(self) -> AbstractContextManager[None]:
        """Return a context in which the model has the weights that are judged and kept."""
        return nullcontext() if self._average is None else self._average.applied()

    def train(self, stop: int) -> tuple[float, float]:
        """Train until so many steps are taken, within one epoch.

        Returns:
            The mean loss of this epoch's steps, and the share of images classified rightly.
        """
        feed = self._feed
        train_mode(self._model)
        if self.done % feed.steps == 0:
            self._batches = feed.epoch()
            self._loss, self._right = self._loss.new_zeros(()), self._right.new_zeros(())
        while self.done < stop:
            inputs, targets, labels = next(self._batches)
            set_rate(self._optimizer, self.schedule.rate(self.done))
            loss, logits = self._step(inputs, targets)
            if self._average is not None:
                self._average.update()
            self._loss += loss
            self._right += (logits.argmax(dim=1) == labels).sum()
            self._report(self.done / feed.steps)
            self.done += 1
        steps = (stop - 1) % feed.steps + 1
        return float(self._loss) / steps, int(self._right) / (steps * feed.batch)

    def pause(self, curve: Sequence[CurvePoint]) -> Paused:
        """Return a copy of all that training goes on from.

        Args:
            curve: So far; a longer training has points after whole epochs only.
        """
        state = {
            "weights": trained_state(self._model),
            "optimizer": self._optimizer.state_dict(),
            "average": self._average.state() if self._average else {},
            "feed": self._feed.state(self.done % self._feed.steps),
            "layers": torch_state(self._loss.device),
            "scaler": self._scaler.state_dict() if self._scaler else {},
            "micro": self._micro,
            "loss": self._loss,
            "right": self._right,
        }
        whole = tuple(point for point in curve if point.epoch.is_integer())
        return Paused(self.done, copied(state), whole)

    def resume(self, paused: Paused) -> Sequence[CurvePoint]:
        """Go on from what `pause` returned; return its learning curve, reported anew."""
        state, taken = paused.state, paused.step % self._feed.steps
        self._model.load_state_dict(state["weights"], strict=False)
        self._optimizer.load_state_dict(state["optimizer"])
        if self._average:
            self._average.resume(state["average"])
        self._feed.resume(state["feed"])
        if taken:
            self._batches = self._feed.epoch(taken)
        if self._scaler:
            self._scaler.load_state_dict(state["scaler"])
        self._micro = min(self._micro, state["micro"])
        self._loss, self._right = self._loss + state["loss"], self._right + state["right"]
        self.done = paused.step
        for point in paused.curve:
            self._report(point.epoch, **point.metrics)
        set_torch_state(state["layers"], self._loss.device)
        return paused.curve

    @property
    def _scaler(self) -> torch.amp.GradScaler | None:
        return self.precision.scaler if self.precision else None

    def _step(self, inputs: Inputs, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Take a step, in smaller and smaller parts until they fit in the memory."""
        while True:
            try:
                return training_step(
                    self._train.through(self._model),
                    self._optimizer,
                    inputs,
                    targets,
                    smoothing=self._recipe.smoothing,
                    weights=self._weights,
                    clip=self._recipe.clip_grad,
                    l1=self._recipe.l1,
                    micro=self._micro,
                    precision=self.precision,
                )
            except HalfStepError:
                raise
            except RuntimeError as error:
                if not is_out_of_memory(error) or self._micro == 1:
                    raise
            # Outside of the handler, which keeps what the step had allocated alive.
            self._micro = math.ceil(self._micro / 2)
            self._optimizer.zero_grad(set_to_none=True)
            if targets.device.type == "cuda":
                torch.cuda.empty_cache()
