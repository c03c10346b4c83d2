"""Generation 0: named founders, then a space-filling sample."""

from __future__ import annotations

import warnings

from evoft.genome import Genome
from evoft.search.chronicle import Founders
from evoft.search.space import SearchSpace
from evoft.search.stint import Offspring
from evoft.seeds import generator


def founders(space: SearchSpace, named: Founders, count: int, seed: int) -> list[Offspring]:
    """Return the first ``count`` individuals: the default, the named ones, then a sample.

    The sample is a scrambled Sobol sequence (Owen 1998) over the unit cube of the genes.

    Raises:
        SpaceError: A named founder has a gene or a value that the space does not have.
    """
    genomes = {"default": space.default()}
    genomes |= {name: space.complete(part) for name, part in named.items()}
    chosen = [Offspring(genome, (), name) for name, genome in genomes.items()]
    if missing := count - len(chosen):
        chosen += [Offspring(g, (), "sample") for g in sobol(space, max(missing, 0), seed)]
    return chosen[:count]


def sobol(space: SearchSpace, count: int, seed: int) -> list[Genome]:
    """Return ``count`` genomes of a scrambled Sobol sequence over the space."""
    # scipy.stats takes half a second to import, and a resumed run may never need it.
    from scipy.stats import qmc

    sequence = qmc.Sobol(d=len(space), rng=generator(seed, "founders"))
    with warnings.catch_warnings():
        # Balance wants a power of two; being well spread does not.
        warnings.filterwarnings("ignore", message="The balance properties")
        points = sequence.random(count)
    return [space.at(point) for point in points]
