"""What is set and not heeded changes nothing, and is said; what is heeded changes the lineage."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest

import evoft
from evoft.genome import Genome
from evoft.library import new
from evoft.search.checks import HEEDED_BY, idle, unheeded_settings
from evoft.search.genes import Choice, Float
from evoft.search.space import SearchSpace
from evoft.settings import STRATEGIES, RunSettings, SearchSettings, Settings, TrainingSettings

SPACE = SearchSpace(x=Float(0.0, 1.0), y=Float(0.0, 1.0), z=Choice(["a", "b", "c"]))
#: A value of each setting that is not its default.
OTHERS: dict[str, Any] = {
    "first_rung": 2.0, "rung_factor": 9.0, "points": 2, "sampler": "gp", "cxpb": 0.1, "mutpb": 0.1,
    "indpb": 0.9, "sigma": 0.05, "eta": 1.0, "tournsize": 1, "elite": 1, "lookahead": 0,
}  # fmt: skip
IN_SEARCH = [name for name in HEEDED_BY if name != "cooldown"]
HEEDED = [(s, name) for name in IN_SEARCH for s in HEEDED_BY[name]]


def fitness(genome: Genome, epochs: float) -> float:
    x, y = float(genome["x"]), float(genome["y"])
    return (1 - (x - 0.3) ** 2 - (y - 0.6) ** 2 - (genome["z"] == "a")) * epochs / (epochs + 1)


def lineage(strategy: str, **changed: Any) -> list[tuple[int, int | None, tuple[Any, ...]]]:
    """Return who was trained, to which rung and as what, in a short search."""
    search = SearchSettings(strategy=strategy, finalists=0, **changed)
    evolution = new(
        SPACE, search=search, epochs=9, population_size=6, generations=3, strategy=strategy
    )
    trials = []
    with evolution:
        while (trial := evolution.ask()) is not None:
            trials.append((trial.individual, trial.rung, tuple(trial.genome.items())))
            evolution.tell(trial, fitness(trial.genome, trial.epochs or 9))
    return trials


@cache
def standard_lineage(strategy: str) -> list[tuple[int, int | None, tuple[Any, ...]]]:
    """Return that of a search in which all is as by default; most tests compare with it."""
    return lineage(strategy)


def said(strategy: str, *, epochs: float | None = 9, **changed: Any) -> str | None:
    search = SearchSettings(strategy=strategy, epochs=epochs, **changed)
    return unheeded_settings(Settings(search=search), fine_tuning=False)


def test_every_setting_has_another_value_here() -> None:
    standard = SearchSettings()
    assert set(OTHERS) == set(IN_SEARCH)
    assert all(getattr(standard, name) != value for name, value in OTHERS.items())


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_a_strategy_does_not_heed_changes_nothing_and_is_named(
    strategy: str, caplog: pytest.LogCaptureFixture
) -> None:
    changed = {n: value for n, value in OTHERS.items() if strategy not in HEEDED_BY[n]}
    assert lineage(strategy, **changed) == standard_lineage(strategy)
    (message,) = caplog.messages
    assert f"the strategy {strategy!r} does not heed " in message
    assert [name for name in OTHERS if f"`{name}` (of " in message] == list(changed)


@pytest.mark.parametrize(("strategy", "name"), HEEDED)
def test_what_it_heeds_changes_the_search_and_is_not_named(strategy: str, name: str) -> None:
    changed = {name: OTHERS[name]}
    assert said(strategy) is None
    assert said(strategy, **changed) is None
    assert lineage(strategy, **changed) != standard_lineage(strategy)


def test_one_is_said_as_one_and_several_as_several() -> None:
    words = "the strategy 'evolution' does not heed `points` (of grid)"
    assert said("evolution", points=4) == f"{words}: it changes nothing here"
    assert said("evolution", points=4, cxpb=0.5) == (
        f"{words}, `cxpb` (of ga): they change nothing here"
    )
    assert said("random", lookahead=3) == (
        "the strategy 'random' does not heed `lookahead` (of evolution, ga, hyperband, asha, "
        "bayes): it changes nothing here"
    )
    assert said("ga", sigma=0.3, cxpb=0.5, lookahead=3) is None


def test_rungs_of_which_there_is_one_are_heeded_by_nobody() -> None:
    words = "the strategy 'evolution' does not heed `first_rung` (of several rungs)"
    assert said("evolution", epochs=None, first_rung=3.0) == f"{words}: it changes nothing here"
    assert said("evolution", first_rung=9.0) is None
    told = said("evolution", first_rung=9.0, rung_factor=2.0)
    assert told is not None
    assert "`rung_factor` (of several rungs)" in told


def test_a_fine_tuning_runs_cool_down_is_of_the_rungs() -> None:
    settings = Settings(training=TrainingSettings(cooldown=0.5, img_size=32))
    assert unheeded_settings(settings, fine_tuning=True) is None
    ga = replace(settings, search=SearchSettings(strategy="ga"))
    told = unheeded_settings(ga, fine_tuning=True)
    assert told is not None
    assert "`cooldown` (of evolution, hyperband, asha)" in told
    assert unheeded_settings(ga, fine_tuning=False) is None
    single = replace(settings, search=SearchSettings(first_rung=5.0))
    told = unheeded_settings(single, fine_tuning=True)
    assert told is not None
    assert "`cooldown` (of several rungs)" in told


def test_workers_that_the_search_cannot_keep_busy_are_told() -> None:
    def of(workers: int | None, **search: object) -> str | None:
        settings = SearchSettings(**search)  # type: ignore[arg-type]
        return idle(Settings(search=settings, run=RunSettings(workers=workers)))

    assert of(None) is of(1) is of(4) is None
    told = of(8)
    assert told is not None
    assert "of 8 workers the search keeps at most 4 busy" in told
    assert "lookahead=7 keeps all" in told
    assert of(8, lookahead=7) is None
    told = of(20)
    assert told is not None
    assert "lookahead=11 keeps 12 of them so, and a larger population_size more" in told
    assert SearchSettings(lookahead=11)
    assert of(8, strategy="random") is None


def test_the_library_tells_of_idle_workers(caplog: pytest.LogCaptureFixture) -> None:
    list(evoft.evolve(judged, SPACE, generations=1, population_size=4, workers=3))
    (said,) = caplog.messages
    assert said.startswith("of 3 workers the search keeps at most 2 busy")


def judged(genome: evoft.Genome, trial: evoft.Trial) -> float:
    return float(genome["x"])


def test_nothing_is_said_of_a_strategy_that_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evoft.settings.search.STRATEGIES", (*STRATEGIES, "mine"))
    settings = Settings(search=SearchSettings(strategy="mine", lookahead=3, sigma=0.3))
    assert unheeded_settings(settings, fine_tuning=False) is None
