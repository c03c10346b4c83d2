"""The loop: no order of evaluation, no company and no end of a budget shows in the lineage."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from running import content, lineage

import evoft
from evoft.evolution import Evolution
from evoft.ledger import Memory
from evoft.run import drive, final_trials, finalists, run_all
from evoft.search.search import Search
from evoft.trial import Stage, Trial
from evoft.workers.inline import InlineWorkers
from evoft.workers.local import LocalWorkers

SPACE = evoft.SearchSpace(x=evoft.Float(0.0, 1.0), kind=evoft.Choice(["head", "whole"]))
SEARCH = evoft.SearchSettings(finalists=2, repeats=2)


class Target:
    """Ends out of order; answers heads together."""

    def evaluate(self, trial: Trial) -> evoft.Outcome:
        time.sleep(trial.seed % 4 * 0.003)
        trial.report(1, loss=float(trial.genome["x"]))
        if trial.individual % 7 == 3:
            raise ValueError("it would not")
        return evoft.Outcome.of_fitness(-abs(float(trial.genome["x"]) - 0.3))

    def evaluate_together(self, trials: Sequence[Trial]) -> list[evoft.Outcome]:
        assert len({trial.genome["kind"] for trial in trials}) == 1
        return [self.evaluate(trial) for trial in trials]


class Known:
    """Heads are short and go together; the others are long, some of them very."""

    in_turn = False

    def __init__(self, dear: int | None = None) -> None:
        self.dear = dear

    def cost(self, trial: Trial) -> float:
        if self.dear is not None and trial.individual >= self.dear:
            return 1e9
        return 0.001 if trial.genome["kind"] == "head" else 0.01 * (1 + trial.individual % 5)

    def company(self, trial: Trial) -> str | None:
        return "heads" if trial.genome["kind"] == "head" else None

    def kin(self, trial: Trial) -> Any:
        return trial.genome["kind"]


def evolution(path: Path | None, generations: int | None = 4) -> Evolution:
    return evoft.new(
        SPACE, population_size=6, generations=generations, seed=5, file=path, search=SEARCH
    )


def ignored(trial: Trial, outcome: evoft.Outcome) -> None:
    pass


def run(path: Path, workers: Any, policy: Known | None, **options: Any) -> list[evoft.Generation]:
    """Run search and finals, and close."""
    try:
        with evolution(path) as mine:
            generations = list(drive(mine, workers, policy=policy, **options))
            run_all(mine, workers, final_trials(mine, 2, 2), ignored, policy)
            return generations
    finally:
        workers.close()


def ran_through(path: Path) -> list[evoft.Generation]:
    return run(path, InlineWorkers(Target()), None)


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("policy", [None, Known()])
def test_the_lineage_is_the_same_in_whatever_order_trials_run(
    tmp_path: Path, count: int, policy: Known | None
) -> None:
    generations = run(tmp_path / "a.h5", LocalWorkers(Target(), devices=["any"] * count), policy)
    straight = ran_through(tmp_path / "b.h5")
    assert [g.index for g in generations] == [0, 1, 2, 3]
    assert content(tmp_path / "a.h5") == content(tmp_path / "b.h5")
    assert [[i.id for i in g.individuals] for g in generations] == [
        [i.id for i in g.individuals] for g in straight
    ]
    assert [g.best.id for g in generations] == [g.best.id for g in straight]


class Recorded:
    """Workers of one's own, which take one trial at a time, and keep what they were given."""

    def __init__(self, slots: int = 1) -> None:
        self.slots = slots
        self.given: list[Trial] = []
        self.open: list[Trial] = []

    @property
    def idle(self) -> int:
        return self.slots - len(self.open)

    @property
    def busy(self) -> int:
        return len(self.open)

    def submit(self, trial: Trial) -> None:
        self.given.append(trial)
        self.open.append(trial)

    def collect(self, timeout: float | None = None) -> list[tuple[Trial, evoft.Outcome]]:
        trial = self.open.pop(0)
        return [(trial, evoft.Outcome.of_fitness(float(trial.genome["x"]), seconds=1.0))]

    def close(self) -> None:
        pass


def test_without_a_policy_the_first_come_is_the_first_served() -> None:
    workers = Recorded(3)
    with evolution(None) as mine:
        assert len(list(drive(mine, workers))) == 4
    assert [trial.individual for trial in workers.given] == list(range(24))


