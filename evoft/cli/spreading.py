"""``--model-kwargs a=1 b=2``: several values after a flag that is given once, as timm has it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

import click

from evoft.cli.help import Sectioned

_PAIR = re.compile(r"[A-Za-z_]\w*=")


class Spreading(Sectioned):
    """A command whose ``--model-kwargs`` takes one value or several."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words of a command line."""
        return super().parse_args(ctx, spread(args, "--model-kwargs"))


def spread(words: Sequence[str], flag: str) -> list[str]:
    """Return the words of a command line with the flag in front of each of its values.

    Args:
        words: As they were typed.
        flag: Its values are ``NAME=VALUE``; what is a file or a folder is none of them.
    """
    found: list[str] = []
    taking = False
    for place, word in enumerate(words):
        if word == "--":
            return [*found, *words[place:]]
        follows = bool(found) and found[-1] == flag
        if taking and not follows:
            taking = bool(_PAIR.match(word)) and not os.path.exists(word)
            found += [flag] * taking
        taking = taking or word == flag or word.startswith(f"{flag}=")
        found.append(word)
    return found
