"""Nobody is born twice: what is born instead of an offspring that means the same as an elder."""

from __future__ import annotations

from collections.abc import Callable

from numpy.random import Generator

from evoft.search.chronicle import Chronicle
from evoft.search.stint import Offspring

#: Tries to make an offspring new by mutation, then by fresh samples, before giving up.
_MUTATIONS, _STRANGERS = 16, 256
#: Spaces up to this size are searched through for what is left of them.
_SMALL = 20_000


def make_new(
    chronicle: Chronicle,
    child: Offspring,
    stranger: str,
    rng: Generator,
    mutant: Callable[[Offspring], Offspring] | None = None,
) -> Offspring | None:
    """Return ``child``, or else a mutant of it, a stranger, or what is left of the space.

    Args:
        chronicle: Who was born.
        child: Whoever is to be born.
        stranger: The operator that a stranger is recorded with.
        rng: Where the strangers' genes come from.
        mutant: Mutates an offspring once more; None: strangers take its place at once.

    Returns:
        None when every phenotype of the space has been born, as far as can be told.
    """
    if chronicle.may_be_born(child.genome):
        return child
    for _ in range(_MUTATIONS if mutant and child.parents else 0):
        assert mutant is not None
        child = mutant(child)
        if chronicle.may_be_born(child.genome):
            return child
    space = chronicle.space
    for _ in range(_STRANGERS):
        genome = space.sample(rng)
        if chronicle.may_be_born(genome):
            return Offspring(genome, (), stranger)
    left = space.genomes() if space.size <= _SMALL else iter(())
    return next((Offspring(g, (), stranger) for g in left if chronicle.may_be_born(g)), None)
