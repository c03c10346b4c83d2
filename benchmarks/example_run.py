"""What `evoft evolve` without DATA brings, over several seeds: time, accuracies, gain.

    python benchmarks/example_run.py --seeds 5

Runs the installed command in a folder of its own for each seed, one after the other, and writes
``benchmarks/results/example_run.json`` and ``.md``.  Nothing is chosen by its result: all seeds
are reported.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from evoft.environment import versions

RESULTS = Path(__file__).parent / "results"


def run(seed: int) -> dict[str, float]:
    """Return what one run of the command took and found."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        command = [sys.executable, "-c", "from evoft.cli.main import main; main()"]
        subprocess.run(
            [*command, "evolve", "--seed", str(seed)], cwd=folder, check=True, capture_output=True
        )
        seconds = time.perf_counter() - start
        metrics = json.loads(Path(folder, "populations/digits.best/metrics.json").read_text())
    winner, default = metrics["winner"], metrics["default"]
    return {
        "seed": seed,
        "seconds": seconds,
        "winner_validation": winner["validation_accuracy"]["estimate"],
        "default_validation": default["validation_accuracy"]["estimate"],
        "winner_test": winner["test_accuracy"]["estimate"],
        "default_test": default["test_accuracy"]["estimate"],
        "gain": metrics["test_gain"]["estimate"],
        "gain_low": metrics["test_gain"]["low"],
        "gain_high": metrics["test_gain"]["high"],
        "optimism": metrics["selection_optimism"],
    }


def report(runs: list[dict[str, float]]) -> str:
    """Return the runs as a Markdown table, accuracies and gains in per cent."""
    columns = [name for name in runs[0] if name not in ("seed", "seconds")]
    lines = [
        "# `evoft evolve` without DATA",
        "",
        f"`python benchmarks/example_run.py --seeds {len(runs)}` on {os.cpu_count()} CPU cores, "
        f"{platform.machine()}; evoft {versions()['evoft']}, torch {versions()['torch']}, "
        f"timm {versions()['timm']}.",
        "",
        "Each seed splits digits anew. Accuracies and gains in per cent; the gain is the winner's "
        "test accuracy less the default recipe's, with its 95 % interval.",
        "",
        f"| seed | seconds | {' | '.join(columns)} |",
        "|---" * (len(columns) + 2) + "|",
    ]
    for row in runs:
        cells = " | ".join(f"{100 * row[name]:.1f}" for name in columns)
        lines.append(f"| {row['seed']:.0f} | {row['seconds']:.0f} | {cells} |")
    means = " | ".join(f"{100 * statistics.fmean(r[name] for r in runs):.1f}" for name in columns)
    seconds = statistics.fmean(r["seconds"] for r in runs)
    lines.append(f"| mean | {seconds:.0f} | {means} |")
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--seeds", default=5, show_default=True)
def main(seeds: int) -> None:
    """Run the command for seeds 0, 1, ... and write the results."""
    runs = []
    for seed in range(seeds):
        runs.append(run(seed))
        click.echo(runs[-1])
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "example_run.json").write_text(json.dumps(runs, indent=2) + "\n")
    (RESULTS / "example_run.md").write_text(report(runs))
    click.echo(report(runs))


if __name__ == "__main__":
    main()
