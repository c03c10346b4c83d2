"""``evoft resume``: go on with a population where it stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from evoft.cli.configuration import overlaid, space_of
from evoft.cli.flags import (
    EVOLVE_FLAGS,
    OUTPUT_HELP,
    RECIPE_FLAGS,
    RUN_FLAGS,
    with_flags,
)
from evoft.cli.progress import at_a_stop, images_bars, require_output, run_to_the_end
from evoft.cli.settling import Settling, with_settling
from evoft.cli.values import PATH
from evoft.errors import SettingsError
from evoft.settings import Settings


@click.command("resume", short_help="Go on after a stop, or with a larger budget.")
@click.argument("file", type=PATH)
@click.option("--data", help="Where the same images are now, if they have moved.")
@click.option("--output", type=PATH, help=OUTPUT_HELP)
@click.option(
    "--space",
    type=PATH,
    help="TOML file of the same genes with other bounds, values or defaults, to go on in.",
)
@with_flags(RUN_FLAGS)
# What these set cannot change; whoever gives them all the same is told so.
@click.option("-c", "--config", type=PATH, hidden=True)
@click.option("--founders", type=PATH, hidden=True)
@with_settling(hidden=True)
@with_flags(EVOLVE_FLAGS, RECIPE_FLAGS, hidden=True)
def resume_command(  # noqa: PLR0913, PLR0917  # each is a flag of its own
    file: Path,
    data: str | None,
    output: Path | None,
    space: Path | None,
    config: Path | None,
    founders: Path | None,
    model_kwargs: tuple[str, ...],
    warmup_epochs: float | None,
    objectives: tuple[str, ...],
    **flags: Any,
) -> None:
    """Go on with the population in FILE: after a stop, or with a larger budget.

    A run that was stopped goes on as if nothing had happened. Budgets are totals over the life of
    the population: what was made with --generations 4 goes on with --generations 8. What is not
    given is as it was.

    \b
    Examples:
      evoft resume populations/photos.h5
      evoft resume populations/photos.h5 --generations 8 --workers 2
      evoft resume populations/photos.h5 --budget 4h
      evoft resume populations/photos.h5 --finalists 5 --repeats 5
      evoft resume populations/photos.h5 --space wider.toml --generations 8

    The strategy, the objectives, --epochs, which genes there are and which are fixed stay as they
    are in FILE; a new population with others can begin with its best: `evoft evolve --founders
    FILE`. Bounds and values may change as long as everyone that was born has a place in them:
    `evoft space FILE` prints the genes as they are.
    """
    from evoft.fine_tuning import resume

    genes = None if space is None else space_of(space)
    for name, given in (("config", config), ("founders", founders)):
        if given is not None:
            raise SettingsError(
                f"--{name} cannot be given on resume, for the settings of {file} stay: start a new "
                f"population with `evoft evolve --{name} {given}`"
                + (
                    ""
                    if name == "founders"
                    else f", which --founders {file} lets begin with its best"
                )
            )
    if data is not None:
        flags["training__data"] = data

    def change(settings: Settings) -> Settings:
        given = Settling(model_kwargs, warmup_epochs, objectives)
        changed = given.over(overlaid(settings.to_dict(), flags))
        # The file is read by now, and says where the images are unless --data does.
        require_output(file, output, changed.training.data, new=False)
        return changed

    with at_a_stop(f"Stopped before any trial; {file} is as it was"), images_bars() as progress:
        run = resume(file, space=genes, change=change, progress=progress)
    asked = flags["search__generations"]
    if asked is not None and asked <= (had := len(run.evolution.population.generations)):
        click.echo(_adds_none(asked, had), err=True)
    run_to_the_end(run, output)


def _adds_none(asked: int, had: int) -> str:
    """Return that a number of generations is a total, to who takes it for how many more."""
    return (
        f"--generations is a total over the life of the population, which has had {had}, so "
        f"{asked} adds none: for {asked} more give --generations {had + asked}"
    )
