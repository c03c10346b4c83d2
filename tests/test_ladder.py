"""The ladder: its rungs and what it costs to climb them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoft.errors import SettingsError
from evoft.ladder import Ladder, left_in_generation
from evoft.settings import CLIMBING, STRATEGIES, SearchSettings, Settings, TrainingSettings


@pytest.mark.parametrize(
    ("epochs", "first", "factor", "rungs"),
    [
        (9, 1, 3, (1, 3, 9)),
        (27, 1, 3, (1, 3, 9, 27)),
        (10, 1, 3, (1, 3, 10)),
        (2, 1, 3, (1, 2)),
        (5, 1, 3, (1, 5)),
        (50, 1, 3, (1, 3, 7, 19, 50)),
        (16, 2, 2, (2, 4, 8, 16)),
        (1, 1, 3, (1,)),
        (1, 0.25, 2, (0.25, 0.5, 1)),
        (2.6, 1, 1.1, (1, 2, 2.6)),
        (3, 1, 100, (1, 3)),
    ],
)
def test_the_rungs(epochs: float, first: float, factor: float, rungs: tuple[float, ...]) -> None:
    ladder = Ladder.of(epochs, first=first, factor=factor)
    assert ladder.rungs == pytest.approx(rungs)
    assert (ladder.top, ladder.epochs, len(ladder)) == (len(rungs) - 1, epochs, len(rungs))


@given(st.floats(0.1, 300.0), st.floats(0.05, 20.0), st.floats(1.01, 10.0), st.floats(0.0, 0.9))
def test_rungs_ascend_to_a_full_training_and_cost_it(
    epochs: float, first: float, factor: float, cooldown: float
) -> None:
    ladder = Ladder.of(epochs, first=first, factor=factor, cooldown=cooldown)
    assert ladder.rungs[-1] == epochs
    assert all(a < b for a, b in itertools.pairwise(ladder.rungs))
    assert all(rung == int(rung) for rung in ladder.rungs[:-1] if rung >= 1)
    costs = [ladder.cost(rung) for rung in range(len(ladder))]
    assert all(0 < cost <= 1 + 1e-9 for cost in costs)
    # All that is trained twice is the cool-downs below the top.
    again = ladder.cooldown * sum(ladder.rungs[:-1]) / epochs
    assert sum(costs) == pytest.approx(1.0 + again)
    if first >= epochs:
        assert (len(ladder), ladder.cooldown, ladder.cost(0)) == (1, 0.0, 1.0)


def test_a_cool_down_is_not_gone_on_from() -> None:
    ladder = Ladder((1.0, 4.0), cooldown=0.25)
    assert [ladder.begins(0), ladder.begins(1)] == [0.0, 0.75]
    assert [ladder.cost(0), ladder.cost(1)] == [0.25, 3.25 / 4]


def test_the_plain_genetic_algorithm_judges_after_a_full_training() -> None:
    search = SearchSettings(strategy="ga", first_rung=1, rung_factor=3)
    assert search.ladder(9).rungs == (9.0,)
    assert search.ladder(None).rungs == (1.0,)
    assert search.ladder(0.5).rungs == (0.5,)  # the first rung means nothing to it


@pytest.fixture
def climber(monkeypatch: pytest.MonkeyPatch) -> SearchSettings:
    """Settings of a strategy that judges on rungs."""
    monkeypatch.setattr("evoft.settings.search.STRATEGIES", (*STRATEGIES, "climber"))
    monkeypatch.setattr("evoft.settings.search.CLIMBING", CLIMBING | {"climber"})
    return SearchSettings(strategy="climber", first_rung=2, rung_factor=2)


def test_who_climbs_has_the_rungs_of_the_settings(climber: SearchSettings) -> None:
    assert climber.ladder(8, 0.25) == Ladder((2.0, 4.0, 8.0), 0.25)
    assert climber.ladder(2).rungs == (2.0,)
    assert climber.ladder(None).rungs == (1.0,)
    settings = Settings(search=climber, training=TrainingSettings(epochs=4))
    assert settings.ladder(fine_tuning=True).rungs == (2.0, 4.0)
    assert settings.ladder(fine_tuning=False).rungs == (1.0,)


def test_a_first_rung_longer_than_the_epochs_is_refused(climber: SearchSettings) -> None:
    with pytest.raises(SettingsError, match=r"`first_rung <= epochs` must hold, but got \(first_"):
        climber.ladder(1)


def test_who_is_nothing_without_rungs_needs_epochs(
    climber: SearchSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evoft.settings.search.RUNGS_ONLY", {"climber"})
    with pytest.raises(SettingsError, match="`epochs` must be given, for the strategy 'climber'"):
        climber.ladder(None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"strategy": "annealing"},
            "`strategy` must be one of evolution, ga.*, but is 'annealing'",
        ),
        ({"first_rung": 0}, "`first_rung` must be > 0, but is 0"),
        ({"rung_factor": 1}, "`rung_factor` must be > 1, but is 1"),
        ({"rung_factor": "3"}, "`rung_factor` must be a number, but is '3'"),
        ({"epochs": -1}, "`epochs` must be > 0, but is -1"),
    ],
)
def test_bad_rungs_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        SearchSettings(**changes)  # type: ignore[arg-type]


def test_what_pays_for_no_stint_is_left_to_the_next_generation() -> None:
    ladder = Ladder((1.0, 3.0, 9.0))
    assert left_in_generation(0.0, 4, ladder) == 4.0
    assert left_in_generation(3.5, 4, ladder) == 0.5
    assert left_in_generation(8 - 1 / 9, 4, ladder) == pytest.approx(1 / 9)
    assert left_in_generation(8 - 1 / 10, 4, ladder) == pytest.approx(4 + 1 / 10)
    assert left_in_generation(8 - 1e-12, 4, ladder) == pytest.approx(4.0)
