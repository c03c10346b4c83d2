"""Whom strategies that do not breed have born: the founders, then a sample of the space."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evoft.genome import Genome
from evoft.outcome import Outcome
from evoft.search.chronicle import Chronicle
from evoft.search.founders import founders
from evoft.search.novelty import make_new
from evoft.search.sobol import sobol_points
from evoft.search.space import SearchSpace
from evoft.search.stint import Offspring, Stint
from evoft.seeds import generator

#: Elements of a sequence that are drawn at a time.
_BLOCK = 256
#: Elements of a sequence that may be no news, beside as many as were born, before it is given up.
_STALE = 1024


class Heedless:
    """What strategies have in common that look at no outcome."""

    @property
    def blind(self) -> bool:
        """Always."""
        return True

    def take(self, stint: Stint) -> None:
        """Note nothing: who was born stands in the chronicle."""

    def learn(self, stint: Stint, outcome: Outcome) -> None:
        """Learn nothing."""


class Sobol:
    """A scrambled Sobol sequence (Owen 1998) over a space: element ``n`` is ``sequence[n]``.

    An element follows from the space, the seed and its number alone, however far one goes.  A
    generation 0 of the same seed is its beginning.
    """

    def __init__(self, space: SearchSpace, seed: int) -> None:
        self._space = space
        self._seed = seed
        self._block = -1
        self._points: NDArray[np.float64] = np.empty((0, len(space)))

    def __getitem__(self, number: int) -> Genome:
        return self._space.at(self.point(number))

    def point(self, number: int) -> NDArray[np.float64]:
        """Return element ``number`` on the unit cube, ``(genes,)``."""
        block, place = divmod(number, _BLOCK)
        if block != self._block:
            first, genes = block * _BLOCK, len(self._space)
            self._points = sobol_points(genes, self._seed, first=first, count=_BLOCK)
            self._block = block
        return np.asarray(self._points[place])


class Sample:
    """The founders, then a scrambled Sobol sequence, no phenotype twice.

    Where genes have a confidence, some of its elements are spread as is believed, fewer and fewer.
    """

    def __init__(self, chronicle: Chronicle) -> None:
        self._chronicle = chronicle
        self._sequence = Sobol(chronicle.space, chronicle.seed)
        self._first = 0  # the elements before this one are no news, and never will be again

    def next(self) -> Offspring | None:
        """Return whoever is to be born next; None: every phenotype has been."""
        chronicle = self._chronicle
        if (founder := next_founder(chronicle)) is not None:
            return founder
        # How far to look must follow from who was born, not from where an earlier look ended.
        for number in range(self._first, 2 * len(chronicle.born) + _STALE):
            element = self._element(number)
            if chronicle.may_be_born(element.genome):
                return element
            self._first = number + 1
        return stranger(chronicle)

    def _element(self, number: int) -> Offspring:
        prior = self._chronicle.prior
        if prior and prior.guides(self._chronicle.seed, number):
            return Offspring(prior.at(self._sequence.point(number)), (), "prior")
        return Offspring(self._sequence[number], (), "sample")


def next_founder(chronicle: Chronicle) -> Offspring | None:
    """Return the default recipe or the named founder that is due; None: a sample is, instead.

    The first birth is the default, then come the named founders, one each.  In the place of one
    who means the same as an elder comes a sample.
    """
    number, named = len(chronicle.born), chronicle.named
    if number > len(named):
        return None
    founder = founders(chronicle.space, named, 1 + len(named), chronicle.seed)[number]
    return founder if chronicle.may_be_born(founder.genome) else None


def newcomer(chronicle: Chronicle) -> Offspring | None:
    """Return a founder or, after them, a genome drawn independently of all others.

    Returns:
        None when every phenotype of the space has been born, as far as can be told.
    """
    return next_founder(chronicle) or stranger(chronicle)


def stranger(chronicle: Chronicle) -> Offspring | None:
    """Return a genome drawn evenly or as is believed, or what is left; None as above."""
    number, prior = len(chronicle.born), chronicle.prior
    rng = generator(chronicle.seed, "sample", number)
    if prior and prior.guides(chronicle.seed, number):
        drawn = Offspring(prior.sample(rng), (), "prior")
    else:
        drawn = Offspring(chronicle.space.sample(rng), (), "sample")
    return make_new(chronicle, drawn, "sample", rng)
