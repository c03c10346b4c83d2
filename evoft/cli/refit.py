"""``evoft refit``: train a recipe that was found anew, for longer or on more images."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from evoft.analysis.refit_card import (
    refit_card,
    refit_metrics,
    result_lines,
    training_words,
)
from evoft.cli.export import id_and_folder
from evoft.cli.output import duration
from evoft.cli.progress import at_a_stop, images_bars
from evoft.cli.values import PATH, devices_of, parsed
from evoft.lineage import Population
from evoft.outcome import CurvePoint
from evoft.refit import Changes, Refit, Refitted


@click.command("refit", short_help="Train a recipe that was found anew, longer or on more images.")
@click.argument("file", type=PATH)
@click.argument("rest", nargs=-1, required=True, metavar="[ID] DIR")
@click.option("--data", help="Other images, as for `evoft evolve`; the population's unless given.")
@click.option("--epochs", type=int, help="For how long; as long as the recipe says unless given.")
@click.option(
    "--patience", type=int, help="Epochs without a better validation that end it; 0: none."
)
@click.option("--with-val", is_flag=True, help="Train on the validation images too.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the training.")
@click.option(
    "--devices",
    "--device",
    type=parsed(devices_of, "devices"),
    help="auto, cpu, or a GPU's number.",
)
def refit_command(  # each is a flag of its own
    file: Path,
    rest: tuple[str, ...],
    data: str | None,
    epochs: int | None,
    patience: int | None,
    with_val: bool,
    seed: int,
    devices: str | None,
) -> None:
    """Train the recipe of the winner, or of individual ID, anew, and write the model to DIR.

    The search trains for few epochs, and on part of the images if --max-train-images says so. A
    refit is for the end: the recipe is trained from the pretrained weights once more, for as long
    as you like, on all training images, or on other images and classes. FILE stays as it is.

    \b
    Examples:
      evoft refit populations/photos.h5 final --epochs 50 --with-val
      evoft refit populations/photos.h5 29 longer --epochs 50 --patience 8
      evoft refit populations/photos.h5 others --data more-photos
    """
    from evoft.fine_tuning.refitting import refit

    population = Population.open(file)
    id, folder = id_and_folder(rest, population, "refit")
    changes = Changes(
        data=data, epochs=epochs, patience=patience, devices=devices, seed=seed, with_val=with_val
    )

    def describe(refitted: Refitted) -> tuple[str, Mapping[str, Any]]:
        return refit_card(population, refitted), refit_metrics(population, refitted)

    with at_a_stop("Stopped; nothing was written"), images_bars() as progress:
        refitted = refit(
            population,
            id,
            folder,
            changes,
            describe,
            begin=_begun,
            told=partial(_told, with_val=with_val),
            progress=progress,
        )
    click.echo("")
    for line in result_lines(population, refitted):
        click.echo(line)
    quoted, images = shlex.quote(str(folder)), shlex.quote(refitted.fit.data["source"])
    click.echo(f"It took {duration(refitted.outcome.seconds)}.\n")
    click.echo(f"model        {folder}\n\nGo on with:")
    click.echo(f"  evoft predict {quoted} IMAGE...\n  evoft evaluate {quoted} {images}")


def _begun(fit: Refit) -> None:
    splits = ", ".join(f"{count} {split}" for split, count in fit.data["splits"].items())
    click.echo(f"data         {fit.data['name']}: {splits}")
    click.echo(f"recipe       of individual {fit.individual}: {training_words(fit)}\n")


def _told(point: CurvePoint, *, with_val: bool) -> None:
    """Print a point; with the validation images trained on, what they say says nothing."""
    shown = [name for name in point.metrics if not (with_val and name.startswith("val_"))]
    numbers = ", ".join(f"{name} {point.metrics[name]:.4f}" for name in shown)
    click.echo(f"epoch {point.epoch:g}: {numbers}")
