"""``evoft predict``: what an exported model says of images."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from evoft.cli.output import emit, format_option
from evoft.cli.values import PATH
from evoft.errors import DataError


@click.command("predict", short_help="Say what an exported model sees in images.")
@click.argument("folder", type=PATH, metavar="DIR")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@format_option
def predict_command(folder: Path, images: tuple[str, ...], form: str) -> int:
    """Predict the class of each IMAGE with the exported model in DIR.

    An IMAGE that cannot be read is named on stderr and has no row; the others are predicted, and
    the exit code is 3.
    """
    from evoft.training.prediction import predict_files

    unusable: list[DataError] = []
    predictions = predict_files(folder, images, unusable.append)
    emit([asdict(prediction) for prediction in predictions], form)
    for error in unusable:
        click.echo(f"evoft: {error}", err=True)
    return DataError.exit_code if unusable else 0
