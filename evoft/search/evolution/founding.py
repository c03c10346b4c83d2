"""Who is born before there is anything to judge by, and how the default leads them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.random import Generator

from evoft.search.chronicle import Chronicle
from evoft.search.evolution.knowledge import Knowledge
from evoft.search.founders import founders
from evoft.search.novelty import make_new
from evoft.search.stint import Offspring
from evoft.seeds import generator

#: Founders that are a sample of the space at least, however many are named: who was named may all
#: be alike.
_SAMPLES = 2


class Founding:
    """The first births of a search: the default, the named, a sample.

    Args:
        chronicle: What has happened in the search.
        known: What is known of who was born.
        least: How many founders there are, unless more are named.
        lead: Whether a default that is stated climbs first, and on whenever it can.
    """

    def __init__(self, chronicle: Chronicle, known: Knowledge, *, least: int, lead: bool) -> None:
        self._chronicle = chronicle
        self._known = known
        #: How many founders there are; a small space may have fewer.
        self.count = max(least, 1 + len(chronicle.named) + _SAMPLES)
        self._leads = lead and chronicle.space.states_default
        self._founders: list[Offspring] | None = None
        self._next: tuple[int, Offspring | None] = (-1, None)  # the founder of a number

    @property
    def is_on(self) -> bool:
        """Whether the next to be born is a founder."""
        if len(self._chronicle.born) >= self.count:
            return False
        return self._chronicle.space.size == np.inf or self.next() is not None

    @property
    def is_led(self) -> bool:
        """Whether the stated default has still to climb, which is what the others must beat.

        Who takes the best recipe home after a single full training has that one at least.
        """
        known, top = self._known, self._chronicle.ladder.top
        return self._leads and (known.is_waiting(0) or known.running.get(0, top) < top)

    def next(self) -> Offspring | None:
        """Return the next founder; None where every phenotype has been born."""
        chronicle, number = self._chronicle, len(self._chronicle.born)
        if self._next[0] != number:
            if self._founders is None:
                self._founders = founders(
                    chronicle.space, chronicle.named, self.count, chronicle.seed
                )
            rng = generator(chronicle.seed, "founder", number)
            self._next = number, unbred(chronicle, self._founders[number], "sample", rng)
        return self._next[1]


def unbred(
    chronicle: Chronicle, child: Offspring, stranger: str, rng: Generator
) -> Offspring | None:
    """Return a child without parents, or a stranger if one like it was born.

    Its step size is that of the settings.  None where every phenotype has been born.

    Args:
        chronicle: What has happened in the search.
        child: Who is to be born.
        stranger: What the operator of a stranger is called.
        rng: Draws strangers.
    """
    new = make_new(chronicle, child, stranger, rng)
    return replace(new, step=chronicle.settings.sigma) if new else None
