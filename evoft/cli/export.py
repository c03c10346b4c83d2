"""``evoft export``: the model of the winner, or of any individual, as a folder for timm."""

from __future__ import annotations

from pathlib import Path

import click

from evoft.analysis.card import model_card
from evoft.analysis.report import metrics_of, report_of
from evoft.errors import NoResultError, SettingsError
from evoft.lineage import Population


@click.command("export")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("rest", nargs=-1, required=True, metavar="[ID] DIR")
@click.option("--data", help="Where the same images are now, if the model must be trained again.")
def export_command(file: Path, rest: tuple[str, ...], data: str | None) -> None:
    """Write the model of the winner, or of individual ID, to DIR, so that plain timm loads it.

    An individual whose weights were not kept is trained again, with its recipe and its seed.
    """
    from evoft.fine_tuning.exporting import export_individual, require_fine_tuned

    population = Population.open(file)
    require_fine_tuned(population)
    id, folder = _id_and_folder(rest, population)
    individual = population[id]
    report = report_of(population)
    judged = report is not None and report.winner.id == id
    card = model_card(population.header, individual, report if judged else None)
    if report is not None and judged:
        metrics = metrics_of(report)
    else:
        metrics = {"individual": id, "validation_accuracy_in_search": individual.fitness}
    trained_again = export_individual(population, id, folder, card, metrics, data)
    if trained_again:
        click.echo(f"individual {id} was trained again: its weights had not been kept")
    click.echo(f"model {folder}")


def _id_and_folder(rest: tuple[str, ...], population: Population) -> tuple[int, Path]:
    match rest:
        case (folder,):
            if population.winner is None:
                raise NoResultError(
                    f"no trial in {population.path} has ended well: nothing to export"
                )
            return population.winner.id, Path(folder)
        case (id, folder) if id.isdecimal():
            return int(id), Path(folder)
    raise SettingsError(f"`evoft export FILE [ID] DIR` takes no {' '.join(rest)!r}")
