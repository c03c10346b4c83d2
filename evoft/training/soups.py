"""Greedy soups: the mean of the weights of models that lie in one basin.

The greedy recipe of Wortsman and others (Model soups, ICML 2022, section 2), with two changes.
Whether another model lies in the basin of the first is asked halfway between them (Frankle and
others, Linear mode connectivity, ICML 2020): a mean over two basins is worse than either.  And who
joins must lower the loss of validation, for accuracies of few images are often equal by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from evoft.soup import Fate
from evoft.training.examples import Examples
from evoft.training.judging import evaluate
from evoft.training.precision import Precision

#: All of a model's tensors, by name, on the CPU.
State = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Taste:
    """What weights are worth on the validation images."""

    #: As the run's metric has it, the higher the better.
    fitness: float
    loss: float


@dataclass(frozen=True, slots=True)
class Tasted:
    """What came of a soup."""

    #: What the base is worth alone, and the mean of all that were taken.
    alone: Taste
    taste: Taste
    #: What became of each of the others.
    fates: tuple[Fate, ...]


def judge_in(
    model: nn.Module, val: Examples, precision: Precision | None, metric: str
) -> Callable[[State], Taste]:
    """Return what judges weights on the images of validation.

    Args:
        model: On the device; it takes the weights.
        val: The images.
        precision: That the models were trained in.
        metric: What the fitness is.
    """

    def judge(state: State) -> Taste:
        model.load_state_dict(state)
        found = evaluate(model, val, precision, metric)
        return Taste(found[f"val_{metric}"], found["val_loss"])

    return judge


def greedy_soup(
    base: State, others: Iterable[State | None], judge: Callable[[State], Taste]
) -> Tasted:
    """Return whose weights make a mean that is better than the base.

    Args:
        base: The model that the soup begins with.
        others: Models of the same architecture, the most promising first; each is asked for once.
            None: its checkpoint cannot be read.
        judge: Judges weights on images that trained none of the models.
    """
    alone = taste = judge(base)
    soup, count, fates = base, 1, []
    for other in others:
        if other is None:
            fates.append(Fate.DAMAGED)
            continue
        least = min(alone.fitness, judge(other).fitness)
        if judge(mixed(base, other, 0.5)).fitness < least:
            fates.append(Fate.APART)
            continue
        tried = mixed(soup, other, 1 / (count + 1))
        found = judge(tried)
        better = found.fitness >= taste.fitness and found.loss < taste.loss
        fates.append(Fate.TAKEN if better else Fate.LEFT)
        if better:
            soup, taste, count = tried, found, count + 1
    return Tasted(alone, taste, tuple(fates))


def mean_of(states: Iterable[State]) -> dict[str, Tensor]:
    """Return the mean of at least one model, to the bit what ``greedy_soup`` judged."""
    soup: State = {}
    for count, state in enumerate(states):
        soup = mixed(soup, state, 1 / (count + 1)) if count else state
    return dict(soup)


def mixed(one: State, other: State, share: float) -> dict[str, Tensor]:
    """Return the weights at a share of the way from one model to another, ``[0, 1]``.

    What is no floating-point number, as a count of batches, stays the one's.
    """
    return {
        name: torch.lerp(tensor, other[name], share) if tensor.is_floating_point() else tensor
        for name, tensor in one.items()
    }
