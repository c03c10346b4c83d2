"""``evoft compare``: populations side by side at equal cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from evoft.analysis.compare import Comparison, Reading, compare
from evoft.analysis.groups import grouped
from evoft.analysis.merit import By
from evoft.analysis.plot import check_plot, plot
from evoft.analysis.report_data import bounds
from evoft.analysis.wording import plain
from evoft.cli.output import counted, emit, emit_json, format_option, table
from evoft.cli.values import PATH
from evoft.errors import SettingsError
from evoft.lineage import Population


@click.command("compare", short_help="Set populations side by side at equal cost.")
@click.argument("files", nargs=-1, required=True, type=PATH)
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="NAME=PATTERN",
    help="Put the FILES that fit a pattern, as in evo='evo*.h5', into one group; may be given "
    "again.",
)
@click.option(
    "--by",
    type=click.Choice([str(by) for by in By]),
    help="What is compared.  [default: hypervolume where all were bred for the same several "
    "objectives, else fitness]",
)
@click.option("--plot", "picture", type=PATH, help="Draw to *.svg or *.png.")
@format_option
def compare_command(
    files: tuple[Path, ...],
    labels: tuple[str, ...],
    by: str | None,
    picture: Path | None,
    form: str,
) -> None:
    """Compare the best so far in FILES at equal cost, in training and in seconds.

    Populations that differ in nothing but the seed are one group, with an interval over its runs.
    """
    if picture is not None:
        check_plot(picture)
    groups = grouped([Population.open(file) for file in files], [_label(text) for text in labels])
    comparison = compare(groups, None if by is None else By(by))
    if picture is not None:
        plot(comparison, picture)
    if form == "json":
        emit_json(_document(comparison))
    elif form == "csv":
        by = str(comparison.merit.by)
        emit([_row(one, by) for readings in comparison.readings for one in readings], form)
    else:
        _print(comparison)


def _label(text: str) -> tuple[str, str]:
    name, equals, pattern = text.partition("=")
    if not (name and equals and pattern):
        raise SettingsError(f"--label takes NAME=PATTERN, but got {text!r}")
    return name, pattern


def _row(reading: Reading, by: str) -> dict[str, Any]:
    interval = reading.interval
    return {
        "by": by,
        "cost": str(reading.cost),
        "spent": reading.spent,
        "group": reading.label,
        "runs": len(reading.values),
        "mean": reading.mean,
        "median": reading.median,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
    }


def _document(comparison: Comparison) -> dict[str, Any]:
    return {
        "groups": [
            {
                "label": group.label,
                "files": [str(population.path) for population in group.populations],
                "seeds": list(group.seeds),
            }
            for group in comparison.groups
        ],
        "by": str(comparison.merit.by),
        "objectives": [str(objective) for objective in comparison.merit.objectives],
        "notes": list(comparison.notes),
        "best_so_far": [
            {
                "cost": str(reading.cost),
                "spent": reading.spent,
                "group": reading.label,
                "values": list(reading.values),
                "mean": reading.mean,
                "median": reading.median,
                "interval": bounds(reading.interval),
            }
            for readings in comparison.readings
            for reading in readings
        ],
        "conclusions": list(comparison.conclusions),
    }


def _print(comparison: Comparison) -> None:
    for group in comparison.groups:
        files = ", ".join(str(population.path) for population in group.populations)
        click.echo(f"{group.label}: {counted(len(group.populations), 'run')} ({files})")
    for note in comparison.notes:
        click.echo(f"note: {note}")
    title = comparison.merit.title.capitalize()
    for cost in comparison.costs:
        chosen = [readings for readings in comparison.readings if readings[0].cost is cost]
        click.echo(f"\n{title}: mean of the runs (95 % interval)")
        columns = [str(cost), *(reading.label for reading in chosen[0])]
        click.echo(table(columns, [_cells(readings) for readings in chosen]))
    click.echo()
    for conclusion in comparison.conclusions or ["There is one group: nothing to compare it with"]:
        click.echo(f"{conclusion[0].upper()}{conclusion[1:]}.")


def _cells(readings: Sequence[Reading]) -> list[str]:
    return [plain(readings[0].spent), *map(_cell, readings)]


def _cell(reading: Reading) -> str:
    interval = reading.interval
    if interval is None:
        return plain(reading.mean)
    return f"{plain(reading.mean)} ({plain(interval.low)} to {plain(interval.high)})"
