"""How values on the command line are read."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from evoft.errors import SettingsError
from evoft.places import place


def names_of(text: str) -> tuple[str, ...]:
    """Return names that commas separate."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def toml_value(text: str) -> Any:
    """Return a value as TOML has it; a text that is none in TOML is one by itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def count_or_auto(text: str) -> int | str:
    """Return a number of workers, or ``auto``.

    Raises:
        SettingsError: Neither of them.
    """
    if text == "auto":
        return text
    try:
        return int(text)
    except ValueError:
        raise SettingsError(
            f"a number of workers is a whole number or auto, not {text!r}"
        ) from None


def devices_of(text: str) -> str:
    """Return the devices, where torch's names of GPUs stand for their numbers."""
    return re.sub(r"\bcuda(?::(\d+))?", lambda found: found[1] or "0", text)


def strength_of(text: str) -> float:
    """Return the strength of augmentation, given as such or as timm's RandAugment, ``rand-m9``.

    Raises:
        SettingsError: Neither of them.
    """
    magnitude = re.fullmatch(r"rand(?:-.+)?-m(\d+(?:\.\d+)?)(?:-.+)?", text)
    try:
        return float(magnitude[1]) / 10 if magnitude else float(text)
    except ValueError:
        raise SettingsError(
            f"the strength is a number from 0 to 1, or rand-m0 to rand-m10, but is {text!r}"
        ) from None


class _Place(click.ParamType[Path]):
    """A path; a shell leaves the ``~`` in ``--file=~/mine.h5`` to us."""

    name = "path"

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        """Return the path with its user's home in it."""
        return place(value)


#: A path on the command line.
PATH: click.ParamType[Path] = _Place()


class _Parsed(click.ParamType[Any]):
    """A value that a function of ours reads, with its own error."""

    def __init__(self, parse: Callable[[str], Any], name: str) -> None:
        self._parse = parse
        self.name = name

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the value; the error names the flag."""
        try:
            return self._parse(value)
        except SettingsError as error:
            self.fail(str(error), param, ctx)


def parsed(parse: Callable[[str], Any], name: str) -> click.ParamType[Any]:
    """Return the type of an option that a function of ours reads."""
    return _Parsed(parse, name)
