"""The training loop: one recipe, one seed, one learning curve."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from evoft.outcome import CurvePoint, Outcome, Status
from evoft.recipe import Recipe
from evoft.seeds import derive
from evoft.training.averaging import Average
from evoft.training.checkpoints import trained_state
from evoft.training.examples import Examples
from evoft.training.feed import Feed
from evoft.training.freezing import freeze, train_mode
from evoft.training.memory import is_out_of_memory
from evoft.training.optimization import (
    Inputs,
    Precision,
    make_optimizer,
    rate_factor,
    set_rate,
    training_step,
)

#: Images in a batch of validation, where no gradient is kept.
_VAL_BATCH = 256

#: Called as ``report(epoch, name=number, ...)``; without numbers it is a mere sign of life.
Report = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Trained:
    """What training gave: the outcome, and the weights that earned it."""

    outcome: Outcome
    #: What was trained, by name; empty unless the outcome is good.
    state: dict[str, Tensor]


@dataclass(slots=True)
class _Best:
    """The best epoch so far, for early stopping."""

    accuracy: float = -math.inf
    epoch: int = 0
    state: dict[str, Tensor] | None = None


def fine_tune(
    model: nn.Module,
    recipe: Recipe,
    train: Examples,
    val: Examples,
    seed: int,
    *,
    report: Report,
    amp: bool,
) -> Trained:
    """Fine-tune a model by a recipe.

    The fitness is the validation accuracy after the last epoch; with ``patience`` it is that of the
    best epoch, whose weights are then kept.

    Args:
        model: With its start weights, on the device; it is trained in place.
        recipe: What to do.
        train: What to learn from.
        val: What the fitness is measured on.
        seed: Of everything random from here on: order, augmentation, mixing, dropout.
        report: Told of each epoch, and of each step as a sign of life.
        amp: Mixed precision on a GPU.
    """
    torch.manual_seed(derive(seed, "layers"))
    freeze(model, recipe.freeze_depth)
    trainer = _Trainer(model, recipe, train, seed, report, amp)
    best, curve = _Best(), []
    for epoch in range(recipe.epochs):
        train_loss, train_accuracy = trainer.epoch(epoch)
        with trainer.averaged():
            val_loss, val_accuracy = evaluate(model, val)
            state = trained_state(model) if _wanted(recipe, epoch) else {}
        metrics = {
            "train_loss": train_loss,
            "train_accuracy": train_accuracy,
            "val_loss": val_loss,
            "val_accuracy": val_accuracy,
        }
        curve.append(CurvePoint(epoch + 1.0, metrics))
        report(epoch + 1.0, **metrics)
        if not (math.isfinite(train_loss) and math.isfinite(val_loss)):
            reason = f"the loss was not finite in epoch {epoch + 1}"
            return Trained(Outcome(Status.DIVERGED, reason=reason, curve=tuple(curve)), {})
        if recipe.patience:
            if val_accuracy > best.accuracy:
                best = _Best(val_accuracy, epoch, state)
            elif epoch - best.epoch >= recipe.patience:
                break
    state = state if best.state is None else best.state
    fitness = val_accuracy if best.state is None else best.accuracy
    return Trained(Outcome.of_fitness(fitness, curve=tuple(curve)), state)


def _wanted(recipe: Recipe, epoch: int) -> bool:
    """Tell whether the weights after an epoch may be those that are kept."""
    return bool(recipe.patience) or epoch == recipe.epochs - 1


class _Trainer:
    """What lasts from epoch to epoch."""

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        train: Examples,
        seed: int,
        report: Report,
        amp: bool,
    ) -> None:
        device = train.pixels.device
        self._model = model
        self._recipe = recipe
        self._train = train
        self._report = report
        self._optimizer = make_optimizer(model, recipe)
        self._feed = Feed(train, recipe, seed)
        #: Images that pass through the model at a time: fewer than a batch once memory ran out.
        self._micro = self._feed.batch
        self._precision = Precision.of(device) if amp else None
        self._average = Average(model, recipe.model_ema) if recipe.model_ema else None

    def averaged(self) -> AbstractContextManager[None]:
        """Return a context in which the model has the weights that are judged and kept."""
        return nullcontext() if self._average is None else self._average.applied()

    def epoch(self, number: int) -> tuple[float, float]:
        """Train for one epoch; return the mean loss and the share of images classified rightly."""
        feed, recipe = self._feed, self._recipe
        device = self._train.pixels.device
        train_mode(self._model)
        loss_sum = torch.zeros((), device=device)
        right = torch.zeros((), device=device, dtype=torch.int64)
        for step, (inputs, targets, labels) in enumerate(feed.epoch()):
            done = (number + (step + 0.5) / feed.steps) / recipe.epochs
            set_rate(self._optimizer, rate_factor(recipe, done))
            loss, logits = self._step(inputs, targets)
            if self._average is not None:
                self._average.update()
            loss_sum += loss
            right += (logits.argmax(dim=1) == labels).sum()
            self._report(number + step / feed.steps)
        return float(loss_sum) / feed.steps, int(right) / (feed.steps * feed.batch)

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
                    l1=self._recipe.l1,
                    micro=self._micro,
                    precision=self._precision,
                )
            except RuntimeError as error:
                if not is_out_of_memory(error) or self._micro == 1:
                    raise
            # Outside of the handler, which keeps what the step had allocated alive.
            self._micro = math.ceil(self._micro / 2)
            self._optimizer.zero_grad(set_to_none=True)
            if targets.device.type == "cuda":
                torch.cuda.empty_cache()


@torch.inference_mode()
def predict(model: nn.Module, examples: Examples) -> Tensor:
    """Return the logits ``(images, classes)`` of a split, in float32, in its own order."""
    model.eval()
    network = examples.through(model)
    places = torch.arange(len(examples), device=examples.pixels.device)
    batches = (places[i : i + _VAL_BATCH] for i in range(0, len(examples), _VAL_BATCH))
    return torch.cat([_logits(network, examples, batch) for batch in batches])


def _logits(model: nn.Module, examples: Examples, places: Tensor) -> Tensor:
    """Return the logits of some images, in smaller and smaller parts until they fit."""
    try:
        return model(examples.inputs(places)).float()  # type: ignore[no-any-return]
    except RuntimeError as error:
        if not is_out_of_memory(error) or len(places) == 1:
            raise
    half = len(places) // 2
    return torch.cat([_logits(model, examples, part) for part in (places[:half], places[half:])])


def evaluate(model: nn.Module, examples: Examples) -> tuple[float, float]:
    """Return the mean loss, and the share of the images that are classified rightly."""
    logits = predict(model, examples)
    loss = float(cross_entropy(logits, examples.labels))
    return loss, float((logits.argmax(dim=1) == examples.labels).sum()) / len(examples)
