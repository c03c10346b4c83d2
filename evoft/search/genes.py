"""The kinds of gene: real and whole numbers in a range, values in an order or in none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from evoft.errors import SpaceError
from evoft.genome import Value, same
from evoft.rules import plain
from evoft.search.gene import Gene


def _reflect(unit: float) -> float:
    """Fold a position back into ``[0, 1]``, so that steps over a bound do not pile up on it."""
    unit = math.fmod(abs(unit), 2.0)
    return 2.0 - unit if unit > 1.0 else unit


#: Beyond this a float no longer tells the places of whole numbers on the unit interval apart.
_WHOLE = 2**40
#: Beyond this the width of a range, or a power, may be no number.
_LARGEST = 1e300
#: Of a longer list only the first and the last are told.
_TOLD = 24


def _check_range(low: float, high: float, log: bool, kinds: tuple[type, ...]) -> None:
    if not isinstance(log, bool):
        raise SpaceError(f"`log` must be true or false, but is {log!r}")
    for name, bound in (("low", low), ("high", high)):
        if isinstance(bound, bool) or not isinstance(bound, kinds) or not is_finite(bound):
            raise SpaceError(f"`{name}` must be a finite number of the gene's type, got {bound!r}")
    if not low < high:
        raise SpaceError(f"`low < high` must hold, but got (low={low!r}, high={high!r})")
    if low < -_LARGEST or high > _LARGEST:
        raise SpaceError(
            f"`-1e300 <= low < high <= 1e300` must hold, but got (low={low!r}, high={high!r})"
        )
    if log and low <= 0:
        raise SpaceError(f"`low > 0` must hold with log=True, but got (low={low!r})")
    if log and not math.log(low) < math.log(high):
        raise SpaceError(
            f"`low < high` must hold for their logarithms, but got (low={low!r}, high={high!r})"
        )


def _ends(low: float, high: float, log: bool) -> tuple[float, float]:
    return (math.log(low), math.log(high)) if log else (low, high)


def is_finite(number: float) -> bool:
    """Tell whether a number is finite and not too large for a float."""
    try:
        return math.isfinite(number)
    except OverflowError:  # an int that no float can hold
        return False


@dataclass(frozen=True, slots=True)
class _Ranged(Gene):
    """What Float and Integer share: bounds, and whether the logarithm is what is spread evenly."""

    low: float
    high: float
    log: bool = False
    #: Where the unit interval begins and ends: the bounds, for whole numbers half a step beyond
    #: them so that every one has its share, or the logarithms of that.
    _ends: tuple[float, float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("low", "high", "log", "default"):
            object.__setattr__(self, name, plain(getattr(self, name)))

    def _bounds(self) -> dict[str, Any]:
        return {"low": self.low, "high": self.high, "log": self.log}


@dataclass(frozen=True, slots=True)
class Float(_Ranged):
    """A real number in ``[low, high]``, spread evenly or, with ``log``, evenly in its logarithm."""

    kind: ClassVar[str] = "float"

    def __post_init__(self) -> None:
        _Ranged.__post_init__(self)
        _check_range(self.low, self.high, self.log, (int, float))
        for name in ("low", "high", "default"):
            value = getattr(self, name)
            if isinstance(value, int | float) and not isinstance(value, bool):
                object.__setattr__(self, name, float(value))
        object.__setattr__(self, "_ends", _ends(self.low, self.high, self.log))
        self._check_default()

    @property
    def size(self) -> float:
        return math.inf

    def at(self, unit: float) -> float:
        low, high = self._ends
        place = low + unit * (high - low)
        return min(max(math.exp(place) if self.log else place, self.low), self.high)

    def unit(self, value: Value) -> float:
        low, high = self._ends
        number = float(value)
        position = ((math.log(number) if self.log else number) - low) / (high - low)
        return min(max(position, 0.0), 1.0)

    def holds(self, value: object) -> bool:
        return type(value) is float and self.low <= value <= self.high

    def mutate(self, value: Value, rng: np.random.Generator, sigma: float) -> float:
        for _ in range(64):
            mutant = self.at(_reflect(self.unit(value) + float(rng.normal(0.0, sigma))))
            if mutant != value:
                return mutant
        # A step so small that it vanishes in rounding: go to a random place instead.
        return self.at(float(rng.random()))

    def describe(self) -> str:
        return f"[{self.low:g}, {self.high:g}]{' log' if self.log else ''}"


@dataclass(frozen=True, slots=True)
class Integer(_Ranged):
    """A whole number from ``low`` to ``high``, both included."""

    low: int
    high: int

    kind: ClassVar[str] = "integer"

    def __post_init__(self) -> None:
        _Ranged.__post_init__(self)
        _check_range(self.low, self.high, self.log, (int,))
        if self.low < -_WHOLE or self.high > _WHOLE:
            raise SpaceError(
                f"`-2**40 <= low < high <= 2**40` must hold for whole numbers, but got "
                f"(low={self.low!r}, high={self.high!r}): use a Float"
            )
        object.__setattr__(self, "_ends", _ends(self.low - 0.5, self.high + 0.5, self.log))
        self._check_default()

    @property
    def size(self) -> float:
        return self.high - self.low + 1

    def at(self, unit: float) -> int:
        low, high = self._ends
        place = low + unit * (high - low)
        value = round(math.exp(place) if self.log else place)
        return min(max(value, self.low), self.high)

    def unit(self, value: Value) -> float:
        low, high = self._ends
        number = float(value)
        return ((math.log(number) if self.log else number) - low) / (high - low)

    def holds(self, value: object) -> bool:
        return type(value) is int and self.low <= value <= self.high

    def mutate(self, value: Value, rng: np.random.Generator, sigma: float) -> int:
        step = float(rng.normal(0.0, sigma))
        mutant = self.at(_reflect(self.unit(value) + step))
        if mutant != value:
            return mutant
        neighbour = int(value) + (1 if step > 0 else -1)
        if self.low <= neighbour <= self.high:
            return neighbour
        return int(value) + (-1 if step > 0 else 1)

    def describe(self) -> str:
        return f"{self.low} .. {self.high}{' log' if self.log else ''}"


def _listed(values: Sequence[Value]) -> tuple[Value, ...]:
    # A set is refused: its order would be another one in every process.
    if isinstance(values, np.ndarray):
        values = values.tolist()
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise SpaceError(f"`values` must be a list, but is {values!r}")
    listed = tuple(map(plain, values))
    if len(listed) < 2:
        raise SpaceError(
            f"`values` must list at least two values, but got {values!r}: what is always the same "
            "is no gene"
        )
    seen: set[tuple[type, Value]] = set()
    for value in listed:
        if type(value) not in (bool, int, float, str):
            raise SpaceError(
                f"a value must be a number, a text or a boolean, but got {value!r}: give each a "
                "name, and look up there what it stands for"
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise SpaceError(f"a value must be finite, but got {value!r}")
        if (type(value), value) in seen:
            raise SpaceError(f"`values` must be different, but {value!r} stands there twice")
        seen.add((type(value), value))
    return listed


@dataclass(frozen=True, slots=True)
class _Listed(Gene):
    """What Ordinal and Choice share: a list of values, each with its share of the interval."""

    values: Sequence[Value]
    #: Where each value stands, by its type and itself: there may be very many.
    _places: dict[tuple[type, Value], int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _listed(self.values))
        object.__setattr__(self, "default", plain(self.default))
        places = {(type(value), value): index for index, value in enumerate(self.values)}
        object.__setattr__(self, "_places", places)
        self._check_default()

    @property
    def size(self) -> float:
        return len(self.values)

    def at(self, unit: float) -> Value:
        return self.values[min(int(unit * len(self.values)), len(self.values) - 1)]

    def index(self, value: Value) -> int:
        """Return the place of ``value`` in the list."""
        return self._places[type(value), value]

    def unit(self, value: Value) -> float:
        return (self.index(value) + 0.5) / len(self.values)

    def holds(self, value: object) -> bool:
        if not isinstance(value, bool | int | float | str):  # what cannot be hashed among others
            return False
        return (type(value), value) in self._places

    def describe(self) -> str:
        if len(self.values) > _TOLD:
            return f"{self.values[0]}, {self.values[1]}, ... {self.values[-1]}"
        return ", ".join(str(value) for value in self.values)

    def _bounds(self) -> dict[str, Any]:
        return {"values": list(self.values)}


@dataclass(frozen=True, slots=True)
class Ordinal(_Listed):
    """One of several values in a meaningful order; it mutates to a neighbour."""

    kind: ClassVar[str] = "ordinal"

    def mutate(self, value: Value, rng: np.random.Generator, sigma: float) -> Value:
        index = self.index(value)
        places = [i for i in (index - 1, index + 1) if 0 <= i < len(self.values)]
        return self.values[places[int(rng.integers(len(places)))]]


@dataclass(frozen=True, slots=True)
class Choice(_Listed):
    """One of several values without an order; it mutates to any other."""

    kind: ClassVar[str] = "choice"
    ordered: ClassVar[bool] = False

    @property
    def standard(self) -> Value:
        """The default, or the first value where none was given: a choice has no middle."""
        return self.values[0] if self.default is None else self.default

    def mutate(self, value: Value, rng: np.random.Generator, sigma: float) -> Value:
        others = [other for other in self.values if not same(other, value)]
        return others[int(rng.integers(len(others)))]


#: The kinds of gene by the name that TOML and JSON give them.
KINDS: dict[str, type[Gene]] = {g.kind: g for g in (Float, Integer, Ordinal, Choice)}

#: Fields of a gene's table by kind, those of all genes apart.
_FIELDS = {
    "float": ({"low", "high"}, {"log"}),
    "integer": ({"low", "high"}, {"log"}),
    "ordinal": ({"values"}, set[str]()),
    "choice": ({"values"}, set[str]()),
}


def gene_of(data: Mapping[str, Any]) -> Gene:
    """Return the gene that ``to_dict`` or a TOML table describes.

    Raises:
        SpaceError: A kind, field or value that no gene has.
    """
    kind = data.get("type")
    if not isinstance(kind, str) or kind not in KINDS:
        told = repr(kind) if "type" in data else "missing"
        raise SpaceError(f"`type` must be one of {', '.join(KINDS)}, but is {told}")
    needed, optional = _FIELDS[kind]
    given = {key: value for key, value in data.items() if key != "type"}
    if missing := needed - given.keys():
        raise SpaceError(f"a gene of type {kind} needs `{sorted(missing)[0]}`")
    if unknown := given.keys() - needed - optional - {"default", "confidence", "when"}:
        raise SpaceError(f"a gene of type {kind} has no `{sorted(unknown)[0]}`")
    if not isinstance(given.get("log", False), bool):
        raise SpaceError(f"`log` must be true or false, but is {given['log']!r}")
    return KINDS[kind](**given)
