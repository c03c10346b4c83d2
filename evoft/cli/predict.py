"""``evoft predict``: what an exported model says of images."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from evoft.cli.output import emit, format_option


@click.command("predict", short_help="Say what an exported model sees in images.")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@format_option
def predict_command(folder: Path, images: tuple[str, ...], form: str) -> None:
    """Predict the class of each IMAGE with the exported model in DIR."""
    from evoft.training.prediction import predict_files

    emit([asdict(prediction) for prediction in predict_files(folder, images)], form)
