"""What the user believes of good genomes: genes' defaults, with a confidence each.

A belief guides the first generations and is outvoted by what is measured: it founds half of the
sample of generation 0, and its weight in a judgement fades with the number of stints, as in pi-BO
(Hvarfner and others 2022, section 4).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from evoft.genome import Genome, Value, same
from evoft.search.gene import Gene
from evoft.search.space import SearchSpace
from evoft.seeds import generator

#: By confidence: the standard deviation around the default, as a share of the gene's range.
_DEVIATIONS = {"low": 0.4, "medium": 0.2, "high": 0.1}
#: By confidence: the probability of a choice's default beside its even share.
_PREFERENCES = {"low": 0.25, "medium": 0.5, "high": 0.75}
#: The share of an ordered gene's belief that is spread evenly, so that nothing is ruled out.
_EVEN = 0.15
#: The share of a sample that a belief founds at most, for it may be wrong.
_FOUNDING = 0.5
#: Over a sample's number it is the share of those drawn from a belief, once that is less, where
#: nothing else heeds the belief.
_SAMPLED = 10.0


@dataclass(frozen=True, slots=True)
class Belief:
    """What is believed of one gene: a density over its positions on the unit interval.

    Of an ordered gene it is a normal density around the default, cut off at the bounds, with a
    share spread evenly; of a choice it is the default, with a share spread evenly.
    """

    gene: Gene
    default: Value
    confidence: str

    @property
    def _even(self) -> float:
        return _EVEN if self.gene.ordered else 1.0 - _PREFERENCES[self.confidence]

    @property
    def _normal(self) -> NormalDist:
        return NormalDist(self.gene.unit(self.default), _DEVIATIONS[self.confidence])

    def at(self, unit: float) -> Value:
        """Return the value below which a share ``unit`` of either part of the density lies.

        Evenly spread positions, in ``[0, 1]``, become values spread as is believed.
        """
        even = self._even
        if unit < even:
            return self.gene.at(unit / even)
        if not self.gene.ordered:
            return self.default
        normal = self._normal
        low, high = normal.cdf(0.0), normal.cdf(1.0)
        share = low + (unit - even) / (1.0 - even) * (high - low)
        # Away from 0 and 1, where the normal density ends nowhere.
        place = normal.inv_cdf(min(max(share, 1e-12), 1.0 - 1e-12))
        return self.gene.at(min(max(place, 0.0), 1.0))

    def log_density(self, values: Sequence[Value]) -> NDArray[np.float64]:
        """Return the log density of values less that of the default, ``(values,)``, at most 0."""
        if not self.gene.ordered:
            share = self._even / self.gene.size
            gap = math.log(share) - math.log(share + 1.0 - self._even)
            return np.array([0.0 if same(value, self.default) else gap for value in values])
        normal = self._normal
        inside = (1.0 - self._even) * normal.pdf(normal.mean)
        inside /= normal.cdf(1.0) - normal.cdf(0.0)
        units = np.array([self.gene.unit(value) for value in values])
        bell = np.exp(-0.5 * ((units - normal.mean) / normal.stdev) ** 2)
        density = (self._even + inside * bell) / (self._even + inside)
        return np.asarray(np.log(density), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed of genomes: of each gene by itself; genes without a belief are free."""

    space: SearchSpace
    #: By gene.
    beliefs: Mapping[str, Belief]
    #: How many stints it weighs as much as: after ``n`` of them a judgement by it counts as its
    #: density to the power of ``weight / (1 + n)``; ``beta`` of pi-BO, whose 10 was too much here.
    weight: float = 1.0

    @staticmethod
    def of(space: SearchSpace) -> Prior | None:
        """Return the prior that a space's genes state; None where none has a confidence."""
        beliefs = {
            name: Belief(gene, gene.standard, gene.confidence)
            for name, gene in space.items()
            if gene.confidence is not None
        }
        return Prior(space, beliefs) if beliefs else None

    def guides(self, seed: int, number: int) -> bool:
        """Tell whether the sample of this number is drawn from it, where nothing else heeds it.

        Half of the first are, and it fades: of many, the share that is goes down as one over their
        number.
        """
        share = min(_FOUNDING, _SAMPLED / (1 + number))
        return bool(generator(seed, "prior", number).random() < share)

    def at(self, units: Sequence[float] | NDArray[np.float64]) -> Genome:
        """Return the genome at a point of the unit cube, ``(genes,)`` in ``[0, 1]``.

        Points spread evenly become genomes spread as is believed.
        """
        pairs = zip(self.space.items(), units, strict=True)
        return Genome(
            {name: self.beliefs.get(name, gene).at(float(unit)) for (name, gene), unit in pairs}
        )

    def sample(self, rng: Generator) -> Genome:
        """Return a genome drawn from the prior."""
        return self.at(rng.random(len(self.space)))

    def log_density(self, genomes: Iterable[Mapping[str, Value]]) -> NDArray[np.float64]:
        """Return the log density of genomes less that of the mode, ``(genomes,)``, at most 0.

        A gene that has no part in a phenotype has none in its density.
        """
        listed = list(genomes)
        total = np.zeros(len(listed))
        for name, belief in self.beliefs.items():
            counts = np.array([self.space.active(genome, name) for genome in listed], dtype=bool)
            total += np.where(counts, belief.log_density([g[name] for g in listed]), 0.0)
        return total
