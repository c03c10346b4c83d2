"""Generation 0: named founders, then a space-filling sample."""

from __future__ import annotations

from evoft.search.chronicle import Founders
from evoft.search.prior import Prior
from evoft.search.sobol import sobol_points
from evoft.search.space import SearchSpace
from evoft.search.stint import Offspring


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
        prior = Prior.of(space)
        points = sobol_points(len(space), seed, first=0, count=missing)
        believed = missing // 2 if prior else 0
        if prior:
            chosen += [Offspring(prior.at(point), (), "prior") for point in points[:believed]]
        chosen += [Offspring(space.at(point), (), "sample") for point in points[believed:]]
    return chosen[:count]
