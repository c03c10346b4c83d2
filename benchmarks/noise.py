"""What sharing one seed between recipes does to the noise of their differences.

    python benchmarks/noise.py --recipes 12 --seeds 8 --epochs 2

Recipes of the default space are fine-tuned on digits, each with the same several seeds.  A seed
settles the classifier's first weights, the order of images, dropout and augmentation.  If recipes
share it (``--common-seed``), what is luck for one may be luck for another, and their difference
varies less than that of recipes with a seed each.  Both variances come from the same runs: shared
from the differences within a seed, own from the sum of the recipes' variances.  The range of the
ratio without any such effect is that of seeds shuffled recipe by recipe.
"""

import json
import math
import time
from itertools import combinations
from pathlib import Path
from typing import Any

import click
import numpy as np
from in_process import fine_tuner
from numpy.typing import NDArray

from evoft.environment import versions
from evoft.genome import Genome
from evoft.search.founders import founders
from evoft.search.space import SearchSpace
from evoft.seeds import derive, generator
from evoft.settings import Settings, TrainingSettings
from evoft.training.default_space import default_genes
from evoft.trial import Trial

RESULTS = Path(__file__).parent / "results"
SPACE = SearchSpace.from_dict(default_genes(["embedded"]))
#: A recipe below this accuracy has failed: no search would compare it with another.
_FAILED = 0.5
_SHUFFLES = 2000
Scores = NDArray[np.float64]


def scores_of(genomes: list[Genome], seeds: int, epochs: int) -> Scores:
    """Return the validation accuracy of each recipe with each seed, ``(recipes, seeds)``."""
    tuner = fine_tuner(Settings(training=TrainingSettings(epochs=epochs)))
    rows = []
    for n, genome in enumerate(genomes):
        trials = [Trial(n, genome, derive(k, "noise")) for k in range(seeds)]
        rows.append([tuner.evaluate(trial).score for trial in trials])
    scores = np.array(rows)
    return scores[(scores > _FAILED).all(axis=1)]


def variances(scores: Scores) -> tuple[float, float]:
    """Return the mean variance of pairs' differences: with a shared seed, and with own ones."""
    pairs = list(combinations(scores, 2))
    shared = float(np.mean([np.var(a - b, ddof=1) for a, b in pairs]))
    own = float(np.mean([np.var(a, ddof=1) + np.var(b, ddof=1) for a, b in pairs]))
    return shared, own


def right_order(scores: Scores) -> tuple[float, float]:
    """Return how often one run each ranks a pair as their means do: shared and own seeds."""
    shared, own = [], []
    for a, b in combinations(scores, 2):
        sign = np.sign(a.mean() - b.mean())
        if sign:
            right = (np.sign(a[:, None] - b[None, :]) * sign + 1) / 2  # a tie is half right
            alone = ~np.eye(len(a), dtype=bool)
            shared.append(np.diag(right).mean())
            own.append(right[alone].mean())
    return float(np.mean(shared)), float(np.mean(own))


def shuffled(scores: Scores) -> tuple[float, float]:
    """Return the range, 95 of 100, of the ratio of variances where seeds have nothing in common."""
    rng = generator(0, "shuffle")
    ratios = []
    for _ in range(_SHUFFLES):
        shared, own = variances(rng.permuted(scores, axis=1))
        ratios.append(shared / own)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(low), float(high)


@click.command()
@click.option("--recipes", default=14, show_default=True)
@click.option("--seeds", default=8, show_default=True)
@click.option("--epochs", default=(2, 5), multiple=True, show_default=True)
def main(recipes: int, seeds: int, epochs: tuple[int, ...]) -> None:
    """Measure, and write results/noise.md and noise.json."""
    genomes = [child.genome for child in founders(SPACE, {}, recipes, 0)]
    rows: list[dict[str, Any]] = []
    for count in epochs:
        start = time.perf_counter()
        scores = scores_of(genomes, seeds, count)
        shared, own = variances(scores)
        low, high = shuffled(scores)
        rank_shared, rank_own = right_order(scores)
        rows.append(
            {"epochs": count, "recipes": len(scores), "seeds": seeds, "shared": shared,
             "own": own, "ratio": shared / own, "low": low, "high": high,
             "rank_shared": rank_shared, "rank_own": rank_own, "scores": scores.tolist(),
             "seconds": time.perf_counter() - start}
        )  # fmt: skip
        click.echo(f"{count} epochs: ratio {shared / own:.2f} ({low:.2f} to {high:.2f} by chance)")
    (RESULTS / "noise.json").write_text(json.dumps({**versions(), "rows": rows}, indent=1) + "\n")
    (RESULTS / "noise.md").write_text(_report(rows))


def _report(rows: list[dict[str, Any]]) -> str:
    lines = [
        "# One seed for all recipes, or a seed each",
        "",
        "Made by `python benchmarks/noise.py --recipes 12 --seeds 8 --epochs 2`: recipes of the "
        "default space (the default and a Sobol sample; those that failed left out) on digits "
        "with the embedded backbone, each "
        "with the same seeds. Standard deviations are of the difference of two recipes' "
        "validation accuracy, in points.",
        "",
        "| epochs | recipes | seeds | shared seed | own seeds | ratio of variances | by chance | "
        "pairs in right order by one run each: shared, own |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r['epochs']} | {r['recipes']} | {r['seeds']} | {100 * math.sqrt(r['shared']):.2f} | "
        f"{100 * math.sqrt(r['own']):.2f} | {r['ratio']:.2f} | {r['low']:.2f} to {r['high']:.2f} | "
        f"{100 * r['rank_shared']:.1f} %, {100 * r['rank_own']:.1f} % |"
        for r in rows
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
