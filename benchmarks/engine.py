"""How many individuals a second the plain genetic algorithm breeds, tells and keeps in memory.

    python benchmarks/engine.py

``strategy="ga"`` with a fitness of nothing, by ``ask`` and ``tell`` and by ``evolve(workers=0)``,
with a population file and without, for populations of 16 to 100,000: 10,000 births, or three
generations where that is more, so that most are bred; and a loop of DEAP's own on the same space,
with the same operators: eaMuPlusLambda's, with a tournament among all for each offspring.  DEAP's
loop keeps no lineage, remembers nobody who died, lets anybody be born twice, and can be neither
resumed nor repeated on several workers: it is told for comparison.  Seconds of processor time of
one process; the fastest of the repeats counts, but of the population of 100,000, which takes
minutes, there is one run.
"""

import json
import math
import platform
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
from deap import tools

import evoft
from evoft.environment import versions
from evoft.search.variation import Chromosome, Fitness, toolbox

HERE = Path(__file__).parent
#: Five genes of all kinds, one of them with a condition.
SPACE = evoft.SearchSpace(
    lr=evoft.Float(1e-5, 1e-1, log=True),
    depth=evoft.Integer(0, 12),
    decay=evoft.Float(0.0, 1.0),
    opt=evoft.Choice(["adam", "sgd", "rmsprop"]),
    momentum=evoft.Float(0.0, 0.99, when={"opt": ["sgd", "rmsprop"]}),
)
SIZES = (16, 100, 1_000, 10_000, 100_000)
#: At least, the founders included.
GENERATIONS = 3
#: More births than this are bred only once.
MANY = 100_000


def fitness(genome: evoft.Genome, trial: evoft.Trial | None = None) -> float:
    return -abs(math.log10(genome["lr"]) + 3.0) - abs(genome["depth"] - 4) - genome["decay"]


def settings(size: int) -> evoft.SearchSettings:
    return evoft.SearchSettings(strategy="ga", finalists=0, population_size=size)


def by_ask_and_tell(births: int, size: int) -> int:
    evolution = evoft.new(
        SPACE, population_size=size, generations=births // size, search=settings(size)
    )
    while (trial := evolution.ask()) is not None:
        evolution.tell(trial, fitness(trial.genome))
    return len(evolution.search.born)


def by_evolve(births: int, size: int, file: Path | None = None) -> int:
    generations = evoft.evolve(
        fitness,
        SPACE,
        population_size=size,
        generations=births // size,
        workers=0,
        file=file,
        search=settings(size),
    )
    return sum(len(generation.individuals) for generation in generations)


def by_evolve_into_a_file(births: int, size: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        return by_evolve(births, size, Path(folder) / "mine.h5")


def by_deap(births: int, size: int) -> int:
    """Run eaMuPlusLambda's loop: as many offspring as parents, then the best of both."""
    rng = np.random.default_rng(0)
    random.seed(0)
    box = toolbox(SPACE, settings(size))
    names = list(SPACE)

    def judged(chromosome: Chromosome) -> Chromosome:
        chromosome.fitness = Fitness((fitness(dict(zip(names, chromosome, strict=True))),))  # type: ignore[arg-type]
        return chromosome

    population = [judged(Chromosome(SPACE.sample(rng).values())) for _ in range(size)]
    born = size
    while born < births:
        offspring = []
        for _ in range(size):
            first, second = box.select(population, 2)
            child = Chromosome(first)
            crossed = random.random() < 0.7
            if crossed:
                child, _ = box.mate(child, Chromosome(second))
            if not crossed or random.random() < 0.7:
                (child,) = box.mutate(child, rng)
            offspring.append(judged(child))
        population = tools.selBest(population + offspring, size)
        born += size
    return born


WAYS: dict[str, Callable[[int, int], int]] = {
    "ask and tell": by_ask_and_tell,
    "evolve(workers=0)": by_evolve,
    "evolve(workers=0, file)": by_evolve_into_a_file,
    "DEAP's loop": by_deap,
}


def rate(way: Callable[[int, int], int], births: int, size: int, repeats: int) -> float:
    """Return how many individuals a way makes in a second of processor time, at best."""
    births = max(births, GENERATIONS * size)
    best = 0.0
    for _ in range(1 if births > MANY else repeats):
        start = time.process_time()
        made = way(births, size)
        best = max(best, made / (time.process_time() - start))
    return best


@click.command()
@click.option("--births", default=10_000, help="At least, for each size.")
@click.option("--largest", default=SIZES[-1], help="Largest population.")
@click.option("--repeats", default=2)
@click.option("--out", type=click.Path(path_type=Path), default=HERE / "results")
def main(births: int, largest: int, repeats: int, out: Path) -> None:
    rows: list[dict[str, Any]] = []
    for size in (size for size in SIZES if size <= largest):
        row: dict[str, Any] = {"population_size": size}
        for name, way in WAYS.items():
            row[name] = round(rate(way, births, size, repeats))
        rows.append(row)
        click.echo(json.dumps(row))
    data = {"births": births, "machine": platform.machine(), "versions": versions(), "rows": rows}
    (out / "engine.json").write_text(json.dumps(data, indent=1) + "\n")
    lines = [
        f"| {row['population_size']:,} | " + " | ".join(f"{row[name]:,}" for name in WAYS) + " |"
        for row in rows
    ]
    (out / "engine.md").write_text(
        "# Individuals a second\n\n"
        f"By `python benchmarks/engine.py`: {births:,} births of five genes, or {GENERATIONS} "
        "generations where that is more, and a fitness of nothing, one process, its processor "
        f"time, the fastest of {repeats} runs, of one where there are more than {MANY:,} births. "
        "DEAP's loop keeps no lineage: see the script.\n\n"
        f"| population_size | {' | '.join(WAYS)} |\n" + "|---" * (len(WAYS) + 1) + "|\n"
        + "\n".join(lines) + "\n"
    )  # fmt: skip


if __name__ == "__main__":
    main()
