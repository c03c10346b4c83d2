"""``evoft lineage``: who an individual came from, what each step changed and what it gained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from evoft.cli.output import emit, emit_json, format_option, gene_text
from evoft.cli.values import PATH
from evoft.errors import NoResultError
from evoft.lineage import Population, Step, ancestors, nobody_left


@click.command("lineage", short_help="Show how the winner came about, step by step.")
@click.argument("file", type=PATH)
@click.argument("id", type=int, required=False)
@format_option
def lineage_command(file: Path, id: int | None, form: str) -> None:
    """Show the ancestry of the winner, or of individual ID, in order of birth."""
    population = Population.open(file)
    if id is None:
        if population.winner is None:
            raise NoResultError(f"{nobody_left(population)}: name an individual's ID")
        id = population.winner.id
    steps = ancestors(population, id)
    rows = [_row(step, population.on_rungs) for step in steps]
    if form == "json":
        emit_json([row | _document(step) for row, step in zip(rows, steps, strict=True)])
    else:
        emit(rows, form)


def _changes(step: Step) -> str:
    return ", ".join(
        f"{c.gene} {gene_text(c.gene, c.before)} -> {gene_text(c.gene, c.after)}"
        for c in step.changes
    )


def _row(step: Step, on_rungs: bool) -> dict[str, Any]:
    individual = step.individual
    return {
        "id": individual.id,
        "generation": individual.generation,
        "operator": individual.operator,
        "parents": individual.parents,
        **({"rung": individual.rung} if on_rungs else {}),
        "fitness": individual.fitness,
        "gain": step.gain,
        "against": step.compared_with,
        "changes": _changes(step) or None,
    }


def _document(step: Step) -> dict[str, Any]:
    changes = [
        {"gene": change.gene, "before": change.before, "after": change.after}
        for change in step.changes
    ]
    return {"genome": dict(step.individual.genome), "changes": changes}
