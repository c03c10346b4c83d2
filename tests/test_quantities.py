"""Times, sizes and numbers as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoft.errors import SettingsError
from evoft.quantities import (
    count,
    count_text,
    fitness_text,
    moment,
    moment_text,
    seconds,
    size,
    size_text,
)


@pytest.mark.parametrize(
    ("text", "length"), [("5ms", 0.005), ("800us", 8e-4), ("0.1s", 0.1), (" 2 ", 2.0)]
)
def test_a_short_time_is_read(text: str, length: float) -> None:
    assert moment(text) == pytest.approx(length)


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
    for text, length in (("4.1ms", 0.0041), ("150us", 1.5e-4), ("1.2s", 1.2)):
        assert moment(text) == length
        assert moment_text(length) == text
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


@pytest.mark.parametrize(
    ("text", "length"),
    [("45", 45), ("90s", 90), ("30m", 1800), ("1h30m", 5400), ("2d", 172800), (" 1.5 H ", 5400)],
)
def test_lengths_of_time(text: str, length: float) -> None:
    assert seconds(text) == length


@given(st.text(max_size=8))
def test_any_other_text_is_no_length_of_time(text: str) -> None:
    try:
        assert 0 < seconds(text) < float("inf")
    except SettingsError as error:
        if not str(error).endswith(f"not {text!r}"):
            raise
    else:
        assert any(character.isdigit() for character in text)


@pytest.mark.parametrize("text", ["", "0", "-5", "5x", "m", "1h 30", "9" * 400, "5 m m"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^a length of time is written as 90s, 30m"):
        seconds(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [("0", 0), ("4096", 4096), ("512M", 2**29), ("4G", 2**32), ("1.5 GiB", 3 * 2**29),
     ("1t", 2**40), ("8kB", 8192), (str(2**53 + 1), 2**53 + 1)],
)  # fmt: skip
def test_sizes(text: str, count: int) -> None:
    assert size(text) == count


@pytest.mark.parametrize("text", ["", "G", "-1", "4X", "4 GG", "1e9", "4,5G", "9" * 400, "nan"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(SettingsError) as error:
        size(text)
    assert str(error.value) == f"a size is written as 512M, 4G, 1T or in bytes, not {text!r}"


def test_a_size_is_shown_as_it_is_read() -> None:
    assert [size_text(n) for n in (0, 512, 2**29, 3 * 2**29, 2**32)] == [
        "0", "512", "512M", "1.5G", "4G",
    ]  # fmt: skip
    assert all(size(size_text(2**n)) == 2**n for n in range(50))
