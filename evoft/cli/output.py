"""How commands print: tables for people, JSON and CSV for programs."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import click

from evoft.analysis.wording import plain

#: The option of every command that reads.
format_option = click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="A table for people, JSON or CSV for programs.",
)

Row = Mapping[str, Any]


def emit(rows: Sequence[Row], form: str, columns: Sequence[str] = ()) -> None:
    """Print rows of equal columns.

    Args:
        rows: From column to value.
        form: ``table``, ``json`` or ``csv``.
        columns: What the columns are called if there are no rows.
    """
    columns = list(rows[0]) if rows else columns
    if form == "json":
        click.echo(json.dumps([{k: finite(v) for k, v in row.items()} for row in rows], indent=2))
    elif form == "csv":
        click.echo(_csv(columns, rows), nl=False)
    else:
        cells = [[short(row[column]) for column in columns] for row in rows]
        click.echo(table(columns, cells))


def emit_json(data: Any) -> None:
    """Print one JSON document; what is not a finite number becomes null."""
    click.echo(json.dumps(finite(data), indent=2))


def finite(value: Any) -> Any:
    """Return JSON data with null for what JSON has no number for."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def short(value: Any) -> str:
    """Return a cell's text for people."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, list | tuple):
        return " ".join(map(str, value)) or "-"
    return plain(value)


def gene_text(name: str, value: Any) -> str:
    """Return a gene's value for people; a freeze depth that is a share is told from a count."""
    text = short(value)
    is_share = name == "freeze_depth" and isinstance(value, float)
    return f"{text}.0" if is_share and "." not in text else text


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return text in columns, each as wide as its widest cell."""
    lines = [list(columns), *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def counted(count: int, word: str) -> str:
    """Return a number of things, as in ``1 generation`` and ``4 generations``."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def duration(seconds: float) -> str:
    """Return a length of time for people, as in ``2 min 10 s``."""
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _csv(columns: Sequence[str], rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if columns:
        writer.writerow(columns)
    for row in rows:
        writer.writerow(
            [" ".join(map(str, v)) if isinstance(v, list | tuple) else v for v in row.values()]
        )
    return text.getvalue()
