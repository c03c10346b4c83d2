"""How long linear heads take: together, one by one in the same way, and in the ordinary loop.

    python benchmarks/heads.py

Trials of one company (see ``FineTuner.company``), 1 to 64 of them, are evaluated

- ``ordinary``: one after the other by ``loop.fine_tune``, on the same features;
- ``alone``: one after the other by ``heads.train_heads``, each by itself;
- ``together``: in one call.

On ``digits`` they are drawn from the default space with ``freeze_depth=1.0`` and a batch of 32, and
run from trial to outcome, what they share being there already: with the views that their recipes
ask for, or (``clean``) with the images as they are.  ``generated`` are random features of 1280
numbers in 100 classes, where nothing but the training counts.  Ways alternate, and medians of the
rounds are reported, on one thread.
"""

import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
import torch
from in_process import fine_tuner
from torch import Generator, Tensor, nn

from evoft.environment import versions
from evoft.recipe import Recipe
from evoft.search.space import SearchSpace
from evoft.seeds import generator
from evoft.settings import Settings, TrainingSettings
from evoft.training.default_space import default_genes
from evoft.training.examples import Examples
from evoft.training.features.cache import Features
from evoft.training.feed import Feed
from evoft.training.fine_tuner import FineTuner
from evoft.training.heads.inputs import Dropout
from evoft.training.heads.judging import Judges
from evoft.training.heads.learner import Head
from evoft.training.heads.together import train_heads
from evoft.training.loop import fine_tune
from evoft.trial import Trial

COUNTS = (1, 4, 16, 64)
OUT = Path(__file__).parent / "results"
CLEAN = {"augment": 0.0, "hflip": 0.0, "reprob": 0.0, "mixup": 0.0, "cutmix": 0.0}

#: What takes so many trials, by name.
Ways = dict[str, Callable[[int], object]]


def recipes_of(count: int, fixed: dict[str, object]) -> list[dict[str, object]]:
    """Return genomes drawn from the default space, but for what is fixed."""
    space = SearchSpace.from_dict(default_genes(("embedded",)))
    rng = generator(0, "heads")
    return [{**space.sample(rng), **fixed} for _ in range(count)]


def digits(fixed: dict[str, object]) -> Ways:
    """Return the ways of trials on digits."""
    tuner = fine_tuner(Settings(training=TrainingSettings(epochs=3)))
    space = SearchSpace.from_dict(default_genes(("embedded",)))
    genomes = recipes_of(max(COUNTS), {"freeze_depth": 1.0, "batch_size": 32, **fixed})
    trials = [Trial(n, space.complete(genome), n) for n, genome in enumerate(genomes)]
    assert len({tuner.company(trial) for trial in trials}) == 1

    def ordinary(count: int) -> None:
        kept, FineTuner.company = FineTuner.company, lambda self, trial: None  # type: ignore[method-assign,assignment]
        try:
            for trial in trials[:count]:
                tuner.evaluate(trial)
        finally:
            FineTuner.company = kept  # type: ignore[method-assign]

    tuner.evaluate_together(trials)  # computes the features
    return {
        "ordinary": ordinary,
        "alone": lambda count: [tuner.evaluate(trial) for trial in trials[:count]],
        "together": lambda count: tuner.evaluate_together(trials[:count]),
    }


class Bare(nn.Module):
    """A model that is nothing but its classifier, behind features."""

    def __init__(self, features: int, classes: int, drop: float) -> None:
        super().__init__()
        self.drop = nn.Dropout(drop)
        self.head = nn.Linear(features, classes)

    def forward(self, kept: tuple[Tensor, ...]) -> Tensor:
        return self.head(self.drop(kept[0]))  # type: ignore[no-any-return]

    def get_classifier(self) -> nn.Module:
        return self.head

    def group_matcher(self, coarse: bool) -> dict[str, object]:
        return {"stem": r"^stem", "blocks": [(r"^head", None)]}


