"""``evoft space``: the default search space as TOML, to start one's own from."""

from __future__ import annotations

import json
import re
from typing import Any

import click

from evoft.cli.output import emit, emit_json
from evoft.cli.values import names_of
from evoft.search.space import SearchSpace
from evoft.settings import EMBEDDED
from evoft.training.default_space import MEANINGS, default_genes


@click.command("space", short_help="Print the default search space, to change it.")
@click.option("--model", default=EMBEDDED, help="Models, as for `evoft evolve`.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["toml", "table", "json", "csv"]),
    default="toml",
    show_default=True,
    help="TOML is what `evoft evolve --space FILE` reads.",
)
def space_command(model: str, form: str) -> None:
    """Print the default search space: `evoft space > mine.toml`, change it, and evolve in it."""
    space = SearchSpace.from_dict(default_genes(names_of(model)))
    if form == "toml":
        click.echo(space_toml(space), nl=False)
    elif form == "json":
        emit_json(space.to_dict())
    else:
        emit([_row(space, name) for name in space], form)


def _row(space: SearchSpace, name: str) -> dict[str, Any]:
    gene = space[name]
    when = [f"{k}={'|'.join(map(str, v))}" for k, v in (gene.when or {}).items()]
    return {
        "gene": name,
        "type": gene.kind,
        "values": gene.describe(),
        "default": gene.standard,
        "when": " and ".join(when) or None,
        "meaning": MEANINGS.get(name, ""),
    }


def space_toml(space: SearchSpace) -> str:
    """Return a space as TOML, each gene under a comment that says what it means."""
    tables = []
    for name, gene in space.to_dict().items():
        lines = [f"{key} = {_toml(value)}" for key, value in gene.items() if key != "when"]
        if "when" in gene:
            pairs = ", ".join(
                f"{_key(key)} = {_toml(value)}" for key, value in gene["when"].items()
            )
            lines.append(f"when = {{ {pairs} }}")
        tables.append(
            "\n".join([f"# {MEANINGS.get(name, name)}", f"[{_key(name)}]", *lines]) + "\n"
        )
    return "\n".join(tables)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)


def _toml(value: object) -> str:
    """Return one value as TOML; whatever a gene holds is a number, a text, a boolean or a list."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        return json.dumps(value)  # its escapes are TOML's as well
    return repr(value)
