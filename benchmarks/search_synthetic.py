"""Made-up problems: bowls, ridges and ripples over mixed genes, with curves that may cross.

What varies from seed to seed: the number and the kinds of genes and how many of them matter, a
condition, the scale of the score, how fast genomes learn and whether the slow are the good,
overfitting, a region that diverges, noise between runs and between epochs, and the epochs.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from evoft.genome import Genome
from evoft.search.genes import Choice, Float, Integer, Ordinal
from evoft.search.space import SearchSpace

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Landscape:
    """One such problem; every number in it was drawn from its seed."""

    seed: int
    space: SearchSpace
    epochs: int
    quality: "Quality"
    pace: "Pace"
    #: Standard deviations of a run's and of an epoch's noise.
    run_noise: float
    epoch_noise: float
    #: ``accuracy``, ``percent``, or ``loss``: the logarithm.
    scale: str

    @staticmethod
    def of(seed: int, noise: float | None = None) -> "Landscape":
        """Return the landscape of a seed.

        Args:
            seed: Of everything about it.
            noise: Standard deviation of a run's noise, where the seed does not say it.
        """
        rng = np.random.default_rng([97, seed])
        space = _space(rng)
        quality, pace = Quality.of(space, rng), Pace.of(len(space), rng)
        run_noise, epoch_noise = (0.0 if rng.random() < 0.3 else 10 ** rng.uniform(-3.5, -1.5)
                                  for _ in range(2))  # fmt: skip
        epochs = int(rng.choice([9, 20, 27, 50, 81]))
        scale = str(rng.choice(["accuracy", "loss", "percent"]))
        if noise is not None:
            run_noise, epoch_noise, scale = noise, noise / 3, "accuracy"
        return Landscape(seed, space, epochs, quality, pace, run_noise, epoch_noise, scale)

    def truth(self, genome: Genome) -> Array:
        """Return the curve without noise, ``(epochs,)``."""
        return self._scored(self._clean(genome))

    def curve(self, genome: Genome, seed: int) -> Array:
        """Return the curve as a run with a seed of its own observes it, ``(epochs,)``."""
        name = f"{self.seed}/{seed}/{sorted(self.space.phenotype(genome).items())!r}"
        digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
        rng = np.random.default_rng(int.from_bytes(digest, "big"))
        noise = self.run_noise * rng.normal() * self._times**0.5
        noise = noise + self.epoch_noise * rng.normal(size=self.epochs)
        return self._scored(self._clean(genome) + noise)

    @property
    def _times(self) -> Array:
        return np.arange(1, self.epochs + 1) / self.epochs

    def _clean(self, genome: Genome) -> Array:
        units = np.array([gene.unit(genome[name]) for name, gene in self.space.items()])
        active = np.array([self.space.active(genome, name) for name in self.space])
        error = self.quality.error(units, active)
        return self.pace.curve(error, units, self._times)

    def _scored(self, quality: Array) -> Array:
        if self.scale == "loss":
            return np.asarray(np.log(np.maximum(quality, 1e-3)))
        return 100 * quality if self.scale == "percent" else quality


def _space(rng: Generator) -> SearchSpace:
    numeric, nominal = int(rng.integers(3, 10)), int(rng.integers(0, 4))
    genes: dict[str, Any] = {}
    for i in range(numeric):
        kind, log = rng.random(), bool(rng.random() < 0.5)
        last = nominal and i == numeric - 1 and rng.random() < 0.5
        when = {"c0": ["v0", "v1"]} if last else None
        if kind < 0.6:
            low, high = (1e-4, 1e-1) if log else (0.0, 1.0)
            genes[f"x{i}"] = Float(low, high, log=log, when=when)
        elif kind < 0.8:
            genes[f"x{i}"] = Integer(1, int(rng.integers(4, 200)), log=log, when=when)
        else:
            genes[f"x{i}"] = Ordinal(list(range(int(rng.integers(3, 8)))), when=when)
    for j in range(nominal):
        genes[f"c{j}"] = Choice([f"v{k}" for k in range(int(rng.integers(2, 6)))])
    return SearchSpace(genes)


@dataclass(frozen=True, eq=False)
class Quality:
    """How good a genome is in the end."""

    weights: Array
    centres: Array
    powers: Array
    #: Of each gene that is a choice, by value: what it costs, and how it moves the centres.
    offsets: dict[int, Array]
    shifts: dict[int, Array]
    #: Two genes, their best mean, and a weight.
    ridges: list[tuple[int, int, float, float]]
    waves: Array
    phases: Array
    ripple: Array
    lowest: float
    scale: float

    @staticmethod
    def of(space: SearchSpace, rng: Generator) -> "Quality":
        """Draw the quality over a space."""
        width = len(space)
        weights = np.sort(rng.exponential(1.0, width))[::-1] ** 2
        sizes = {i: int(g.size) for i, g in enumerate(space.values()) if not g.ordered}
        ordered = width - len(sizes)
        ridges = [
            (*map(int, rng.choice(ordered, 2, replace=False)), rng.uniform(0.3, 0.7),
             rng.uniform(0.3, 2.0))
            for _ in range(int(rng.integers(0, 4)))
        ]  # fmt: skip
        return Quality(
            weights=rng.permutation(weights / weights.sum()),
            centres=rng.uniform(0.1, 0.9, width),
            powers=rng.uniform(1.2, 2.5, width),
            offsets={i: rng.exponential(0.5, size) for i, size in sizes.items()},
            shifts={i: rng.normal(0, 0.15, (size, width)) for i, size in sizes.items()},
            ridges=ridges,  # type: ignore[arg-type]
            waves=rng.normal(0, rng.uniform(1, 6), (20, width)),
            phases=rng.uniform(0, 6.3, 20),
            ripple=rng.uniform(0.0, 0.12) * rng.normal(size=20) / np.sqrt(5),
            lowest=rng.uniform(0.0, 0.4),
            scale=rng.uniform(2.0, 8.0),
        )

    def error(self, units: Array, active: NDArray[np.bool_]) -> float:
        """Return what a genome's curve comes to fall short of, ``[lowest, 1)``."""
        z, centres = 0.0, self.centres.copy()
        for i, offsets in self.offsets.items():
            value = min(int(units[i] * len(offsets)), len(offsets) - 1)
            z += 2 * self.weights[i] * (offsets[value] - offsets.min())
            centres += self.shifts[i][value]
        for i in range(len(units)):
            if i not in self.offsets and active[i]:
                away = abs(units[i] - centres[i]) / 0.5
                z += self.weights[i] * away ** self.powers[i]
        for a, b, mean, weight in self.ridges:
            z += weight * self.weights[[a, b]].mean() * 4 * (units[a] + units[b] - 2 * mean) ** 2
        seen = np.where(active, units, 0.5)
        z += self.ripple @ np.sin(self.waves @ seen + self.phases) + abs(self.ripple).sum()
        return float(self.lowest + (1 - self.lowest) * (1 - np.exp(-self.scale * z / 3)))


