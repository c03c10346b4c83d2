"""Rules for numbers, and the sentence that tells when one is broken."""

from __future__ import annotations

from typing import Any

import pytest

from evoft.errors import SettingsError
from evoft.rules import obeys, require, require_whole


def refused(make: Any) -> str:
    with pytest.raises(SettingsError) as error:
        make()
    return str(error.value)


@pytest.mark.parametrize(
    ("rule", "inside", "outside"),
    [
        ("> 0", [1e-9, 1, 5.0], [0, -1, 0.0]),
        (">= 0", [0, 0.0, 3], [-1, -1e-9]),
        (">= 1", [1, 1.0, 10**9], [0, 0.999]),
        (">= 2", [2, 3], [1, 1.9]),
        ("in [0, 1)", [0, 0.5], [1, 1.0, -0.1]),
        ("in [0, 1]", [0, 1, 0.5], [1.1, -0.1]),
        ("in (0, 1)", [0.5], [0, 1]),
    ],
)
def test_rules(rule: str, inside: list[float], outside: list[float]) -> None:
    assert all(obeys(value, rule) for value in inside)
    never = [float("nan"), float("inf"), float("-inf"), True, "1", None, [1]]
    assert not any(obeys(value, rule) for value in [*outside, *never])
    assert refused(lambda: require({"x": outside[0]}, {rule: ("x",)})) == (
        f"`x` must be {rule}, but is {outside[0]!r}"
    )
    require({"x": None, "y": inside[0]}, {rule: ("x", "y")})


@pytest.mark.parametrize("value", [1.0, True, "1", 1.5])
def test_whole_numbers(value: object) -> None:
    assert refused(lambda: require_whole({"n": value}, ("n",))) == (
        f"`n` must be a whole number, but is {value!r}"
    )
    require_whole({"n": None, "m": 3}, ("n", "m"))
