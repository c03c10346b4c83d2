"""Evolve a fitness function of one's own, in parallel, into a population file.

python examples/own_fitness.py mine.h5
"""

import math
import sys

import evoft

SPACE = evoft.SearchSpace(
    lr=evoft.Float(1e-5, 1e-1, log=True),
    width=evoft.Ordinal([16, 32, 64]),
    act=evoft.Choice(["relu", "gelu"]),
    momentum=evoft.Float(0.0, 0.99, when={"act": ["relu"]}),
)


def fitness(genome: evoft.Genome, trial: evoft.Trial) -> float:
    """Stand in for a training run: best at a rate of 3e-3 and a width of 64."""
    for epoch in range(1, 4):
        loss = abs(math.log10(genome["lr"]) + 2.5) / epoch
        trial.report(epoch, loss=loss)  # recorded, and a sign of life for the watchdog
    return float(-loss - abs(genome["width"] - 64) / 64 - 0.1 * (genome["act"] == "relu"))


if __name__ == "__main__":
    file = sys.argv[1] if len(sys.argv) == 2 else sys.exit(__doc__)
    for generation in evoft.evolve(
        fitness, SPACE, generations=6, population_size=8, file=file, workers=2, seed=0
    ):
        best = generation.best
        print(f"generation {generation.index}: {best.fitness:.4f} {dict(best.genome)}")
    population = evoft.Population.open(file)
    print(f"{len(population)} individuals; best #{best.id}")
