"""``evoft evaluate``: how an exported model does on labelled images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from evoft.analysis.confusion import Confusion, class_rows, confusion_of
from evoft.analysis.wording import percent
from evoft.cli.output import counted, emit, emit_json, format_option
from evoft.cli.progress import images_bars
from evoft.cli.values import PATH
from evoft.errors import DataError

if TYPE_CHECKING:
    from evoft.training.evaluating import Evaluation

#: How many of the classes that an image of one is taken for are named in a table.
_NAMED = 3


@click.command("evaluate", short_help="Say how good an exported model is on labelled images.")
@click.argument("folder", type=PATH, metavar="DIR")
@click.argument("data")
@click.option(
    "--split",
    type=click.Choice(["train", "val", "test", "all"]),
    help="Which images.  [default: test where there is one, else all]",
)
@click.option("--wrong", is_flag=True, help="List the images that it takes for another class.")
@format_option
def evaluate_command(folder: Path, data: str, split: str | None, wrong: bool, form: str) -> int:
    """Say how the exported model in DIR does on the labelled images of DATA, class by class.

    DATA is a folder, a CSV or an npz as for `evoft evolve`, or `digits`. Data that the model was
    trained on is split as it was then, so that by default its test images are looked at.

    With --wrong, images taken for another class come with the surest first, which often are
    those that have a wrong label. An image that cannot be read is named on stderr, and the exit
    code is 3.
    """
    from evoft.training.evaluating import evaluate_model

    with images_bars() as progress:
        told = partial(progress, "looking at images")
        evaluation = evaluate_model(folder, data, split, told)
    if wrong:
        _emit_wrong(evaluation, form)
    else:
        _emit_classes(evaluation, form)
    for error in evaluation.unusable:
        click.echo(f"evoft: {error}", err=True)
    return DataError.exit_code if evaluation.unusable else 0


def _emit_wrong(evaluation: Evaluation, form: str) -> None:
    rows = _wrong_rows(evaluation)
    if form == "table" and not rows:
        images = counted(len(evaluation.images), "image")
        click.echo(f"none of {images} is taken for another class")
        return
    emit(rows, form, ("image", "label", "taken_for", "probability"))


def _wrong_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    wrong = np.flatnonzero(evaluation.truth != evaluation.taken_for)
    surest_first = wrong[np.argsort(-evaluation.probability[wrong], kind="stable")]
    return [
        {
            "image": evaluation.images[index],
            "label": evaluation.labels[evaluation.truth[index]],
            "taken_for": evaluation.labels[evaluation.taken_for[index]],
            "probability": float(evaluation.probability[index]),
        }
        for index in surest_first
    ]


def _emit_classes(evaluation: Evaluation, form: str) -> None:
    confusion = confusion_of(evaluation.labels, evaluation.truth, evaluation.taken_for)
    rows = class_rows(confusion)
    if form == "json":
        emit_json(_document(evaluation, confusion, rows))
        return
    emit([row | {"taken_for": _counts_text(row["taken_for"])} for row in rows], form)
    if form == "table":
        click.echo(_summary(evaluation, confusion))


def _counts_text(counts: Mapping[str, int]) -> str | None:
    named = [f"{name} ({count})" for name, count in list(counts.items())[:_NAMED]]
    more = [f"{len(counts) - _NAMED} more"] if len(counts) > _NAMED else []
    return ", ".join(named + more) or None


def _document(
    evaluation: Evaluation, confusion: Confusion, rows: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "data": evaluation.data,
        "split": evaluation.split,
        "trained_on": evaluation.trained_on,
        "images": len(evaluation.images),
        "accuracy": asdict(confusion.accuracy),
        "balanced_accuracy": asdict(confusion.balanced_accuracy),
        "largest_class": confusion.largest_class,
        "classes": rows,
        "labels": confusion.classes,
        "confusion": confusion.counts.tolist(),
    }


def _summary(evaluation: Evaluation, confusion: Confusion) -> str:
    images = f"{evaluation.data}: {counted(len(evaluation.images), 'image')}"
    if evaluation.split != "all":
        images += f" of {evaluation.split}"
    if evaluation.trained_on:
        images += ", split as for the model's training"
    return "\n".join(
        [
            "",
            f"images             {images}",
            f"accuracy           {percent(confusion.accuracy)}",
            f"balanced accuracy  {percent(confusion.balanced_accuracy)}",
            "Always saying the largest class is right on "
            f"{100 * confusion.largest_class:.1f} % of them.",
        ]
    )
