"""What stands in for parts of the evolution that no constant of its tuning takes away."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from evoft.ladder import Ladder
from evoft.search.evolution import operators
from evoft.search.evolution.brood import Breeding
from evoft.search.evolution.judge import Judge
from evoft.search.evolution.kernel import Kernel, Observations, Priors
from evoft.search.evolution.knowledge import Knowledge
from evoft.search.evolution.referee import Referee
from evoft.search.evolution.yardstick import Yardstick

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

_OPERATORS = ("crossover", "differential", "mutation", "resampling")
#: A variance that is as good as none.
_NOTHING = 1e-9

_priors, _yardstick, _other = Priors.of, Yardstick.of, operators._other
_observations, _referee = Knowledge.observations, Judge.referee


def one_rung(epochs: float, **_: float) -> Ladder:
    """Return the ladder whose one rung is a full training."""
    return Ladder((float(epochs),))


def shares_without(operator: str) -> dict[str, float]:
    """Return the options of broods without an operator, the others in proportion.

    One child of it stays in each brood, but of immigrants none.
    """
    shares = {name: float(getattr(Breeding(), name)) for name in _OPERATORS}
    shares["immigrants"] = 1.0 - sum(shares.values())
    whole = 1.0 - shares.pop(operator)
    return {f"brood_{name}": shares.get(name, 0.0) / whole for name in _OPERATORS}


def no_neighbours(
    places: Array, units: Array, moved: Array, ordered: bool, rng: Generator
) -> Array:
    """Leave an ordered gene where the step was too short for the next value."""
    return units if ordered else _other(places, units, moved, ordered, rng)


def without_terms(*terms: int) -> Callable[[int], Priors]:
    """Return the kernel's priors with some variances held at nothing."""

    def priors(genes: int) -> Priors:
        found = _priors(genes)
        medians, deviations = found.medians.copy(), found.deviations.copy()
        medians[list(terms)], deviations[list(terms)] = np.log(_NOTHING), 1e-2
        return Priors(medians, deviations)

    return priors


def prior_kernel(data: Observations, scores: Array, genes: Indices, priors: Priors) -> Kernel:
    """Return the kernel of the priors' medians, whatever was observed."""
    return Kernel(priors.medians, genes)


def unclipped(scores: Array, *, reach: float) -> Yardstick:
    """Return the yardstick whose clip lies at the worst score, which a failure has as well."""
    good = scores[np.isfinite(scores)]
    if not len(good) or good.max() == (middle := np.median(good)):
        return _yardstick(scores, reach=reach)
    return _yardstick(scores, reach=float((middle - good.min()) / (good.max() - middle)))


Chosen = Callable[[Indices], NDArray[np.bool_]]


def latest_alone(who: Indices) -> NDArray[np.bool_]:
    """Tell which observations, in their order, are the last of their individual."""
    _, last = np.unique(who[::-1], return_index=True)
    kept = np.zeros(len(who), dtype=np.bool_)
    kept[len(who) - 1 - last] = True
    return kept


def first_and_latest(who: Indices) -> NDArray[np.bool_]:
    """Tell which observations, in their order, are the first or the last of their individual."""
    return latest_alone(who) | latest_alone(who[::-1])[::-1]


def few_observations(observations: str, referee: str, chosen: Chosen) -> dict[str, Any]:
    """Return what to replace so that only the chosen observations are seen."""

    def seen(known: Knowledge, learned: int, most: int) -> tuple[Observations, Indices]:
        data, places = _observations(known, learned, most)
        kept = chosen(data.who)
        return _only(data, kept), places[kept]

    def judged(judge: Judge, scores: Array) -> tuple[Referee, Yardstick]:
        # Those that were appended since the last fit stand beside the earlier ones.
        found, yardstick = _referee(judge, scores)
        kept = chosen(found.data.who)
        if kept.all():
            return found, yardstick
        return Referee.of(found.kernel, _only(found.data, kept), found.scores[kept]), yardstick

    return {observations: seen, referee: judged}


def _only(data: Observations, kept: NDArray[np.bool_]) -> Observations:
    return replace(data, who=data.who[kept], when=data.when[kept])
