"""Genomes as rows of numbers: places on the unit interval for breeding, columns for the referee."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evoft.genome import Genome, Value
from evoft.search.gene import Gene
from evoft.search.genes import Choice, Integer, Ordinal
from evoft.search.space import SearchSpace

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

#: Two values of a choice are as far apart as the two ends of an ordered gene.
_APART = np.sqrt(0.5)
#: Whole numbers of a wider range than this are bred as if they were continuous.
_MANY = 1024


@dataclass(frozen=True)
class Condition:
    """That a gene counts where another has one of some values."""

    gene: int
    other: int
    #: Units of the values.
    units: Array
    #: The other gene and its values where it has so many that units are not snapped to them, so
    #: that units near a value's own mean it, too; else None.
    near: tuple[Gene, frozenset[Value]] | None

    @staticmethod
    def of(gene: int, other: int, known: Gene, values: Sequence[Value]) -> Condition:
        """Return the condition that wants ``values`` of the gene ``known``."""
        loose = isinstance(known, Integer) and _places(known) is None
        units = np.array([known.unit(value) for value in values])
        return Condition(gene, other, units, (known, frozenset(values)) if loose else None)

    def holds(self, units: Array) -> NDArray[np.bool_]:
        """Tell where the other gene, at these units, ``(k,)``, has one of the values."""
        if self.near is None:
            return np.isin(units, self.units)
        known, values = self.near
        return np.array([known.at(float(unit)) in values for unit in units], dtype=bool)


@dataclass(frozen=True, slots=True)
class Encoding:
    """A space seen as a cube.

    A genome's *units* are its genes' places on the unit interval, ``(genes,)``; those of a gene
    with few values are exactly the places of its values.
    """

    space: SearchSpace
    #: For each gene its values' places, ascending; None for one with a continuum of them.
    places: tuple[Array | None, ...]
    #: For each column of a row its gene, ``(columns,)``.
    genes: Indices
    #: Which genes are ordered, ``(genes,)``.
    ordered: NDArray[np.bool_]
    #: What makes genes count; none comes before one of a gene that it names.
    conditions: tuple[Condition, ...]

    @staticmethod
    def of(space: SearchSpace) -> Encoding:
        """Return the encoding of a space."""
        widths = [1 if gene.ordered else int(gene.size) for gene in space.values()]
        places = tuple(_places(gene) for gene in space.values())
        ordered = np.array([gene.ordered for gene in space.values()])
        columns = np.repeat(np.arange(len(space)), widths)
        return Encoding(space, places, columns, ordered, _conditions(space))

    def units(self, genome: Mapping[str, Value]) -> Array:
        """Return a genome's units, ``(genes,)``."""
        return np.array([gene.unit(genome[name]) for name, gene in self.space.items()])

    def snap(self, units: Array) -> Array:
        """Return units, ``(k, genes)``, moved to the nearest values of their genes."""
        snapped = units.copy()
        for gene, places in enumerate(self.places):
            if places is not None:
                snapped[:, gene] = places[_nearest(places, units[:, gene])]
        return snapped

    def active(self, units: Array) -> NDArray[np.bool_]:
        """Tell which genes count in each row of units, ``(k, genes)``."""
        counts = np.ones(units.shape, dtype=bool)
        for condition in self.conditions:
            holds = condition.holds(units[:, condition.other])
            counts[:, condition.gene] &= counts[:, condition.other] & holds
        return counts

    def rows(self, units: Array) -> Array:
        """Return what the referee sees, ``(k, columns)``, of units, ``(k, genes)``.

        Ordered genes have a column, choices one a value.  A gene that does not count stands in
        the middle of its range, or at no value of its choice, so two genomes in which it does not
        count agree in it.
        """
        active = self.active(units)
        columns = []
        for place, gene in enumerate(self.space.values()):
            if gene.ordered:
                columns.append(np.where(active[:, place], units[:, place], 0.5)[:, None])
            else:
                size = int(gene.size)
                index = (units[:, place] * size).astype(int)
                chosen = (index[:, None] == np.arange(size)) & active[:, place, None]
                columns.append(_APART * chosen)
        return np.hstack(columns)

    def genome(self, units: Array, parents: Iterable[Mapping[str, Value]] = ()) -> Genome:
        """Return the genome at ``units``, ``(genes,)``.

        A gene that stands where a parent's does has that parent's value, to the bit.
        """
        known = [(parent, self.units(parent)) for parent in parents]
        values: dict[str, Value] = {}
        for place, (name, gene) in enumerate(self.space.items()):
            inherited = (parent[name] for parent, u in known if u[place] == units[place])
            value = next(inherited, None)
            values[name] = gene.at(float(units[place])) if value is None else value
        return Genome(values)


def _places(gene: Gene) -> Array | None:
    if isinstance(gene, Ordinal | Choice):
        return np.array([gene.unit(value) for value in gene.values])
    if isinstance(gene, Integer) and gene.size <= _MANY:
        return np.array([gene.unit(value) for value in range(gene.low, gene.high + 1)])
    return None


def _nearest(places: Array, units: Array) -> Indices:
    edges = (places[1:] + places[:-1]) / 2.0
    return np.searchsorted(edges, units)


def _conditions(space: SearchSpace) -> tuple[Condition, ...]:
    order: dict[str, None] = {}

    def visit(name: str) -> None:
        for other in space[name].when or ():
            visit(other)
        order.setdefault(name)

    for name in space:
        visit(name)
    place = {name: i for i, name in enumerate(space)}
    return tuple(
        Condition.of(place[name], place[other], space[other], values)
        for name in order
        for other, values in (space[name].when or {}).items()
    )
