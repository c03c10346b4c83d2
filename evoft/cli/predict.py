"""``evoft predict``: what an exported model says of images."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evoft.cli.output import emit, format_option
from evoft.cli.progress import images_bars
from evoft.cli.values import PATH
from evoft.errors import DataError

if TYPE_CHECKING:
    from evoft.training.prediction import Prediction


@click.command("predict", short_help="Say what an exported model sees in images.")
@click.argument("folder", type=PATH, metavar="DIR")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How many classes to name of each image, the most probable first.",
)
@format_option
def predict_command(folder: Path, images: tuple[str, ...], top: int, form: str) -> int:
    """Predict the class of each IMAGE with the exported model in DIR.

    A folder stands for all images in and below it. An IMAGE that cannot be read is named on
    stderr and has no row; the others are predicted, and the exit code is 3.
    """
    from evoft.training.prediction import predict_files

    unusable: list[DataError] = []
    with images_bars() as progress:
        told = partial(progress, "looking at images")
        predictions = predict_files(folder, images, unusable.append, top=top, progress=told)
    emit([_row(prediction) for prediction in predictions], form)
    for error in unusable:
        click.echo(f"evoft: {error}", err=True)
    return DataError.exit_code if unusable else 0


def _row(prediction: Prediction) -> dict[str, Any]:
    row: dict[str, Any] = {"image": prediction.image}
    ranked = zip(prediction.labels, prediction.probabilities, strict=True)
    for rank, (label, probability) in enumerate(ranked, 1):
        number = f"_{rank}" if rank > 1 else ""
        row |= {f"label{number}": label, f"probability{number}": probability}
    return row
