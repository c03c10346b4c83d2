"""``evoft pick``: the best individual within limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from evoft.analysis.pareto import keeps_to, pick
from evoft.cli.output import emit, format_option
from evoft.cli.show import facts_of, individual_row
from evoft.cli.values import PATH, parsed
from evoft.individual import Individual
from evoft.lineage import Population
from evoft.quantities import count, moment


@click.command("pick", short_help="Name the best within limits of latency or size.")
@click.argument("file", type=PATH)
@click.option(
    "--max-latency", type=parsed(moment, "time"), help="Most time for one image: 5ms, 800us, 0.1s."
)
@click.option(
    "--max-parameters", type=parsed(count, "number"), help="Most parameters: 10M, 300k, 5288548."
)
@format_option
def pick_command(
    file: Path, max_latency: float | None, max_parameters: float | None, form: str
) -> None:
    """Name the individual in FILE of the highest fitness within limits."""
    asked = {"latency": max_latency, "parameters": max_parameters}
    limits = {name: most for name, most in asked.items() if most is not None}
    population = Population.open(file)
    chosen = pick(population, limits)
    row = _row(population, chosen)
    if form != "table":
        emit([row | {f"gene.{k}": v for k, v in chosen.genome.items()}], form)
        return
    click.echo(facts_of(row, population.recipe(chosen.id) or chosen.genome))
    winner = population.winner if population.verdicts else None
    better = winner is not None and winner.id != chosen.id and keeps_to(population, winner, limits)
    if winner is not None and better:
        click.echo(f"\nIn the final runs #{winner.id} was better, and it keeps to the limits too.")
    if population.header.data:
        both = [chosen.id, winner.id] if winner is not None and better else [chosen.id]
        exports = [f"evoft export {file} {id} DIR" for id in both]
        click.echo(f"\nIts model: {', or that of the better: '.join(exports)}")


def _row(population: Population, individual: Individual) -> dict[str, Any]:
    metrics = individual.outcome.metrics if individual.outcome else {}
    return individual_row(population, individual) | dict(metrics)
