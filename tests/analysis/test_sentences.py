"""The report in words, where its numbers are of unequal runs."""

import pytest

from evoft.analysis.intervals import Interval
from evoft.analysis.report import Report, Standing
from evoft.analysis.sentences import accuracy_rows


def standing(id: int, runs: int) -> Standing:
    half = Interval(0.5, 0.4, 0.6)
    return Standing(id, {}, (0.5,) * runs, half, half)


@pytest.mark.parametrize(
    ("winner", "default", "words"),
    [
        (2, 2, "validation accuracy, mean of 2 fresh seeds"),
        (1, 1, "validation accuracy, 1 fresh seed"),
        (2, 1, "validation accuracy, mean of 2 fresh seeds (default: 1)"),
        (1, 2, "validation accuracy, 1 fresh seed (default: 2)"),
        (2, 0, "validation accuracy, mean of 2 fresh seeds"),
    ],
)
def test_of_how_many_runs_an_accuracy_is_the_mean(winner: int, default: int, words: str) -> None:
    other = standing(0, default) if default else None
    report = Report(standing(3, winner), other, None, 0.0, None, 1)
    assert accuracy_rows(report)[0][0] == words
