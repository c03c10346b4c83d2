"""How the cost of evaluating recipes grows: with their number, data, freeze depth and workers.

    python benchmarks/growth.py

Digits, recipes of the default space drawn with a fixed seed, from a cold start of evoft's workers
to the last outcome, as in ``throughput.py``.  One thing changes at a time; all others are as in the
first row of the results.  The cases take turns, and medians are reported, so that a disturbance of
the machine falls on one round of some of them.
"""

import json
import platform
import statistics
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import throughput

from evoft.environment import versions
from evoft.genome import Genome
from evoft.settings import Settings

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Case:
    """What is evaluated, and by how many workers."""

    recipes: int
    images: int | None
    #: Share of the layer groups that each recipe freezes; None: what each says.
    frozen: float | None
    workers: int


def cases(recipes: int) -> dict[str, list[Case]]:
    """Return the cases by what changes in them."""
    base = Case(recipes, None, None, throughput.CORES)
    return {
        "as it is": [base],
        "recipes": [replace(base, recipes=n) for n in (recipes // 2, recipes * 2)],
        "training images": [replace(base, images=n) for n in (270, 540)],
        "frozen": [replace(base, frozen=s) for s in (0.0, 0.25, 0.5, 0.75, 1.0)],
        "workers": [replace(base, workers=n) for n in (1, 2, 4) if n != base.workers],
    }


def run(case: Case, epochs: int) -> dict[str, Any]:
    """Evaluate a case's recipes; return the wall time and the seconds of the trials."""
    settings: Settings = throughput.settings_of("digits", epochs)
    settings = replace(
        settings,
        training=replace(settings.training, max_train_images=case.images),
        run=replace(settings.run, workers=case.workers),
    )
    drawn = throughput.genomes

    def frozen(count: int) -> list[Genome]:
        return [{**genome, "freeze_depth": case.frozen} for genome in drawn(count)]

    if case.frozen is not None:
        throughput.genomes = frozen
    start = time.perf_counter()
    try:
        found = throughput.run_evoft(settings, case.recipes)
    finally:
        throughput.genomes = drawn
    return {
        "wall": time.perf_counter() - start,
        "trials": sum(found["seconds"]),
        "peak_memory": found["peak_memory"],
    }


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Return the median over a case's rounds of each thing that was measured."""
    return {name: statistics.median(times[name] for times in rounds) for name in rounds[0]}


def _rounds(found: dict[str, Any]) -> str:
    count = len(found["runs"][0][2])
    return f"medians of {count} rounds in which the cases took turns" if count > 1 else "one round"


def report(found: dict[str, Any]) -> str:
    """Return the results as Markdown."""
    lines = [
        "# How the cost grows",
        "",
        f"Digits, {found['epochs']} epochs, {throughput.CORES} CPU cores ({platform.machine()}); "
        f"torch {found['versions']['torch']}, timm {found['versions']['timm']}; {_rounds(found)}.  "
        "Wall time is from a cold start; a trial's is its own, in its worker.",
        "",
        "| what changes | recipes | training images | frozen | workers | wall time, s | "
        "seconds a trial | trials a minute | peak memory of a process, MiB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, values, rounds in found["runs"]:
        case, times = Case(**values), medians(rounds)
        frozen = "as each says" if case.frozen is None else case.frozen
        lines.append(
            f"| {name} | {case.recipes} | {case.images or 'all'} | {frozen} | {case.workers} | "
            f"{times['wall']:.1f} | {times['trials'] / case.recipes:.3f} | "
            f"{60 * case.recipes / times['wall']:.0f} | {times['peak_memory'] / 2**20:.0f} |"
        )
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--recipes", default=24, show_default=True)
@click.option("--epochs", default=2, show_default=True)
@click.option("--rounds", default=3, show_default=True, help="In each, every case has its turn.")
@click.option("--out", type=click.Path(path_type=Path), default=HERE / "results")
def main(recipes: int, epochs: int, rounds: int, out: Path) -> None:
    """Measure and write ``growth.json`` and ``.md``."""
    runs: list[tuple[str, Case, list[dict[str, Any]]]] = [
        (name, case, []) for name, some in cases(recipes).items() for case in some
    ]
    for _ in range(rounds):
        for name, case, seen in runs:
            seen.append(run(case, epochs))
            click.echo(f"{name}: {case} {seen[-1]['wall']:.1f} s", err=True)
    rows = [[name, vars(case), seen] for name, case, seen in runs]
    found = {"epochs": epochs, "versions": versions(), "runs": rows}
    out.mkdir(parents=True, exist_ok=True)
    (out / "growth.json").write_text(json.dumps(found) + "\n")
    (out / "growth.md").write_text(report(found))
    click.echo(report(found))


if __name__ == "__main__":
    main()
