"""A search space: named genes, the conditions between them, and its written form."""

from __future__ import annotations

import itertools
import math
import tomllib
from collections.abc import ItemsView, Iterator, Mapping, Sequence, ValuesView
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoft.errors import SpaceError
from evoft.genome import Genome, Value, same
from evoft.rules import plain
from evoft.search.gene import Gene
from evoft.search.genes import Integer, gene_of, is_finite


class SearchSpace(Mapping[str, Gene]):
    """Named genes, immutable: ``SearchSpace(lr=Float(1e-5, 1e-1, log=True))``.

    Every genome of the space has a value for every gene; a gene whose condition does not hold is
    carried on silently and handed down, but has no part in the ``phenotype``.

    Each gene may have a ``default``, its value in the default genome (else the middle, or the first
    choice), with a ``confidence`` that good values are near (``low``, ``medium`` or ``high``), and
    a condition: ``when={"opt": ["sgd"]}`` lets it count only with these values of another gene.

    Raises:
        SpaceError: No gene at all, or a condition on a gene that is not there, on a value that it
            cannot have, or on the gene itself by way of others.
    """

    __slots__ = ("_genes", "_wanted", "loose", "ordered")

    def __init__(self, genes: Mapping[str, Gene] | None = None, /, **named: Gene) -> None:
        everything = {**(genes or {}), **named}
        for name, gene in everything.items():
            if not isinstance(name, str):
                raise SpaceError(f"a gene's name must be a text, but is {name!r}")
            if not isinstance(gene, Gene):
                raise SpaceError(
                    f"{name}: a gene must be a Float, Integer, Ordinal or Choice, but is {gene!r}"
                )
        if not everything:
            raise SpaceError("a search space must have at least one gene, but has none")
        self._genes = MappingProxyType(everything)
        #: Places of the ordered genes, and of the others.
        self.ordered = tuple(i for i, gene in enumerate(everything.values()) if gene.ordered)
        self.loose = tuple(i for i, gene in enumerate(everything.values()) if not gene.ordered)
        for name in everything:
            self._check_condition(name)
        self._check_circles()
        #: For each gene the others that its condition names, with the values that it wants of each.
        self._wanted = {
            name: [(other, set(map(_typed, values))) for other, values in (gene.when or {}).items()]
            for name, gene in everything.items()
        }

    def __getitem__(self, name: str) -> Gene:
        return self._genes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._genes)

    def __len__(self) -> int:
        return len(self._genes)

    def values(self) -> ValuesView[Gene]:
        """Return the genes, in their order."""
        return self._genes.values()

    def items(self) -> ItemsView[str, Gene]:
        """Return the genes with their names, in their order."""
        return self._genes.items()

    def __repr__(self) -> str:
        return f"SearchSpace({', '.join(f'{name}={gene!r}' for name, gene in self.items())})"

    def __reduce__(self) -> tuple[type[SearchSpace], tuple[dict[str, Gene]]]:
        return SearchSpace, (dict(self._genes),)

    def _check_condition(self, name: str) -> None:
        when = self[name].when
        if when is not None and not isinstance(when, Mapping):
            raise SpaceError(
                f"{name}: its condition must give a list of values for each gene that it names, "
                f"but is {when!r}"
            )
        for other, values in (when or {}).items():
            if other not in self:
                raise SpaceError(f"{name}: its condition names `{other}`, which is no gene here")
            if isinstance(values, str) or not isinstance(values, Sequence) or not values:
                raise SpaceError(
                    f"{name}: its condition must list the values of {other}, but gives {values!r}"
                )
            for value in values:
                if not self[other].holds(value):
                    raise SpaceError(
                        f"{name}: its condition wants {other} = {value!r}, which is not in "
                        f"{self[other].describe()}"
                    )

    def _check_circles(self) -> None:
        for name in self:
            seen, edge = {name}, set(self[name].when or ())
            while edge:
                if name in edge:
                    raise SpaceError(f"{name}: its condition depends on {name} itself")
                seen |= edge
                edge = {o for n in edge for o in (self[n].when or ())} - (seen - {name})

    @property
    def size(self) -> float:
        """How many genomes there are, conditions left aside; possibly infinite."""
        return math.prod(gene.size for gene in self.values())

    def active(self, genome: Mapping[str, Value], name: str) -> bool:
        """Tell whether the gene ``name`` counts in ``genome``."""
        for other, values in self._wanted[name]:
            if not self.active(genome, other) or _typed(genome[other]) not in values:
                return False
        return True

    def phenotype(self, genome: Mapping[str, Value]) -> dict[str, Any]:
        """Return the genes that count in ``genome``, in the order of the space."""
        return {
            name: genome[name]
            for name, wanted in self._wanted.items()
            if not wanted or self.active(genome, name)
        }

    def default(self) -> Genome:
        """Return the genome of every gene's default."""
        return Genome({name: gene.standard for name, gene in self.items()})

    @property
    def states_default(self) -> bool:
        """Whether any gene's default was given, rather than taken from the middle."""
        return any(gene.default is not None for gene in self.values())

    def at(self, units: Sequence[float] | NDArray[np.float64]) -> Genome:
        """Return the genome at a point of the unit cube, ``(genes,)`` in ``[0, 1]``."""
        pairs = zip(self.items(), units, strict=True)
        return Genome({name: gene.at(float(unit)) for (name, gene), unit in pairs})

    def sample(self, rng: np.random.Generator) -> Genome:
        """Return a genome drawn evenly from the unit cube."""
        return self.at(rng.random(len(self)))

    def genomes(self) -> Iterator[Genome]:
        """Yield every genome of a finite space, in the order of its genes."""
        for values in itertools.product(*map(values_of, self.values())):
            yield Genome(dict(zip(self, values, strict=True)))

    def check(self, genome: Mapping[str, Value]) -> Genome:
        """Return ``genome`` if it belongs to the space; whole numbers pass for a Float.

        Raises:
            SpaceError: A gene is missing, unknown, or has a value that it cannot have.
        """
        if unknown := [name for name in genome if name not in self]:
            raise SpaceError(f"`{unknown[0]}` is no gene here; the genes are {', '.join(self)}")
        values: dict[str, Value] = {}
        for name, gene in self.items():
            if name not in genome:
                raise SpaceError(f"{name}: the genome has no value for it")
            values[name] = coerce(gene, genome[name])
            if not gene.holds(values[name]):
                raise SpaceError(f"{name}: {genome[name]!r} is not in {gene.describe()}")
        return Genome(values)

    def complete(self, part: Mapping[str, Value]) -> Genome:
        """Return the default genome with the genes of ``part`` set; raises as ``check`` does."""
        return self.check({**self.default(), **part})

    def pin(self, **values: Value) -> SearchSpace:
        """Return the space without these genes; genes whose condition then never holds go too.

        Raises:
            SpaceError: No gene would be left.
        """
        left: dict[str, Gene] = {}
        for name, gene in self.items():
            if name in values:
                continue
            conditions = {}
            for other, wanted in (gene.when or {}).items():
                if other not in values:
                    conditions[other] = tuple(wanted)
                elif not any(same(values[other], value) for value in wanted):
                    break
            else:
                left[name] = _with_condition(gene, conditions)
        while dead := [n for n, g in left.items() if any(o not in left for o in (g.when or ()))]:
            for name in dead:
                del left[name]
        if not left:
            raise SpaceError("every gene is fixed, so there is nothing to search: leave one free")
        return SearchSpace(left)

    def to_dict(self) -> dict[str, Any]:
        """Return the space as plain JSON data."""
        return {name: gene.to_dict() for name, gene in self.items()}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> SearchSpace:
        """Return the space that ``to_dict`` or a TOML file describes.

        Raises:
            SpaceError: The gene, what is wrong with it, and what it should be.
        """
        genes: dict[str, Gene] = {}
        for name, table in data.items():
            if not isinstance(table, Mapping):
                raise SpaceError(f"{name}: a gene is a table with a `type`, but is {table!r}")
            try:
                genes[name] = gene_of(table)
            except SpaceError as error:
                raise SpaceError(f"{name}: {error}") from None
        return SearchSpace(genes)

    @staticmethod
    def from_toml(text: str) -> SearchSpace:
        """Return the space that a TOML text describes, one table a gene; raises as above."""
        try:
            tables = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise SpaceError(f"the search space is not valid TOML: {error}") from None
        inner = tables.get("space")
        if isinstance(inner, Mapping) and "type" not in inner and inner:
            raise SpaceError(
                f"[space.{next(iter(inner))}] is how a gene is written in a configuration (-c): in "
                f"a file of its own (--space) it is [{next(iter(inner))}]"
            )
        return SearchSpace.from_dict(tables)


def _typed(value: Value) -> tuple[type, Value]:
    return type(value), value


def coerce(gene: Gene, value: Value) -> Value:
    """Return ``value`` as the gene's type where nothing is lost: 1 for a Float, 1.0 for a 1."""
    value = plain(value)
    if gene.holds(value) or isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if not is_finite(value):
        return value
    for other in (float(value), int(value)):
        if other == value and gene.holds(other):
            return other
    return value


def _with_condition(gene: Gene, conditions: dict[str, tuple[Value, ...]]) -> Gene:
    return gene_of({**gene.to_dict(), "when": conditions or None})


def values_of(gene: Gene) -> list[Value]:
    """Return all values of a finite gene, in their order."""
    if isinstance(gene, Integer):  # on a logarithmic scale their shares are unequal
        return list(range(gene.low, gene.high + 1))
    count = int(gene.size)
    return [gene.at((i + 0.5) / count) for i in range(count)]
