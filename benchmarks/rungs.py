"""How well a rung foretells the last one, by how trials are judged there.

    python benchmarks/rungs.py

Recipes drawn from the default space are trained to each rung of a ladder and judged

- after a cool-down that branches off, of a quarter or a tenth of the epochs so far; or
- on the way, while the rate falls as a cosine from the first epoch to the last.

What counts is the rank correlation (Spearman) of the recipes' scores on a rung with those on the
last: on the same way's last rung, and with those of the cosine, which is how a recipe would be
trained if there were no rungs.  All schedules are cosines, whatever was drawn.  ``sign_digits`` is
in the folder that ``EVOFT_DATA`` names (default ``../shared/data``).  The unit is the recipe; half
of the images validate.
"""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import click
import numpy as np
import torch
from in_process import fine_tuner
from scipy.stats import spearmanr
from views import DATA, SPACE, settings_of

from evoft.environment import versions
from evoft.genome import Genome
from evoft.ladder import Ladder
from evoft.seeds import derive, generator
from evoft.training.fine_tuner import FineTuner
from evoft.training.loop import Leg, fine_tune

HERE = Path(__file__).parent
TASKS = ("digits", "sign_digits")
#: Shares of cool-down; 1: the rate falls all the way, and trials are judged on the way.
WAYS = {"cool-down 0.25": 0.25, "cool-down 0.1": 0.1, "on the way": 1.0}
LAST = "on the way"


@dataclass(frozen=True)
class Row:
    """One recipe judged on each rung in one way."""

    task: str
    recipe: int
    way: str
    #: Validation accuracy on each rung; None from where it diverged.
    scores: list[float | None]


def genomes(count: int) -> list[Genome]:
    """Return recipes of the default space, all with a cosine."""
    drawn = (SPACE.sample(generator(0, "rungs", number)) for number in range(count))
    return [genome.replace(sched="cosine") for genome in drawn]


def climb(
    tuner: FineTuner, genome: Genome, seed: int, cooldown: float, rungs: tuple[float, ...]
) -> list[float | None]:
    """Train a recipe from rung to rung; return its scores."""
    # What falls all the way is judged at the same epochs, but has no ladder.
    ladder = Ladder(rungs, cooldown) if cooldown < 1 else Ladder(rungs[-1:])
    recipe = replace(tuner.express, ladder=ladder)(genome)
    scores: list[float | None] = []
    paused = None
    for epochs in rungs:
        model = tuner.start(recipe, seed)
        train, val = tuner.commons.splits(model, recipe, lambda: None)
        trained = fine_tune(
            model, recipe, train, val, seed, report=lambda *_, **__: None,
            leg=Leg(epochs, paused, pause=True),
        )  # fmt: skip
        paused = trained.paused
        good = paused is not None
        scores.append(trained.outcome.fitness if good else None)
        if not good:
            break
    return scores + [None] * (len(rungs) - len(scores))


def measure(
    task: str, count: int, rungs: tuple[float, ...], known: set[int]
) -> Iterator[list[Row]]:
    """Train every recipe that is not known in every way; yield the rows of each."""
    with tempfile.TemporaryDirectory() as folder:
        settings = settings_of(task, Path(folder))
        training = replace(settings.training, epochs=round(rungs[-1]))
        tuner = fine_tuner(replace(settings, training=training))
        for number, genome in enumerate(genomes(count)):
            if number in known:
                continue
            seed = derive(0, "rungs", number)
            yield [
                Row(task, number, way, climb(tuner, genome, seed, cooldown, rungs))
                for way, cooldown in WAYS.items()
            ]
            click.echo(f"{task}, recipe {number} of {count}", err=True)


def correlation(pairs: list[tuple[float, float]]) -> tuple[float, float, float]:
    """Return Spearman's rank correlation and its 95 % interval, by a bootstrap over recipes."""
    points = np.array(pairs)
    dice = generator(0, "bootstrap")
    drawn = [points[dice.integers(len(points), size=len(points))] for _ in range(2000)]
    found = [spearmanr(*some.T).statistic for some in drawn if len(np.unique(some, axis=0)) > 2]
    low, high = np.nanquantile(found, (0.025, 0.975))
    return float(spearmanr(*points.T).statistic), float(low), float(high)


