"""Generation 0: named founders, then a space-filling sample."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from evoft.genome import Genome
from evoft.search.chronicle import Founders
from evoft.search.prior import Prior
from evoft.search.space import SearchSpace
from evoft.search.stint import Offspring
from evoft.seeds import generator


def founders(space: SearchSpace, named: Founders, count: int, seed: int) -> list[Offspring]:
    """Return the first ``count`` individuals: the default, the named ones, then a sample.

    The sample is a scrambled Sobol sequence (Owen 1998) over the unit cube of the genes.  Where
    genes have a confidence, its first half is spread as is believed; the second half is not, for
    a belief may be wrong.

    Raises:
        SpaceError: A named founder has a gene or a value that the space does not have.
    """
    genomes = {"default": space.default()}
    genomes |= {name: space.complete(part) for name, part in named.items()}
    chosen = [Offspring(genome, (), name) for name, genome in genomes.items()]
    if (missing := count - len(chosen)) > 0:
        prior, points = Prior.of(space), _points(space, missing, seed)
        believed = missing // 2 if prior else 0
        if prior:
            chosen += [Offspring(prior.at(point), (), "prior") for point in points[:believed]]
        chosen += [Offspring(space.at(point), (), "sample") for point in points[believed:]]
    return chosen[:count]


def sobol(space: SearchSpace, count: int, seed: int) -> list[Genome]:
    """Return ``count`` genomes of a scrambled Sobol sequence over the space."""
    return [space.at(point) for point in _points(space, count, seed)]


def _points(space: SearchSpace, count: int, seed: int) -> NDArray[np.float64]:
    # scipy.stats takes half a second to import, and a resumed run may never need it.
    from scipy.stats import qmc

    sequence = qmc.Sobol(d=len(space), rng=generator(seed, "founders"))
    with warnings.catch_warnings():
        # Balance wants a power of two; being well spread does not.
        warnings.filterwarnings("ignore", message="The balance properties")
        return np.asarray(sequence.random(count), dtype=np.float64)
