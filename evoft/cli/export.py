"""``evoft export``: the model of the winner, or of any individual, as a folder for timm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from evoft.analysis.card import model_card, model_metrics, soup_sentence
from evoft.cli.values import PATH
from evoft.errors import NoResultError, SettingsError
from evoft.lineage import Population, nobody_left
from evoft.places import place
from evoft.soup import Fate, Soup
from evoft.trial import TrialKey


@click.command("export", short_help="Write any individual's model as a folder for timm.")
@click.argument("file", type=PATH)
@click.argument("rest", nargs=-1, required=True, metavar="[ID] DIR")
@click.option("--data", help="Where the same images are now, if they are to be looked at again.")
@click.option(
    "--soup",
    is_flag=True,
    help="Average its weights with those of other kept runs in its basin that make it better.",
)
def export_command(file: Path, rest: tuple[str, ...], data: str | None, soup: bool) -> None:
    """Write the model of the winner, or of individual ID, to DIR, so that plain timm loads it.

    An individual whose weights were not kept is trained again, with its recipe and its seed.
    """
    from evoft.fine_tuning.exporting import export_individual, require_fine_tuned

    population = Population.open(file)
    require_fine_tuned(population)
    id, folder = id_and_folder(rest, population, "export")

    def describe(key: TrialKey, again: float | None) -> tuple[str, Mapping[str, Any]]:
        return model_card(population, key, again), model_metrics(population, key, again)

    if soup:
        _export_soup(population, id, folder, data)
    elif export_individual(population, id, folder, describe, data):
        click.echo(f"individual {id} was trained again: its weights had not been kept")
    click.echo(f"model {folder}")


def _export_soup(population: Population, id: int, folder: Path, data: str | None) -> None:
    from evoft.fine_tuning.exporting import export_soup
    from evoft.fine_tuning.plan import checkpoints_of

    def describe(soup: Soup) -> tuple[str, Mapping[str, Any]]:
        return (
            model_card(population, soup.base, soup=soup),
            model_metrics(population, soup.base, soup=soup),
        )

    soup = export_soup(population, id, folder, describe, data)
    assert population.path is not None
    for line in _soup_lines(population, soup, checkpoints_of(population.path)):
        click.echo(line)


def _soup_lines(population: Population, soup: Soup, folder: Path) -> Iterator[str]:
    from evoft.training.fine_tuner import checkpoint_path

    others = soup.fates
    if not others:
        yield "other kept runs: none of its backbone"
    else:
        shown = [fate for fate in Fate if fate is not Fate.DAMAGED or soup.damaged]
        counts = ", ".join(f"{soup.count(fate)} {fate}" for fate in shown)
        yield f"other kept runs of its backbone: {len(others)}, of which {counts}"
    for key in soup.damaged:
        yield f"damaged: {checkpoint_path(folder, key)}; remove it, or fetch it from a copy"
    if soup.taken:
        yield soup_sentence(population, soup)
    else:
        yield f"no mean of weights is better than individual {soup.base[1]} alone"


def id_and_folder(rest: tuple[str, ...], population: Population, command: str) -> tuple[int, Path]:
    """Return whom a command is about, the winner unless given, and the folder that it writes to.

    Args:
        rest: What was given behind the file.
        population: Read from that.
        command: Its name, for errors.

    Raises:
        SettingsError: There is no folder, or too much.
        NoResultError: There is no winner yet.
    """
    match rest:
        case (folder,) if folder.isdecimal():
            raise SettingsError(
                f"`evoft {command} FILE [ID] DIR` needs a folder after the ID {folder}; a folder "
                f"of that name is written ./{folder}"
            )
        case (folder,):
            if population.winner is None:
                raise NoResultError(
                    f"{nobody_left(population)}: nothing to {command}; let the search go on"
                )
            return population.winner.id, place(folder)
        case (id, folder) if id.isdecimal():
            return int(id), place(folder)
    raise SettingsError(f"`evoft {command} FILE [ID] DIR` takes no {' '.join(rest)!r}")