def compared(rows: list[Row], rungs: tuple[float, ...]) -> list[dict[str, Any]]:
    """Return a row for each task, way and rung: its correlations with the last."""
    found = []
    for task in dict.fromkeys(row.task for row in rows):
        mine = {(row.way, row.recipe): row.scores for row in rows if row.task == task}
        recipes = sorted({recipe for _, recipe in mine})
        for way in WAYS:
            for at, epochs in enumerate(rungs):
                both = {
                    name: [
                        (mine[way, r][at], mine[other, r][-1])
                        for r in recipes
                        if None not in (mine[way, r][at], mine[other, r][-1])
                    ]
                    for name, other in (("own", way), ("cosine", LAST))
                }
                scores = [mine[way, r][at] for r in recipes if mine[way, r][at] is not None]
                found.append(
                    {"task": task, "way": way, "epochs": epochs, "recipes": len(both["cosine"]),
                     "mean": mean(scores),
                     **{name: correlation(pairs) for name, pairs in both.items()}}
                )  # fmt: skip
    return found


def gains(rows: list[Row]) -> list[dict[str, Any]]:
    """Return what each cool-down's last score is above the cosine's, in points."""
    found = []
    for task in dict.fromkeys(row.task for row in rows):
        mine = {(row.way, row.recipe): row.scores[-1] for row in rows if row.task == task}
        for way in WAYS:
            if way == LAST:
                continue
            both = [(mine[way, r], mine[LAST, r]) for w, r in mine if w == way]
            apart = [100 * (a - b) for a, b in both if a is not None and b is not None]
            good = [100 * (a - b) for a, b in both if a and b and max(a, b) > 0.5]
            error = stdev(apart) / len(apart) ** 0.5
            found.append({"task": task, "way": way, "mean": mean(apart), "error": error,
                          "recipes": len(apart), "good": mean(good), "of": len(good)})  # fmt: skip
    return found


def report(content: dict[str, Any]) -> str:
    """Return what was measured as Markdown."""
    say = ", ".join(f"{name} {version}" for name, version in content["versions"].items())
    lines = [
        "# How well a rung foretells the last",
        "",
        f"`python benchmarks/rungs.py` with {say}.",
        "",
        content["words"],
        "",
        "| data | judged | epochs | mean accuracy, % | rank correlation with its own last rung "
        "| with the cosine to the end | recipes |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in content["compared"]:
        own, cosine = (f"{a:+.2f} ({b:+.2f} to {c:+.2f})" for a, b, c in (r["own"], r["cosine"]))
        lines.append(f"| {r['task']} | {r['way']} | {r['epochs']:g} | {100 * r['mean']:.1f} "
                     f"| {own} | {cosine} | {r['recipes']} |")  # fmt: skip
    lines += [
        "",
        "Accuracy after all epochs, less that of the cosine over all of them, in points (mean and "
        "standard error over recipes; and the mean over those that come above 50 % either way):",
        "",
        "| data | judged | difference | recipes | above 50 % | recipes |",
        "|---|---|---|---|---|---|",
        *(f"| {g['task']} | {g['way']} | {g['mean']:+.2f} ± {g['error']:.2f} | {g['recipes']} "
          f"| {g['good']:+.2f} | {g['of']} |" for g in content["gains"]),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--task", "tasks", multiple=True, default=TASKS, type=click.Choice(TASKS))
@click.option("--count", default=24, show_default=True, help="Recipes.")
@click.option("--rung", "rungs", multiple=True, type=float, default=(1.0, 3.0, 9.0),
              show_default=True, help="Epochs of each rung, ascending.")  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path), default=HERE / "results",
              help="Folder for rungs.json and rungs.md.")  # fmt: skip
def main(tasks: tuple[str, ...], count: int, rungs: tuple[float, ...], output: Path) -> None:
    """Measure what ``rungs.json`` does not hold yet; write it and ``rungs.md``."""
    torch.set_num_threads(1)
    path = output / "rungs.json"
    content = json.loads(path.read_text()) if path.is_file() else {"trials": [], "words": ""}
    rows = [Row(**row) for row in content["trials"]]
    output.mkdir(parents=True, exist_ok=True)
    for task in tasks:
        if task != "digits" and not DATA.is_dir():
            click.echo(f"{task} is left out: there is no {DATA}; name it by EVOFT_DATA", err=True)
            continue
        known = {row.recipe for row in rows if row.task == task}
        for more in measure(task, count, rungs, known):
            rows += more
            content |= {"versions": versions(), "trials": [asdict(row) for row in rows]}
            path.write_text(json.dumps(content, indent=1) + "\n")
    content |= {"compared": compared(rows, rungs), "gains": gains(rows)}
    path.write_text(json.dumps(content, indent=1) + "\n")
    (output / "rungs.md").write_text(report(content))
    click.echo((output / "rungs.md").read_text())


if __name__ == "__main__":
    main()
