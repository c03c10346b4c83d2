"""The operators of a brood, over whole arrays: *units* in, units out, one row a child.

Units are the places of genes on the unit interval (``encoding.py``), so a brood of a hundred is
bred in a few milliseconds; only the child that is born becomes a genome.  The step size of a
mutation is a trait: a child inherits its parents' and changes it a little before it uses it
(Schwefel's self-adaptation; Beyer and Schwefel 2002, section 4.2), so that steps which bear good
children spread.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from evoft.search.evolution.encoding import Array, Encoding

#: How fast the step size changes from parent to child, and where it stays.
_LEARNING_RATE = 0.5
SHORTEST, LONGEST = 0.01, 0.5
#: Of a mutant that changes in few genes: how many, about.  Of one that changes in most: the
#: probability that an ordered gene does, and a choice.
_FEW, _MOST, _CHOICES = 1.5, 0.8, 0.1


def cross(
    units: Array, steps: Array, others: Array, other_steps: Array, rng: Generator
) -> tuple[Array, Array]:
    """Return children with each gene from either parent (Syswerda 1989), ``(k, genes)``."""
    first = rng.random(units.shape) < 0.5
    return np.where(first, units, others), np.sqrt(steps * other_steps)


def vary(
    encoding: Encoding, units: Array, steps: Array, plus: Array, minus: Array, rng: Generator
) -> tuple[Array, Array]:
    """Return ``units`` moved along the difference of others (Storn and Price 1997, equation 2).

    Ordered genes move by a random share of it, in some genes only; a choice takes the value of
    ``plus`` where the two others differ in it.
    """
    count = len(units)
    weights = rng.uniform(0.2, 1.0, (count, 1))
    moves = rng.random(units.shape) < rng.uniform(0.3, 1.0, (count, 1))
    moves &= plus != minus
    moved = np.where(encoding.ordered, _kept(units + weights * (plus - minus), rng), plus)
    return np.where(moves, encoding.snap(moved), units), _heirs(steps, rng)


def mutate(encoding: Encoding, units: Array, steps: Array, rng: Generator) -> tuple[Array, Array]:
    """Return mutants: Gaussian steps and neighbours for ordered genes, now and then a new choice.

    Half of the mutants change in most genes, half in one or two: the first follow a slope, the
    second cross a ridge.  At least one gene that counts changes.
    """
    steps = _heirs(steps, rng)
    few = rng.random((len(units), 1)) < 0.5
    rates = np.where(few, _FEW / units.shape[1], np.where(encoding.ordered, _MOST, _CHOICES))
    chosen = _at_least_one(encoding, units, rng.random(units.shape) < rates, rng)
    moved = _kept(units + steps[:, None] * rng.normal(size=units.shape), rng)
    snapped = encoding.snap(moved)
    for gene, places in enumerate(encoding.places):
        if places is not None and len(places) > 1:
            ordered = bool(encoding.ordered[gene])
            other = _other(places, units[:, gene], moved[:, gene], ordered, rng)
            away = (snapped[:, gene] == units[:, gene]) | (not ordered)
            snapped[:, gene] = np.where(away, other, snapped[:, gene])
    return np.where(chosen, snapped, units), steps


def resample(encoding: Encoding, units: Array, steps: Array, rng: Generator) -> tuple[Array, Array]:
    """Return rows with one or two genes drawn anew from their whole range."""
    chosen = rng.random(units.shape) < 1.0 / units.shape[1]
    chosen = _at_least_one(encoding, units, chosen, rng)
    return np.where(chosen, encoding.snap(rng.random(units.shape)), units), steps


def _heirs(steps: Array, rng: Generator) -> Array:
    return np.clip(steps * np.exp(_LEARNING_RATE * rng.normal(size=len(steps))), SHORTEST, LONGEST)


def _other(places: Array, units: Array, moved: Array, ordered: bool, rng: Generator) -> Array:
    """Return for each place another value's: a neighbour on the side moved to, or any at all."""
    now, count = np.searchsorted(places, units), len(places)
    if not ordered:
        return np.asarray(places[(now + rng.integers(1, count, len(units))) % count])
    side = np.where(moved > units, 1, -1)
    side = np.where((now + side < 0) | (now + side >= count), -side, side)
    return np.asarray(places[now + side])


def _at_least_one(
    encoding: Encoding, units: Array, chosen: NDArray[np.bool_], rng: Generator
) -> NDArray[np.bool_]:
    active = encoding.active(units)
    drawn = np.argmax(np.where(active, rng.random(units.shape), -1.0), axis=1)
    idle = ~(chosen & active).any(axis=1)
    chosen[idle, drawn[idle]] = True
    return chosen


def _kept(units: Array, rng: Generator) -> Array:
    """Return rows moved back into ``[0, 1]``: half of them to the bounds, the others folded back.

    The best of a box often lies on its bounds, where folding never comes; but if all stopped there
    they would pile up.
    """
    folded = np.fmod(np.abs(units), 2.0)
    folded = np.where(folded > 1.0, 2.0 - folded, folded)
    return np.where(rng.random((len(units), 1)) < 0.5, np.clip(units, 0.0, 1.0), folded)
