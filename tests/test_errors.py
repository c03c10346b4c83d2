"""The tree of errors."""

from __future__ import annotations

import re

from evoft import errors
from evoft.errors import EvoftError


def test_the_tree_of_errors_is_as_it_is_drawn() -> None:
    def below(kind: type[EvoftError], depth: int = 0) -> list[tuple[str, int, int]]:
        children = [row for child in kind.__subclasses__() for row in below(child, depth + 1)]
        return [(kind.__name__, depth, kind.exit_code), *children]

    drawing = re.findall(r"^    ([ |`-]*)(\w+Error) +(\d)", errors.__doc__ or "", re.MULTILINE)
    drawn = [(name, len(indent) // 4, int(code)) for indent, name, code in drawing]
    assert drawn == below(EvoftError)
    assert len(drawn) == 14
