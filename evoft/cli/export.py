"""``evoft export``: the model of the winner, or of any individual, as a folder for timm."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from evoft.analysis.card import model_card, model_metrics
from evoft.cli.values import PATH
from evoft.errors import NoResultError, SettingsError
from evoft.lineage import Population, nobody_left
from evoft.places import place
from evoft.trial import TrialKey


@click.command("export", short_help="Write any individual's model as a folder for timm.")
@click.argument("file", type=PATH)
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

    def describe(key: TrialKey, again: float | None) -> tuple[str, Mapping[str, Any]]:
        return model_card(population, key, again), model_metrics(population, key, again)

    if export_individual(population, id, folder, describe, data):
        click.echo(f"individual {id} was trained again: its weights had not been kept")
    click.echo(f"model {folder}")


def _id_and_folder(rest: tuple[str, ...], population: Population) -> tuple[int, Path]:
    match rest:
        case (folder,) if folder.isdecimal():
            raise SettingsError(
                f"`evoft export FILE [ID] DIR` needs a folder after the ID {folder}; a folder of "
                f"that name is written ./{folder}"
            )
        case (folder,):
            if population.winner is None:
                raise NoResultError(
                    f"{nobody_left(population)}: nothing to export; let the search go on"
                )
            return population.winner.id, place(folder)
        case (id, folder) if id.isdecimal():
            return int(id), place(folder)
    raise SettingsError(f"`evoft export FILE [ID] DIR` takes no {' '.join(rest)!r}")
