"""Short times and numbers as people write them."""

from __future__ import annotations

import pytest

from evoft.errors import SettingsError
from evoft.quantities import count, count_text, fitness_text, moment, moment_text


@pytest.mark.parametrize(
    ("text", "seconds"), [("5ms", 0.005), ("800us", 8e-4), ("0.1s", 0.1), (" 2 ", 2.0)]
)
def test_a_short_time_is_read(text: str, seconds: float) -> None:
    assert moment(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "number"), [("10M", 1e7), ("300k", 3e5), ("1.5G", 1.5e9), ("5288548", 5288548)]
)
def test_a_number_is_read(text: str, number: float) -> None:
    assert count(text) == number


@pytest.mark.parametrize("text", ["", "fast", "0ms", "-5ms", "5m", "nan", "10MB"])
def test_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="a short time is written as 5ms"):
        moment(text)
    if text != "5m":
        with pytest.raises(SettingsError, match="a number is written as 10M"):
            count(text)


def test_what_is_told_is_what_is_read() -> None:
    for text, seconds in (("4.1ms", 0.0041), ("150us", 1.5e-4), ("1.2s", 1.2)):
        assert moment(text) == seconds
        assert moment_text(seconds) == text
    for text, number in (("372.9k", 372_900), ("25.56M", 25_560_000), ("512", 512)):
        assert count(text) == number
        assert count_text(number) == text


@pytest.mark.parametrize(
    ("fitness", "text"),
    [(0.97222, "0.9722"), (0.0, "0.0000"), (-0.0153, "-0.0153"), (-4.42e-7, "-4.42e-07"),
     (123.45678, "123.4568"), (-1234567.8, "-1.235e+06")],
)  # fmt: skip
def test_a_fitness_is_told_with_as_much_as_tells_it_from_others(fitness: float, text: str) -> None:
    assert fitness_text(fitness) == text
