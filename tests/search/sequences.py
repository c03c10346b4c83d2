"""The sample that a search is to draw."""

from __future__ import annotations

from evoft.genome import Genome
from evoft.search.sobol import sobol_points
from evoft.search.space import SearchSpace


def sobol(space: SearchSpace, count: int, seed: int) -> list[Genome]:
    """Return ``count`` genomes of a scrambled Sobol sequence over the space."""
    return [space.at(point) for point in sobol_points(len(space), seed, first=0, count=count)]