def generated(features: int = 1280, classes: int = 100, images: int = 1000) -> Ways:
    """Return the ways of heads on random features."""
    random = Generator().manual_seed(0)
    nothing = torch.zeros(1)

    def examples() -> Examples:
        values = torch.randn(images, features, generator=random)
        labels = torch.randint(classes, (images,), generator=random)
        kept = Features(Bare(features, classes, 0.0), ((values,),))  # type: ignore[arg-type]
        return Examples(nothing, torch.arange(images), labels, nothing, nothing, classes, kept)

    train, val = examples(), examples()
    genomes = recipes_of(max(COUNTS), {**CLEAN, "batch_size": 32, "freeze_depth": 0})
    recipes = [
        Recipe.of({"model": "bare", "epochs": 2, **genome}, layer_groups=1) for genome in genomes
    ]

    def one(seed: int, recipe: Recipe) -> None:
        model = Bare(features, classes, recipe.drop)
        parts = [replace(s, features=replace(s.features, suffix=model)) for s in (train, val)]
        fine_tune(model, recipe, *parts, seed, report=quiet)

    def head(seed: int, recipe: Recipe) -> Head:
        model = Bare(features, classes, recipe.drop).head
        return Head(
            recipe,
            model.weight.detach(),
            model.bias.detach(),
            ("head.weight", "head.bias"),
            Feed(train, recipe, seed),
            Dropout(recipe.drop, seed),
            judges,
            quiet,
        )

    assert val.features is not None
    judges = Judges(val.features.values[0][0], val.labels)
    asked = list(enumerate(recipes))
    return {
        "ordinary": lambda count: [one(*each) for each in asked[:count]],
        "alone": lambda count: [train_heads([head(*each)]) for each in asked[:count]],
        "together": lambda count: train_heads([head(*each) for each in asked[:count]]),
    }


def quiet(epoch: float, **metrics: float) -> None:
    """Report to nobody."""


def measure(ways: Ways, rounds: int, most: int) -> list[dict[str, float]]:
    """Return the median seconds of each way for each number of trials."""
    rows = []
    for count in (count for count in COUNTS if count <= most):
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                start = time.perf_counter()
                way(count)
                seconds[name].append(time.perf_counter() - start)
        medians = {name: statistics.median(taken) for name, taken in seconds.items()}
        rows.append({"trials": count, **medians})
        print(rows[-1], flush=True)
    return rows


def table(name: str, rows: list[dict[str, float]]) -> str:
    """Return a table of Markdown."""
    lines = [
        f"\n## {name}\n",
        "| trials | ordinary, s | alone, s | together, s | alone / together "
        "| ordinary / together |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        ordinary, alone, together = row["ordinary"], row["alone"], row["together"]
        lines.append(
            f"| {row['trials']} | {ordinary:.3f} | {alone:.3f} | {together:.3f} "
            f"| {alone / together:.1f} | {ordinary / together:.1f} |"
        )
    return "\n".join(lines)


@click.command()
@click.option("--rounds", default=3, show_default=True)
@click.option("--most", default=max(COUNTS), show_default=True, help="Trials at a time.")
def main(rounds: int, most: int) -> None:
    """Measure, and write down what came of it."""
    torch.set_num_threads(1)
    results = {
        "digits": measure(digits({}), rounds, most),
        "digits, clean": measure(digits(CLEAN), rounds, most),
        "generated": measure(generated(), rounds, most),
    }
    about = {"machine": platform.processor() or platform.machine(), "versions": versions()}
    OUT.mkdir(exist_ok=True)
    (OUT / "heads.json").write_text(json.dumps({**about, "seconds": results}, indent=1) + "\n")
    words = [
        "# Linear heads, together and one by one\n",
        "Seconds for so many trials on one thread: medians of "
        f"{rounds} rounds.  What is compared, and how: `benchmarks/heads.py`.",
        *(table(name, rows) for name, rows in results.items()),
    ]
    (OUT / "heads.md").write_text("\n".join(words) + "\n")


if __name__ == "__main__":
    main()
