"""Makes the population of schema 1 beside it, by the last evoft that wrote that schema.

    git archive 9a8e44c evoft | tar -x -C OLD
    PYTHONPATH=OLD python tests/lineage/schema_1/make.py FOLDER

``population.h5`` has 3 generations and their finals; ``population.journal`` goes on, with another
header and 3 more trials that its writer died before folding.  ``expected.json`` is what the same
evoft bred when it went on from there to generation 6.
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from pathlib import Path

import evoft

SPACE = evoft.SearchSpace(
    x=evoft.Float(0.0, 1.0),
    depth=evoft.Integer(1, 9),
    act=evoft.Choice(["relu", "gelu"]),
    slope=evoft.Float(0.0, 1.0, when={"act": ["relu"]}),
)


def fitness(genome: evoft.Genome, trial: evoft.Trial) -> float:
    """Return the same to the bit wherever floats are IEEE's."""
    trial.report(1, loss=float(genome["x"]))
    if trial.individual % 7 == 4:
        raise ValueError("it would not")
    return -((float(genome["x"]) - 0.3) ** 2) - 0.1 * abs(int(genome["depth"]) - 4)


def main(folder: Path) -> None:
    file = folder / "population.h5"
    search = evoft.SearchSettings(finalists=2, repeats=2, lookahead=1)
    generations = evoft.evolve(
        fitness, SPACE, generations=3, population_size=4, file=file, workers=0, seed=11,
        search=search,
    )  # fmt: skip
    assert len(list(generations)) == 3
    whole = file.read_bytes()
    evolution = evoft.reopen(file, generations=6)
    for _ in range(3):
        trial = evolution.ask()
        assert trial is not None
        evolution.tell(trial, fitness(trial.genome, trial))
    for name in ("population.h5", "population.journal"):
        shutil.copy(folder / name, folder / f"kept.{name}")
    assert file.read_bytes() == whole  # nothing of it was folded
    evolution.close()
    shown = [[g.index, [i.id for i in g.individuals], g.best.id]
             for g in evoft.resume(fitness, file, workers=0)]  # fmt: skip
    population = evoft.Population.open(file)
    expected = {
        "individuals": [
            [i.id, i.generation, i.parents, i.operator, i.genome.to_json(), i.seed,
             str(i.status), i.fitness.hex()]
            for i in population
        ],
        "finals": [[r.trial.seed, r.outcome.fitness.hex()] for i in population
                   for r in population.finals(i.id)],
        "generations": [[g.index, [i.id for i in g.individuals], g.best.id]
                        for g in population.generations],
        "resumed": shown,
    }  # fmt: skip
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    for name in ("population.h5", "population.journal"):
        (folder / f"kept.{name}").replace(folder / name)
    (folder / "population.h5.gz").write_bytes(gzip.compress(file.read_bytes(), mtime=0))
    file.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
