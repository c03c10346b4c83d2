"""Grid search: every combination of a few values of each gene once, everybody trained in full.

A grid is never walked in the order of its genes, for a search that ends early would have seen one
corner.  Neighbours in the order used here differ in all genes that can differ: within as many
births as a gene has values it has had each of them, whichever gene it is.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from evoft.genome import Genome, Value, same
from evoft.search.chronicle import Chronicle
from evoft.search.gene import Gene
from evoft.search.genes import Choice
from evoft.search.sampling import Heedless, next_founder
from evoft.search.space import SearchSpace, values_of
from evoft.search.stint import Decision, Offspring
from evoft.seeds import generator

#: Values of each gene where none are set; a grid that is done is refined by the same factor, so
#: that the finer one has all of its points.
_POINTS = 3
#: The finest grid.
_FINEST = _POINTS**6


class Grid(Heedless):
    """The default, the named founders, then a grid; no outcome matters."""

    def __init__(self, chronicle: Chronicle) -> None:
        self._chronicle = chronicle
        self._walk = self._genomes()
        self._next = next(self._walk, None)

    def decide(self) -> Decision | None:
        """Return the next founder, or the next of the grid who means something new."""
        if (founder := next_founder(self._chronicle)) is not None:
            return founder
        while self._next is not None and not self._chronicle.may_be_born(self._next):
            self._next = next(self._walk, None)
        return None if self._next is None else Offspring(self._next, (), "grid")

    def _genomes(self) -> Iterator[Genome]:
        """Yield the grid that is set, or else finer and finer ones."""
        space, seed = self._chronicle.space, self._chronicle.seed
        if (points := self._chronicle.settings.points) is not None:
            yield from grid(space, points, seed)
            return
        points = _POINTS
        yield from grid(space, points, seed)
        while points < _FINEST and any(_is_thinned(gene, points) for gene in space.values()):
            points *= _POINTS
            yield from grid(space, points, seed)


def grid(space: SearchSpace, points: int, seed: int) -> Iterator[Genome]:
    """Yield each phenotype of a grid once, in an order that covers it early.

    A gene that does not count has its default, and does not multiply the grid.

    Args:
        space: The genes.
        points: Values of each gene, those of a choice apart, which has all of its own, and those
            with which other genes count, which come on top.
        seed: Of the order.
    """
    levels = {name: _levels_in(space, name, points) for name in space}
    cells = list(_cells(space, levels))
    shuffled = generator(seed, "grid", points).permutation(len(cells))
    walks = [_cell(space, levels, cells[i], seed, i) for i in shuffled.tolist()]
    while walks:
        going = []
        for walk in walks:
            if (genome := next(walk, None)) is not None:
                yield genome
                going.append(walk)
        walks = going


def levels_of(gene: Gene, points: int) -> list[Value]:
    """Return the values of a gene on a grid, in their order, each once.

    They are the middles of ``points`` equal parts of the gene's range, on its own scale; all values
    of a gene that has no more, and of a choice, for there is nothing between two of them.
    """
    if not _is_thinned(gene, points):
        return values_of(gene)
    values = [gene.at((i + 0.5) / points) for i in range(points)]
    # A logarithm may have several places at one whole number.
    return [value for value, _ in itertools.groupby(values)]


def _levels_in(space: SearchSpace, name: str, points: int) -> list[Value]:
    """Return a gene's values on a grid, and those with which other genes count."""
    gene, levels = space[name], levels_of(space[name], points)
    wanted = [value for other in space.values() for value in (other.when or {}).get(name, ())]
    missing = [value for value in wanted if not any(same(value, level) for level in levels)]
    return sorted({*levels, *missing}, key=gene.unit) if missing else levels


def _is_thinned(gene: Gene, points: int) -> bool:
    return not isinstance(gene, Choice) and gene.size > points


def _cells(space: SearchSpace, levels: dict[str, list[Value]]) -> Iterator[dict[str, Value]]:
    """Yield each way to set the genes on which others depend."""
    named = {other for gene in space.values() for other in gene.when or ()}
    names = [name for name in space if name in named]
    for values in itertools.product(*(levels[name] for name in names)):
        cell = dict(zip(names, values, strict=True))
        idle = [name for name in names if not space.active(cell, name)]
        # Of those that differ only in what does not count, one stands for all.
        if all(same(cell[name], levels[name][0]) for name in idle):
            yield cell | {name: space[name].standard for name in idle}


def _cell(
    space: SearchSpace,
    levels: dict[str, list[Value]],
    cell: dict[str, Value],
    seed: int,
    place: int,
) -> Iterator[Genome]:
    """Yield each genome of a cell once."""
    free = [name for name in space if name not in cell and space.active(cell, name)]
    sizes = [len(levels[name]) for name in free]
    genome = space.default().replace(**cell)
    for indexes in spread(sizes, generator(seed, "grid cell", place)):
        values = zip(free, indexes, strict=True)
        yield genome.replace(**{name: levels[name][index] for name, index in values})


def spread(sizes: Sequence[int], rng: np.random.Generator) -> Iterator[list[int]]:
    """Yield every list of indexes below ``sizes`` once, neighbours differing in all that can.

    The digits of a counter, the one of the largest size first and fastest, are mixed by a random
    triangular matrix modulo the sizes, as a digital sequence's are (Niederreiter 1992, chapter 4):
    a triangle with ones on its diagonal can be undone, so nothing comes twice.  Each index is then
    looked up in a random order of its own.

    Args:
        sizes: How many indexes each place has, at least 1.
        rng: Where the randomness comes from; all of it is drawn at the start.
    """
    places = sorted(range(len(sizes)), key=lambda place: -sizes[place])
    bases = np.array([sizes[place] for place in places], dtype=np.int64)
    mixing = np.array([_row(row, bases, rng) for row in range(len(bases))], dtype=np.int64)
    orders = [rng.permutation(base) for base in bases]
    for number in range(math.prod(sizes)):
        mixed = mixing @ _digits(number, bases) % bases if len(bases) else bases
        indexes = [0] * len(sizes)
        for place, order, digit in zip(places, orders, mixed, strict=True):
            indexes[place] = int(order[digit])
        yield indexes


def _row(row: int, bases: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return a row of the mixing matrix, ``(digits,)``."""
    base = int(bases[row])
    mixing = np.zeros(len(bases), dtype=np.int64)
    mixing[:row] = rng.integers(base, size=row)
    if row:  # with the fastest digit every index goes through all of its values
        units = [factor for factor in range(1, base + 1) if math.gcd(factor, base) == 1]
        mixing[0] = units[int(rng.integers(len(units)))]
    mixing[row] = 1
    return mixing


def _digits(number: int, bases: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the digits of a number in mixed bases, the fastest first."""
    digits = np.zeros(len(bases), dtype=np.int64)
    for place, base in enumerate(bases.tolist()):
        number, digits[place] = divmod(number, base)
        if not number:
            break
    return digits