@dataclass(frozen=True, eq=False)
class Pace:
    """How fast a genome learns, whether it overfits, and where it diverges."""

    #: The gene that is like a learning rate, and the next two, which have a part in it.
    genes: tuple[int, int, int]
    mixture: Array
    mean: float
    spread: float
    #: How much faster a high learning rate is: below 0 it is slower.
    crossing: float
    power: float
    overfit: float
    floor: float
    #: From which learning rate on a run diverges; 2: none does.
    edge: float
    #: Whether what has diverged is NaN, or the worst score.
    as_nan: bool

    @staticmethod
    def of(width: int, rng: Generator) -> "Pace":
        """Draw the pace over so many genes."""
        first = int(rng.integers(width))
        return Pace(
            genes=(first, (first + 1) % width, (first + 2) % width),
            mixture=rng.dirichlet(np.ones(width)),
            mean=rng.uniform(-1.5, 1.0),
            spread=rng.uniform(0.2, 1.2),
            crossing=rng.uniform(-2.0, 2.0),
            power=rng.uniform(0.6, 2.0),
            overfit=rng.uniform(0, 0.15) if rng.random() < 0.4 else 0.0,
            floor=rng.uniform(0.0, 0.3),
            edge=rng.uniform(0.6, 0.9) if rng.random() < 0.5 else 2.0,
            as_nan=bool(rng.random() < 0.5),
        )

    def curve(self, error: float, units: Array, times: Array) -> Array:
        """Return the quality over time, ``(epochs,)``."""
        rate, second, third = units[list(self.genes)]
        fast = self.mean + self.spread * np.sin(9 * (units @ self.mixture))
        speed = 12 * np.exp(fast + self.crossing * (rate - 0.5))
        final = 1 - (1 + speed) ** -self.power
        gain = (1 - (1 + speed * times) ** -self.power) / final
        quality = self.floor + (1 - self.floor) * (1 - error) * (0.3 + 0.7 * final) * gain
        quality = quality - self.overfit * np.maximum(times - 0.3, 0) * second
        if rate > self.edge + 0.1 * np.sin(7 * second):
            start = int(len(times) * (1 - rate) * 2 * third)
            worst = np.nan if self.as_nan else 0.0
            quality = np.where(np.arange(len(times)) >= start, worst, quality)
        return np.asarray(quality)
