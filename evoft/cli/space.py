"""``evoft space``: the default search space, or a population's, as TOML to start one's own from."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from evoft.cli.output import emit, emit_json
from evoft.cli.values import PATH, names_of
from evoft.errors import SettingsError
from evoft.search.space import SearchSpace
from evoft.settings import EMBEDDED
from evoft.training.default_space import MEANINGS, default_genes


@click.command("space", short_help="Print the default search space, or FILE's, to change it.")
@click.argument("file", type=PATH, required=False)
@click.option("--model", help="Models of the default space, as for `evoft evolve`.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["toml", "table", "json", "csv"]),
    default="toml",
    show_default=True,
    help="TOML is what --space reads.",
)
def space_command(file: Path | None, model: str | None, form: str) -> None:
    """Print the default search space, or the one of the population in FILE, to change it.

    \b
    Examples:
      evoft space > mine.toml
      evoft evolve photos --space mine.toml
      evoft space populations/photos.h5 > wider.toml
      evoft resume populations/photos.h5 --space wider.toml --generations 8
    """
    if file is not None and model is not None:
        raise SettingsError("--model is for the default space: give it, or a population file")
    genes = default_genes(names_of(model or EMBEDDED)) if file is None else _genes_of(file)
    space = SearchSpace.from_dict(genes)
    if form == "toml":
        click.echo(space_toml(space), nl=False)
    elif form == "json":
        emit_json(space.to_dict())
    else:
        emit([_row(space, name) for name in space], form)


def _genes_of(file: Path) -> Mapping[str, Any]:
    from evoft.lineage import Population

    if file.suffix == ".toml":
        raise SettingsError(
            f"{file} is no population: search in it by `evoft evolve --space {file}`, or go on in "
            f"it by `evoft resume FILE --space {file}`"
        )
    return Population.open(file).header.space


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
