"""How long the evolution takes to decide what is trained next, as the population grows.

A real search of a made-up function with learning curves, in the default space of a fine-tuning run,
one thread: the processor time of ``Search.ask`` alone.  Now and then a decision fits the
referee's kernel anew; those are in the mean and in the longest.

    OMP_NUM_THREADS=1 python benchmarks/decision_time.py [--most 2000] [--seed 0]
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import time
from pathlib import Path

import numpy as np

from evoft.genome import Genome
from evoft.ladder import Ladder
from evoft.outcome import Outcome
from evoft.search.genes import Choice
from evoft.search.search import Search
from evoft.search.space import SearchSpace
from evoft.seeds import generator
from evoft.settings import SearchSettings
from evoft.training.default_space import default_genes

RESULTS = Path(__file__).parent / "results"
#: A row for each of these numbers of individuals, of so many decisions up to there.
SIZES, WINDOW = (30, 100, 300, 1000, 2000), 100
#: The issue's limits in milliseconds.
LIMITS = {300: 50.0, 2000: 200.0}
LADDERS = {"four rungs": Ladder((1.0, 3.0, 9.0, 27.0), 0.1), "one rung": Ladder()}


class Task:
    """A smooth function of the genes with learning curves, and some noise."""

    def __init__(self, space: SearchSpace, seed: int) -> None:
        self._space, self._seed = space, seed
        self._genes = list(space.values())
        rng = generator(seed, "task")
        self._best = rng.random(len(space))
        self._weights = rng.exponential(size=len(space))

    def score(self, genome: Genome, id: int, epochs: float) -> float:
        units = np.array([gene.unit(genome[name]) for name, gene in self._space.items()])
        choice = np.array([isinstance(gene, Choice) for gene in self._space.values()])
        gaps = np.where(choice, units != self._space_places(), (units - self._best) ** 2)
        noise = 0.01 * generator(self._seed, "noise", id).normal()
        return float(-(self._weights @ gaps) - math.exp(-epochs / (2 + 8 * units[0])) + noise)

    def _space_places(self) -> np.ndarray:
        return np.array(
            [
                gene.unit(gene.at(u))
                for gene, u in zip(self._space.values(), self._best, strict=True)
            ]
        )


def measure(ladder: Ladder, most: int, seed: int) -> list[dict[str, float]]:
    """Return a row for each size: milliseconds a decision."""
    space = SearchSpace.from_dict(default_genes(["embedded"]))
    settings = SearchSettings(strategy="evolution", generations=None, lookahead=3)
    search, task = Search(space, settings, seed, ladder=ladder), Task(space, seed)
    seconds: list[float] = []
    rows: list[dict[str, float]] = []
    sizes = [size for size in SIZES if size <= most]
    told = 0
    while len(rows) < len(sizes):
        began = time.process_time()
        stint = search.ask()
        took = time.process_time() - began
        if stint is None:  # as many are in flight as may be: the eldest ends
            stint = search.stints[told]
            genome = search.born[stint.individual].genome
            score = task.score(genome, stint.individual, ladder.rungs[stint.rung])
            search.tell(stint.number, Outcome.of_fitness(score))
            told += 1
            continue
        seconds.append(took)
        if len(search.born) >= sizes[len(rows)]:
            rows.append(row_of(sizes[len(rows)], len(search.stints), seconds[-WINDOW:]))
            print(rows[-1], flush=True)
    return rows


def row_of(size: int, stints: int, seconds: list[float]) -> dict[str, float]:
    ordered = sorted(1000 * s for s in seconds)
    return {
        "individuals": size,
        "stints": stints,
        "median": round(statistics.median(ordered), 1),
        "mean": round(statistics.fmean(ordered), 1),
        "95 %": round(ordered[math.ceil(0.95 * len(ordered)) - 1], 1),
        "longest": round(ordered[-1], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=max(SIZES))
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    tables = {name: measure(ladder, given.most, given.seed) for name, ladder in LADDERS.items()}
    lines = [
        "# How long a decision takes",
        "",
        f"Processor milliseconds of `Search.ask` with the evolution, the last {WINDOW} decisions",
        "before so many individuals were born; the default space, one thread, by",
        "`OMP_NUM_THREADS=1 python benchmarks/decision_time.py`.",
        f"Expected: under {LIMITS[300]:g} at 300 individuals, under {LIMITS[2000]:g} at 2,000.",
        "Decisions that fit the kernel anew (each 20 % more stints, or 100) are in the mean and",
        "the longest; one that only continues a founder or an audited individual takes no time.",
    ]
    for name, rows in tables.items():
        heads = list(rows[0])
        lines += ["", f"## {name}", "", "| " + " | ".join(heads) + " |"]
        lines += ["|---" * len(heads) + "|"]
        lines += ["| " + " | ".join(f"{row[head]:g}" for head in heads) + " |" for row in rows]
    facts = {"machine": platform.processor() or platform.machine(), "numpy": np.__version__}
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps({"settings": vars(given), "facts": facts, "tables": tables}, indent=1)
    (RESULTS / "decision_time.json").write_text(text + "\n")
    (RESULTS / "decision_time.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
