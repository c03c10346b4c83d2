"""Makes the population of schema 3 beside it, by the last evoft that wrote that schema.

    git archive 0eac555 evoft | tar -x -C OLD
    PYTHONPATH=OLD python tests/lineage/schema_3/make.py FOLDER

``population.h5`` has 2 generations of rungs; ``population.journal`` goes on, with another header
and 4 more trials that its writer died before folding.  ``expected.json`` is what the same evoft
bred when it went on from there to generation 4.
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import evoft

SPACE = evoft.SearchSpace(
    x=evoft.Float(0.0, 1.0), depth=evoft.Integer(1, 9), act=evoft.Choice(["relu", "gelu"])
)


def price(genome: evoft.Genome) -> float:
    """Return what an epoch costs: the deeper the dearer."""
    return 1.0 + 0.125 * int(genome["depth"])


def fitness(genome: evoft.Genome, trial: evoft.Trial) -> evoft.Outcome:
    """Return the same to the bit wherever floats are IEEE's."""
    if trial.individual % 7 == 4:
        return evoft.Outcome(evoft.Status.FAILED, reason="it would not")
    score = -((float(genome["x"]) - 0.3) ** 2) - 0.1 * abs(int(genome["depth"]) - 4)
    return evoft.Outcome.of_fitness(score - 0.5 / (trial.epochs or 1.0))


def bred(population: evoft.Population) -> list[list[Any]]:
    """Return what was decided, and what came of it."""
    return [
        [i.id, i.generation, list(i.parents), i.operator, i.genome.to_json(), i.seed,
         str(i.status), i.fitness.hex(), i.rung, i.price.hex()]
        for i in population
    ]  # fmt: skip


def main(folder: Path) -> None:
    file = folder / "population.h5"
    generations = evoft.evolve(
        fitness, SPACE, strategy="asha", epochs=9, generations=2, population_size=4, file=file,
        workers=0, seed=11, price=price,
    )  # fmt: skip
    assert len(list(generations)) == 2
    whole = file.read_bytes()
    evolution = evoft.reopen(file, generations=4, price=price)
    for _ in range(4):
        trial = evolution.ask()
        assert trial is not None
        evolution.tell(trial, fitness(trial.genome, trial))
    for name in ("population.h5", "population.journal"):
        shutil.copy(folder / name, folder / f"kept.{name}")
    assert file.read_bytes() == whole  # nothing of it was folded
    evolution.close()
    before = bred(evoft.Population.open(file))
    assert list(evoft.resume(fitness, file, workers=0, price=price))
    expected = {"before": before, "after": bred(evoft.Population.open(file))}
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    for name in ("population.h5", "population.journal"):
        (folder / f"kept.{name}").replace(folder / name)
    (folder / "population.h5.gz").write_bytes(gzip.compress(file.read_bytes(), mtime=0))
    file.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
