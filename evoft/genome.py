"""A genome: an immutable mapping from gene names to values."""

from __future__ import annotations

import json
from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from typing import Any

#: What a gene's value may be.
Value = float | int | str | bool


def same(a: object, b: object) -> bool:
    """Tell whether two values are equal in type as well: a gene never confuses 1 with 1.0."""
    return type(a) is type(b) and a == b


class Genome(Mapping[str, Any]):
    """Gene names and their values, immutable and hashable.

    A value is of its gene's type, which a type checker cannot know: to it, it may be any.

    Equality is of names, values and their types: ``1`` and ``1.0`` are different values, because
    an integer and a float gene mean different things.
    """

    __slots__ = ("_hash", "_values")

    def __init__(self, values: Mapping[str, Value] | None = None, /, **genes: Value) -> None:
        self._values: dict[str, Value] = {**(values or {}), **genes}
        self._hash: int | None = None  # taken when it is first asked for, as few ever are

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a gene, or ``default`` where the genome has none."""
        return self._values.get(name, default)

    def values(self) -> ValuesView[Any]:
        """Return the values, in the order of the genes."""
        return self._values.values()

    def items(self) -> ItemsView[str, Any]:
        """Return the genes' names with their values, in their order."""
        return self._values.items()

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset((k, type(v), v) for k, v in self._values.items()))
        return self._hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return self._values.keys() == other.keys() and all(
            type(v) is type(other[k]) and v == other[k] for k, v in self._values.items()
        )

    def __repr__(self) -> str:
        return f"Genome({', '.join(f'{k}={v!r}' for k, v in self._values.items())})"

    def replace(self, **genes: Value) -> Genome:
        """Return this genome with some genes set to other values."""
        return Genome(self._values, **genes)

    def to_json(self) -> str:
        """Return the genome as JSON; floats are written so that they are read back to the bit."""
        return json.dumps(self._values)

    @staticmethod
    def from_json(text: str) -> Genome:
        """Return the genome that ``to_json`` wrote."""
        return Genome(json.loads(text))