def test_workers_of_ones_own_get_single_trials_the_long_ones_early() -> None:
    workers = Recorded(2)
    with evolution(None) as mine:
        generations = list(drive(mine, workers, policy=Known()))
    order = [trial.individual for trial in workers.given]
    assert sorted(order) == list(range(24))
    assert order != sorted(order)
    assert [len(g.individuals) for g in generations] == [6] * 4


class Together(Recorded):
    """Workers that take several trials at a time."""

    at_hand = frozenset[str]()

    def submit(self, *trials: Trial, kin: Any = None) -> None:
        assert {trial.genome["kind"] for trial in trials} == {kin}
        self.given += trials
        self.open += trials


def test_workers_that_say_so_get_company() -> None:
    workers = Together()
    # Nobody waits for an outcome, so that many are open and some of them alike.
    search = evoft.SearchSettings(strategy="random")
    with evoft.new(SPACE, population_size=6, generations=4, seed=5, search=search) as mine:
        most = 0
        for _ in drive(mine, workers, policy=Known(), observe=lambda t, o: None):
            most = max(most, workers.busy)
    assert most > 1
    assert sorted(t.individual for t in workers.given) == list(range(24))


@pytest.mark.parametrize("dear", [1, 4, 6, 9, 23])
def test_births_that_the_budget_did_not_reach_leave_no_trace(tmp_path: Path, dear: int) -> None:
    path = tmp_path / "a.h5"
    workers = Recorded(2)
    with evolution(path) as mine:
        generations = list(drive(mine, workers, policy=Known(dear), budget=1e6))
        assert [i.id for i in mine.search.born] == list(range(dear))
        assert all(i.outcome for i in mine.search.born)
        assert not mine.ended
        assert [i.id for g in generations for i in g.individuals] == list(range(dear))
        assert [g.index for g in generations] == list(range((dear + 5) // 6))
        # It can go on at once, as well as from its file.
        assert len(list(drive(mine, Recorded(2), policy=Known(dear + 1), budget=1e6))) == 1
        assert len(mine.search.born) == dear + 1
    assert sorted(t.individual for t in workers.given) == list(range(dear))
    with evoft.reopen(path) as again:
        list(drive(again, Recorded(3), policy=Known()))
        assert again.ended
    with evolution(tmp_path / "b.h5") as straight:
        list(drive(straight, Recorded()))
    assert content(path) == content(tmp_path / "b.h5")


def test_a_budget_that_ends_everything_needs_not_end_in_order_of_birth(tmp_path: Path) -> None:
    class Late(Known):
        """Knows only later that there is no time for the fourth."""

        def cost(self, trial: Trial) -> float:
            if trial.individual == 3 and len(workers.given) > 1:
                return 1e9
            return 100.0 if trial.individual == 4 else 1.0

    path, workers = tmp_path / "a.h5", Recorded(2)
    with evolution(path) as mine:
        generations = list(drive(mine, workers, policy=Late(), budget=1e6))
        assert {i.id for i in mine.search.born if i.outcome} == {0, 1, 2, 4}
        assert len(mine.search.born) == 5
        assert [[i.id for i in g.individuals] for g in generations] == [[0, 1, 2, 4]]
        assert not mine.ended
    with evoft.reopen(path) as again:
        list(drive(again, Recorded(3), policy=Known()))
    with evolution(tmp_path / "b.h5") as straight:
        list(drive(straight, Recorded()))
    assert lineage(evoft.Population.open(path)) == lineage(evoft.Population.open(tmp_path / "b.h5"))


class Folded(Memory):
    """Counts how often the population file would be written, and takes its time."""

    def __init__(self, clock: list[float], took: float) -> None:
        super().__init__(evolution(None).ledger.header)
        self.sizes: list[int] = []
        self._clock, self._took = clock, took

    def fold(self) -> None:
        self.sizes.append(len(self.records))
        self._clock[0] += self._took


@pytest.mark.parametrize(("took", "folds"), [(0.0, 12), (4.0, 12), (60.0, 7)])
def test_writing_the_file_takes_no_more_than_a_share_of_the_time_of_a_large_population(
    monkeypatch: pytest.MonkeyPatch, took: float, folds: int
) -> None:
    """Each generation of 200 takes 200 s; up to 1,000 individuals every one is written."""
    clock = [0.0]
    monkeypatch.setattr("evoft.evolution.time.monotonic", lambda: clock[0])
    how = evoft.SearchSettings(strategy="ga", population_size=200, generations=12)
    ledger = Folded(clock, took)
    mine = Evolution(Search(SPACE, how, 0), ledger)
    shown = 0
    while (trial := mine.ask()) is not None:
        clock[0] += 1.0
        mine.tell(trial, float(trial.genome["x"]))
        shown += len(list(mine.complete()))
    assert shown == 12
    assert ledger.sizes[:5] == [200, 400, 600, 800, 1000]
    assert len(ledger.sizes) == folds


def test_writing_the_file_takes_no_more_than_half_of_the_time_of_a_small_population(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each generation of 200 takes 200 s, and writing the file 150 s."""
    clock = [0.0]
    monkeypatch.setattr("evoft.evolution.time.monotonic", lambda: clock[0])
    how = evoft.SearchSettings(strategy="ga", population_size=200, generations=5)
    ledger = Folded(clock, 150.0)
    mine = Evolution(Search(SPACE, how, 0), ledger)
    while (trial := mine.ask()) is not None:
        clock[0] += 1.0
        mine.tell(trial, float(trial.genome["x"]))
        list(mine.complete())
    assert ledger.sizes == [200, 600, 1000]


def test_the_first_trial_runs_whatever_the_budget() -> None:
    workers = Recorded(2)
    with evolution(None) as mine:
        (only,) = drive(mine, workers, policy=Known(dear=0), budget=1.0)
        assert [i.id for i in only.individuals] == [0]
        assert not mine.ended


def spent(mine: Evolution, seconds: float) -> Evolution:
    """Return the same search, of whose budget so many seconds are spent and each run takes 10."""

    class Spent(Evolution):
        @property
        def elapsed(self) -> float:
            finals = sum(stage is Stage.FINAL for stage, _, _ in self.ledger.records)
            return seconds + 10.0 * finals

    return Spent(mine.search, mine.ledger)


class Tens(Known):
    """Whole trainings take 10 s, and heads go together."""

    def cost(self, trial: Trial) -> float:
        return 10.0


def made(mine: Evolution) -> list[tuple[int, int]]:
    """Return the final runs, in order: how the individual ranks, the default as -1, and which."""
    ids = [i.id for i in finalists(mine, 3)]
    ranks = {id: rank for rank, id in enumerate(ids)} | {0: -1}
    assert ids[-1] == 0
    return [
        (ranks[individual], repeat)
        for stage, individual, repeat in mine.ledger.records
        if stage is Stage.FINAL
    ]


@pytest.mark.parametrize(
    ("budget", "count"), [(None, 8), (181.0, 8), (180.0, 7), (150.0, 4), (121.0, 2), (50.0, 2)]
)
def test_final_runs_keep_to_the_budget_and_those_that_matter_most_come_first(
    budget: float | None, count: int
) -> None:
    order = [(0, 0), (-1, 0), (1, 0), (2, 0), (0, 1), (-1, 1), (1, 1), (2, 1)]
    with evolution(None) as searched:
        list(drive(searched, Recorded()))
        mine = spent(searched, 100.0)
        for _ in range(2):  # a second time adds nothing
            run_all(mine, Recorded(), final_trials(mine, 3, 2), ignored, Tens(), budget=budget)
            assert sorted(made(mine)) == sorted(order[:count])
        run_all(mine, Recorded(2), final_trials(mine, 3, 2), ignored, Tens(), budget=1e9)
        assert sorted(made(mine)) == sorted(order)


def test_what_is_due_is_run_though_something_else_would_go_first_and_does_not_fit() -> None:
    class Uneven(Known):
        """There is time for all but one of them."""

        def cost(self, trial: Trial) -> float:
            return 30.0 if trial.individual == dear and trial.repeat else 1.0

        def company(self, trial: Trial) -> str:
            return "all"

        def kin(self, trial: Trial) -> str:
            return str(trial.genome["kind"])

    with evolution(None) as searched:
        list(drive(searched, Recorded()))
        mine = spent(searched, 100.0)
        dear = finalists(mine, 3)[2].id
        # Of two workers each has as much as fits, on the mean.
        run_all(mine, Recorded(2), final_trials(mine, 3, 2), ignored, Uneven(), budget=125.0)
        assert {(0, 0), (-1, 0)} <= set(made(mine))
        assert (2, 1) not in made(mine)
