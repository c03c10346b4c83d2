"""evoft as a library: the same lineage on any number of workers, resumed, refused and failed."""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import content, family, lineage, run_script, wait_until

import evoft
from evoft.errors import (
    PopulationExistsError,
    PopulationFileError,
    PopulationLockedError,
    PopulationMismatchError,
    SettingsError,
    SpaceError,
    WorkerError,
)
from evoft.header import Header
from evoft.lineage import Record, Store
from evoft.trial import Stage

SPACE = evoft.SearchSpace(
    lr=evoft.Float(1e-5, 1e-1, log=True),
    width=evoft.Ordinal([16, 32, 64]),
    depth=evoft.Integer(1, 9),
    act=evoft.Choice(["relu", "gelu"]),
    slope=evoft.Float(0, 1, when={"act": ["relu"]}),
)


def fitness(genome: evoft.Genome, trial: evoft.Trial) -> Any:
    """Be quick, end out of order, and fail in every way but death."""
    time.sleep(trial.seed % 4 * 0.002)
    trial.report(1, loss=1.0)
    match trial.individual % 11:
        case 5:
            raise ValueError(f"depth {genome['depth']}")
        case 7:
            return math.nan
        case 9:
            return None
    trial.report(2, loss=float(genome["lr"]))
    noise = trial.seed % 1000 / 1e5
    return -abs(math.log10(float(genome["lr"])) + 3) - abs(int(genome["depth"]) - 4) + noise


def evolve(**options: Any) -> Any:
    return evoft.evolve(fitness, SPACE, **{"generations": 4, "population_size": 6, **options})


def run(**options: Any) -> list[evoft.Generation]:
    return list(evolve(**options))


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed run, in this process."""
    path = tmp_path_factory.mktemp("straight") / "mine.h5"
    run(file=path, workers=0)
    return path


def test_the_issues_own_example_runs_as_a_script_without_a_main_guard(tmp_path: Path) -> None:
    out = run_script(
        """
import evoft
print("once")
FACTOR = 2.0

class Model:
    def __init__(self, width): self.width = width
    def score(self): return FACTOR * self.width

space = evoft.SearchSpace(
    lr=evoft.Float(1e-5, 1e-1, log=True),
    width=evoft.Ordinal([16, 32, 64]),
    act=evoft.Choice(["relu", "gelu"]),
)

def fitness(genome: evoft.Genome, trial: evoft.Trial) -> float:
    return Model(genome["width"]).score() - genome["lr"]

for generation in evoft.evolve(
    fitness, space, generations=20, population_size=16, file="populations/mine.h5",
    workers=4, seed=0,
):
    print(generation.best.fitness)

population = evoft.Population.open("populations/mine.h5")
print(len(population), population.best.fitness > 127.99, population.best.genome["width"])
""",
        tmp_path,
    ).split("\n")
    best = [float(line) for line in out[1:21]]
    assert out[0] == "once"
    assert best == sorted(best)
    assert out[21:] == ["320 True 64", ""]


@pytest.mark.parametrize("workers", [1, 3, 4])
def test_the_same_lineage_to_the_last_bit_on_any_number_of_workers(
    straight: Path, tmp_path: Path, workers: int
) -> None:
    run(file=tmp_path / "mine.h5", workers=workers)
    population = evoft.Population.open(tmp_path / "mine.h5")
    there = evoft.Population.open(straight)
    assert lineage(population) == lineage(there)
    assert len(population) == 24
    assert {i.status.value for i in population if i.status} == {"ok", "failed", "diverged"}
    assert [repr(g.best_so_far) for g in population.generations] != []
    other = run(workers=workers, seed=1)
    assert [i.genome for g in other for i in g.individuals] != [i.genome for i in there]


def test_generations_are_given_in_order_and_whole(straight: Path) -> None:
    generations = run(workers=2)
    population = evoft.Population.open(straight)
    assert [g.index for g in generations] == [0, 1, 2, 3]
    assert [i.id for g in generations for i in g.individuals] == list(range(24))
    for mine, theirs in zip(generations, population.generations, strict=True):
        assert [i.genome for i in mine.individuals] == [i.genome for i in theirs.individuals]
        assert mine.best.id == theirs.best.id
        assert mine.best.fitness == max(i.score for i in population if i.generation <= mine.index)
        assert mine.scores == [i.score for i in mine.individuals if i.status is evoft.Status.OK]


def test_what_a_fitness_raises_is_recorded(straight: Path) -> None:
    population = evoft.Population.open(straight)
    raised, nan, none = (population[n].outcome for n in (5, 7, 9))
    assert raised
    assert nan
    assert none
    depth = population[5].genome["depth"]
    assert raised.status is evoft.Status.FAILED
    assert raised.reason.startswith(f"ValueError: depth {depth} (test_library.py, line ")
    assert raised.curve[0].metrics == {"loss": 1.0}
    assert (nan.status, none.status) == (evoft.Status.DIVERGED, evoft.Status.FAILED)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_in_two_halves_is_the_run(straight: Path, tmp_path: Path, workers: int) -> None:
    path = tmp_path / "mine.h5"
    first = run(file=path, workers=0, generations=2)
    rest = list(evoft.resume(fitness, path, generations=4, workers=workers))
    assert [g.index for g in first + rest] == [0, 1, 2, 3]
    mine, theirs = content(path), content(straight)
    for both in (mine, theirs):
        both["header/settings"] = both["header/settings"].replace('"workers":1', '"workers":null')
    assert mine == theirs


def test_generations_are_a_total_and_not_a_number_more(straight: Path) -> None:
    before = straight.read_bytes()
    assert list(evoft.resume(fitness, straight)) == []
    assert list(evoft.resume(fitness, straight, generations=4)) == []
    assert straight.read_bytes() == before


@pytest.mark.parametrize("after", [1, 3])
def test_a_generator_closed_early_leaves_a_whole_file_and_no_process(
    straight: Path, tmp_path: Path, after: int
) -> None:
    path = tmp_path / "mine.h5"
    generations = evolve(file=path, workers=3)
    for _ in range(after):
        next(generations)
    assert len(family()) == 4
    generations.close()
    assert wait_until(lambda: family() == [])
    assert len(evoft.Population.open(path)) >= after * 6
    rest = list(evoft.resume(fitness, path, workers=2))
    # A generation that was complete but not yet looked at counts as given.
    assert [g.index for g in rest] == list(range(4))[4 - len(rest) :]
    assert lineage(evoft.Population.open(path)) == lineage(evoft.Population.open(straight))


def test_an_error_of_the_caller_ends_the_workers(tmp_path: Path) -> None:
    def look() -> None:
        for _ in evolve(file=tmp_path / "mine.h5", workers=2):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        look()
    assert wait_until(lambda: family() == [])
    with Store.open(tmp_path / "mine.h5"):
        pass


def test_an_existing_file_is_refused_and_not_touched(straight: Path) -> None:
    before = straight.read_bytes()
    calls: list[int] = []
    for make in (evoft.evolve, lambda f, s, **o: evoft.new(s, **o)):
        with pytest.raises(PopulationExistsError, match=r"go on with it by `evoft.resume\(fitness"):
            make(lambda genome, trial: calls.append(1), SPACE, file=straight)  # type: ignore[arg-type,operator]
    assert (calls, straight.read_bytes()) == ([], before)


def test_two_writers_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Else a slow machine records the sixth trial together with the seventh.
    monkeypatch.setattr("evoft.fitness_loop._TOGETHER", 1000.0)
    path = tmp_path / "mine.h5"
    generations = evolve(file=path, workers=0)
    next(generations)
    for second in (
        lambda: next(evoft.resume(fitness, path)),
        lambda: evoft.reopen(path),
        lambda: run_script(
            f"import evoft\ntry:\n    evoft.reopen({str(path)!r})\n"
            "except evoft.EvoftError as error:\n    raise SystemExit(type(error).__name__)",
            tmp_path,
        ),
    ):
        with pytest.raises((PopulationLockedError, AssertionError)) as refused:
            second()
        assert "PopulationLockedError" in repr(refused.value)
    assert len(evoft.Population.open(path)) == 6  # readers are welcome
    generations.close()
    evoft.reopen(path).close()


def test_finalists_are_run_again_with_fresh_seeds(tmp_path: Path) -> None:
    path = tmp_path / "mine.h5"
    settings = evoft.SearchSettings(finalists=3, repeats=2)
    run(file=path, workers=2, search=settings)
    population = evoft.Population.open(path)
    again = {i.id: population.finals(i.id) for i in population if population.finals(i.id)}
    best = sorted(
        (i for i in population if i.status is evoft.Status.OK), key=lambda i: (-i.score, i.id)
    )
    assert set(again) == {i.id for i in best[:3]} | {0}
    finals = [record for records in again.values() for record in records]
    seeds = [record.trial.seed for record in finals] + [i.seed for i in population]
    assert len(finals) == 2 * len(again)
    assert len(set(seeds)) == len(seeds)
    assert {record.trial.stage for record in finals} == {Stage.FINAL}
    assert all(record.trial.genome == population[id].genome for id in again for record in again[id])
    means = {
        id: sum(r.outcome.score for r in records) / 2
        for id, records in again.items()
        if all(math.isfinite(r.outcome.score) for r in records)
    }
    assert population.winner
    assert population.winner.id == max(means, key=lambda id: means[id])
    before = lineage(population)
    assert list(evoft.resume(fitness, path)) == []  # they are not run a second time
    assert lineage(evoft.Population.open(path)) == before


@pytest.mark.parametrize(
    ("search", "calls"),
    [
        (None, 12),
        (evoft.SearchSettings(), 12),
        (evoft.SearchSettings(strategy="ga"), 12),
        (evoft.SearchSettings(finalists=1, repeats=2), 16),
    ],
)
def test_there_are_final_runs_only_where_they_are_asked_for(
    search: evoft.SearchSettings | None, calls: int
) -> None:
    called: list[tuple[Stage, int]] = []

    def counted(genome: evoft.Genome, trial: evoft.Trial) -> float:
        called.append((trial.stage, trial.individual))
        return float(trial.individual)

    sizes = {"generations": 2, "population_size": 6, "workers": 0}
    list(evoft.evolve(counted, SPACE, search=search, **sizes))  # type: ignore[arg-type]
    assert len(called) == calls
    finals = [individual for stage, individual in called if stage is Stage.FINAL]
    assert sorted(finals) == [0, 0, 11, 11][: calls - 12]


def after_100_seconds(path: Path, **options: Any) -> Path:
    """Make a population of which one trial, of 5 s, ended after 100 s of running."""
    evolution = evoft.new(SPACE, population_size=4, generations=2, file=path, **options)
    evolution.close()
    trial = evolution.ask()
    assert trial
    outcome = evoft.Outcome.of_fitness(1.0, seconds=5.0)
    with Store.open(path) as store:
        store.append(Record(trial, outcome, evolution.search.born[0], None, elapsed=100.0))
    return path


def test_generations_are_a_total_and_whoever_takes_them_for_more_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "mine.h5"
    run(file=path, generations=2, workers=0)
    assert list(evoft.resume(fitness, path, workers=0)) == []
    assert caplog.messages == []
    assert list(evoft.resume(fitness, path, generations=2, workers=0)) == []
    (said,) = caplog.messages
    assert "which has had 2, so 2 adds none: for as many more give generations=4" in said
    assert len(list(evoft.resume(fitness, path, generations=3, workers=0))) == 1
    assert len(caplog.messages) == 1


def test_a_budget_is_a_total_over_the_life_of_the_file(tmp_path: Path) -> None:
    path = after_100_seconds(tmp_path / "mine.h5")
    for spent in ("1m", 100.0, 104.0):  # at 5 s a trial another one ends after 105 s
        list(evoft.resume(fitness, path, workers=0, budget=spent))
        assert len(evoft.Population.open(path)) == 1
    list(evoft.resume(fitness, path, workers=0, budget="1h"))
    population = evoft.Population.open(path)
    assert len(population) == 8
    assert all(record.elapsed >= 100.0 for record in population.records.values())


def test_a_budget_leaves_room_for_the_finals(tmp_path: Path) -> None:
    search = evoft.SearchSettings(finalists=1, repeats=3)
    path = after_100_seconds(tmp_path / "mine.h5", search=search)
    list(evoft.resume(fitness, path, workers=0, budget=130))  # 5 s, and 6 final runs of 5 s each
    population = evoft.Population.open(path)
    assert (len(population), len(population.finals(0))) == (1, 3)


def test_finals_that_a_budget_has_no_room_for_are_left_out_and_made_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    search = evoft.SearchSettings(finalists=1, repeats=3)
    path = after_100_seconds(tmp_path / "mine.h5", search=search)
    list(evoft.resume(fitness, path, workers=0, budget=100))
    assert len(evoft.Population.open(path).finals(0)) == 1
    assert [m for m in caplog.messages if "final runs are left out (2)" in m]
    list(evoft.resume(fitness, path, workers=0))
    population = evoft.Population.open(path)
    assert (len(population), len(population.finals(0))) == (8, 3)
    assert len(caplog.messages) == 1


def test_final_runs_keep_no_more_than_a_third_of_a_budget(tmp_path: Path) -> None:
    search = evoft.SearchSettings(finalists=3, repeats=4)  # 16 final runs of 5 s each
    path = after_100_seconds(tmp_path / "mine.h5", search=search)
    list(evoft.resume(fitness, path, workers=0, budget=150))
    assert len(evoft.Population.open(path)) == 1
    list(evoft.resume(fitness, path, workers=0, budget=165))
    assert len(evoft.Population.open(path)) > 1


def test_a_budget_ends_a_run_without_a_number_of_generations() -> None:
    generations = run(workers=0, generations=None, budget=0.3)
    assert [g.index for g in generations] == list(range(len(generations)))
    assert len(generations) >= 1


def test_a_finite_space_ends_with_a_smaller_generation() -> None:
    space = evoft.SearchSpace(a=evoft.Integer(0, 6))
    generations = list(
        evoft.evolve(lambda g, t: float(g["a"]), space, population_size=4, workers=0)
    )
    assert [len(g.individuals) for g in generations] == [4, 3]
    assert generations[-1].best.genome == {"a": 6}


def test_when_all_fail_generations_come_all_the_same() -> None:
    def hopeless(genome: evoft.Genome, trial: evoft.Trial) -> float:
        raise OSError("no disk")

    generations = list(evoft.evolve(hopeless, SPACE, generations=2, population_size=3, workers=0))
    assert [g.best_so_far for g in generations] == [None, None]
    assert generations[1].best is generations[1].individuals[0]
    assert generations[1].scores == []
    assert math.isnan(generations[1].best.fitness)


def test_a_limit_and_a_death_through_the_library(tmp_path: Path) -> None:
    def deadly(genome: evoft.Genome, trial: evoft.Trial) -> float:
        if trial.individual == 1:
            time.sleep(1000)
        if trial.individual == 2:
            os._exit(4)
        return 1.0

    options: dict[str, Any] = {"generations": 1, "population_size": 4, "workers": 2}
    ((generation),) = evoft.evolve(deadly, SPACE, trial_timeout=1.5, **options)
    assert [i.status for i in generation.individuals] == ["ok", "timed out", "lost", "ok"]


def test_founders_are_born_first() -> None:
    founders = {"mine": {"lr": 1e-3, "depth": 4}, "wide": {"width": 64}}
    first = run(workers=0, generations=1, founders=founders)[0].individuals
    assert [i.operator for i in first] == ["default", "mine", "wide", "sample", "sample", "sample"]
    assert first[1].genome == SPACE.default().replace(lr=1e-3, depth=4)


def broken(genome: evoft.Genome, trial: evoft.Trial) -> float:
    """Fail as a mistyped function does, until the second generation."""
    if trial.individual < 4:
        raise NameError("name 'lerning_rate' is not defined")
    return 0.5


def test_a_first_generation_that_failed_whole_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    list(evoft.evolve(broken, SPACE, generations=3, population_size=4, workers=0))
    assert [r.getMessage().partition(" (")[0] for r in caplog.records] == [
        "every individual so far has failed, the first of generation 0 with: "
        "NameError: name 'lerning_rate' is not defined"
    ]
    caplog.clear()
    list(evoft.evolve(fitness, SPACE, generations=1, population_size=6, workers=0))
    assert caplog.records == []  # one failed, as some do


def test_founders_come_from_earlier_populations_and_are_not_read_again(
    straight: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    elder = tmp_path / "elder.h5"
    elder.write_bytes(straight.read_bytes())
    best = sorted(evoft.Population.open(elder), key=lambda i: (-i.score, i.id))[:2]
    wider = evoft.SearchSpace({**SPACE, "drop": evoft.Float(0.0, 0.5)})
    options: dict[str, Any] = {
        "generations": 3, "population_size": 6, "elders": [elder],
        "founders": {"mine": {"depth": 7}},
    }  # fmt: skip
    whole = list(evoft.evolve(fitness, wider, file=tmp_path / "whole.h5", workers=0, **options))
    first = whole[0].individuals
    named = [f"#{i.id} of elder.h5" for i in best]
    assert [i.operator for i in first] == ["default", "mine", *named, "sample", "sample"]
    for taken, there in zip(first[2:4], best, strict=True):
        assert taken.genome == {**there.genome, "drop": 0.25}
    assert [r.getMessage() for r in caplog.records] == [
        "founders come from elder.h5 with drop at the default"
    ]
    caplog.clear()
    killed = evoft.evolve(fitness, wider, file=tmp_path / "part.h5", workers=0, **options)
    next(killed)
    killed.close()
    elder.unlink()
    list(evoft.resume(fitness, tmp_path / "part.h5", workers=0))
    part, there = (evoft.Population.open(tmp_path / f"{n}.h5") for n in ("part", "whole"))
    assert lineage(part) == lineage(there)


def test_elders_that_cannot_be_had_are_told_before_anything_is_made(
    straight: Path, tmp_path: Path
) -> None:
    other = evoft.SearchSpace(momentum=evoft.Float(0.0, 1.0))
    for elders, error, message in (
        ([straight], SpaceError, "no founder can come from mine.h5: of its genes (lr, width, "),
        ([tmp_path / "none.h5"], PopulationFileError, "there is no population file"),
        *(
            (wrong, SettingsError, "`elders` must be a list of population files, but is ")
            for wrong in (str(straight), None, 5, [5])
        ),
    ):
        for make in (evoft.new, lambda *a, **options: evoft.evolve(fitness, *a, **options)):
            with pytest.raises(error) as refused:
                make(other, file=tmp_path / "new.h5", elders=elders)  # type: ignore[arg-type]
            assert message in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_a_spawned_process_evolves_a_function_of_its_script(tmp_path: Path) -> None:
    """As where seeds go to a process pool; a spawned process has its script by another name."""
    out = run_script(
        """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
import evoft

SPACE = evoft.SearchSpace(x=evoft.Float(0, 1))

def fitness(genome, trial):
    return genome["x"]

def best(seed):
    for generation in evoft.evolve(fitness, SPACE, generations=1, population_size=3, seed=seed):
        return generation.best.fitness

if __name__ == "__main__":
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        print(list(pool.map(best, [1])) == [best(1)])
""",
        tmp_path,
    )
    assert out == "True\n"


def test_the_search_settings_may_have_the_population_size() -> None:
    """So ``lookahead`` can be what the warning of idle workers says."""
    assert evoft.new(SPACE).search.settings.population_size == 16
    search = evoft.SearchSettings(lookahead=19, population_size=20)
    assert evoft.new(SPACE, search=search).search.settings.population_size == 20
    assert evoft.new(SPACE, search=search, population_size=24).search.settings.births_ahead == 19
    fifteen = evoft.SearchSettings(lookahead=15)
    assert evoft.new(SPACE, search=fifteen).search.settings.population_size == 16


def test_generations_where_they_are_not_heeded_are_told(caplog: pytest.LogCaptureFixture) -> None:
    search = evoft.SearchSettings(generations=50)
    assert evoft.new(SPACE, search=search, generations=50).search.settings.generations == 50
    assert caplog.messages == []
    assert evoft.new(SPACE, search=search, generations=9).search.settings.generations == 9
    assert caplog.messages == [
        "`generations` of `search`, 50, is not heeded: give it as an argument beside `search`"
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"search": {"finalists": 2}}, "`search` must be evoft.SearchSettings, but is {'finalists"),
        (
            {"founders": [{"depth": 4}]},
            "`founders` must give each its name, as in {'mine': {'lr': ",
        ),
        ({"trial_timeout": "soon"}, "a length of time is written as 90s, 30m, 1h30m or 2d, not 's"),
    ],
)
def test_options_of_another_kind_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError) as refused:
        evolve(**options)
    assert str(refused.value).startswith(words)


def test_a_time_limit_that_nobody_keeps_is_told(caplog: pytest.LogCaptureFixture) -> None:
    run(workers=0, generations=1, trial_timeout="30s")
    assert caplog.messages == ["with workers=0 there is no `trial_timeout`: give workers=1 or more"]


def test_what_numpy_counts_with_will_do() -> None:
    options = {"generations": np.int64(1), "population_size": np.int64(4), "seed": np.int64(3)}
    mine = run(workers=np.int64(0), founders={"mine": {"depth": np.int64(4)}}, **options)
    theirs = run(
        workers=0, generations=1, population_size=4, seed=3, founders={"mine": {"depth": 4}}
    )
    assert [repr(g) for g in mine] == [repr(g) for g in theirs]
    assert [i.genome for i in mine[0].individuals] == [i.genome for i in theirs[0].individuals]
    assert mine[0].individuals[1].genome["depth"] == 4


def test_one_seed_for_all_but_the_final_runs(tmp_path: Path) -> None:
    file = tmp_path / "mine.h5"
    run(file=file, workers=0, search=evoft.SearchSettings(common_seed=True, finalists=1))
    population = evoft.Population.open(file)
    (seed,) = {individual.seed for individual in population}
    finals = [r.trial.seed for i in population for r in population.finals(i.id)]
    assert len(set(finals)) == len(finals) > 0
    assert seed not in finals


def test_ask_and_tell_in_memory_is_the_same_lineage(straight: Path) -> None:
    with evoft.new(SPACE, generations=4, population_size=6) as evolution:
        while (trial := evolution.ask()) is not None:
            try:
                evolution.tell(trial, fitness(trial.genome, trial))
            except (ValueError, TypeError) as error:
                evolution.tell(trial, evoft.Outcome(evoft.Status.FAILED, reason=str(error)))
        mine, theirs = evolution.population, evoft.Population.open(straight)
        assert [(i.genome, i.parents, i.seed) for i in mine] == [
            (i.genome, i.parents, i.seed) for i in theirs
        ]
        assert mine.best
        assert evolution.best
        assert evolution.best.id == mine.best.id


@pytest.mark.parametrize("file", [None, "mine.h5"])
def test_outcomes_told_together_are_recorded_all_or_none(tmp_path: Path, file: str | None) -> None:
    path = tmp_path / file if file else None
    with evoft.new(SPACE, population_size=4, generations=2, file=path, strategy="ga") as evolution:
        trials = [trial for _ in range(4) if (trial := evolution.ask())]
        ended = [(trial, float(trial.individual)) for trial in trials]
        for wrong in ((trials[0], 1.0), (evoft.Trial(9, trials[0].genome, 0), 1.0)):
            with pytest.raises(ValueError, match="it was told, or never asked"):
                evolution.tell_all([*ended, wrong])
            assert not evolution.ledger.records
        evolution.tell_all(reversed(ended))
        assert [i.fitness for i in evolution.search.born] == [0.0, 1.0, 2.0, 3.0]
        assert len(list(evolution.complete())) == 1
    if path:
        assert [i.fitness for i in evoft.Population.open(path)] == [0.0, 1.0, 2.0, 3.0]


ASKING = """
import os, signal, sys
import evoft
sys.path.insert(0, sys.argv[3])
from test_library import SPACE, fitness, told
path, last = sys.argv[1:3]
if os.path.exists(path):
    evolution = evoft.reopen(path)
else:
    evolution = evoft.new(SPACE, generations=4, population_size=6, file=path)
for _ in range(int(last)):
    trial = evolution.ask()
    if trial is None:
        evolution.close()
        print("done")
        break
    told(evolution, trial)
else:
    os.kill(os.getpid(), signal.SIGKILL)
"""


def told(evolution: evoft.Evolution, trial: evoft.Trial) -> None:
    """Tell what ``evolve`` would have recorded."""
    from evoft.workers.evaluation import FitnessTarget, evaluate

    evolution.tell(trial, evaluate(FitnessTarget(fitness), trial, lambda _: None))


def test_ask_and_tell_killed_and_reopened_is_the_same_run(straight: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.h5"
    here = Path(__file__).parent
    kills = 0
    while True:
        try:
            assert run_script(ASKING, tmp_path, path, 9, here) == "done\n"
            break
        except AssertionError:
            kills += 1
            assert len(evoft.Population.open(path)) == 9 * kills
    assert kills == 2
    assert lineage(evoft.Population.open(path)) == lineage(evoft.Population.open(straight))
    with evoft.reopen(path, generations=5) as evolution:
        trial = evolution.ask()
        assert trial
        assert trial.individual == 24


def test_asking_too_far_ahead_is_told() -> None:
    evolution = evoft.new(SPACE, strategy="ga", population_size=4, generations=2)
    trials = [evolution.ask() for _ in range(4)]
    with pytest.raises(evoft.EvoftError, match="outcome of individual 0 is told: `lookahead` is 2"):
        evolution.ask()
    assert trials[0]
    evolution.tell(trials[0], 1.0)
    with pytest.raises(evoft.EvoftError, match="before the outcome of individual 1 is told"):
        evolution.ask()


def test_where_no_outcome_decides_it_is_told_what_limits() -> None:
    evolution = evoft.new(SPACE, strategy="random", population_size=4)
    assert len([evolution.ask() for _ in range(4)]) == 4
    with pytest.raises(evoft.EvoftError, match="in the open as `population_size`, 4"):
        evolution.ask()


@pytest.mark.parametrize("file", [None, "mine.h5"])
def test_an_outcome_that_nobody_wants_is_refused(tmp_path: Path, file: str | None) -> None:
    path = tmp_path / file if file else None
    with evoft.new(SPACE, population_size=4, file=path) as evolution:
        trial = evolution.ask()
        assert trial
        evolution.tell(trial, 1.0)
        with pytest.raises(ValueError, match="it was told, or never asked"):
            evolution.tell(trial, 1.0)
        with pytest.raises(ValueError, match="it was told, or never asked"):
            evolution.tell(evoft.Trial(3, trial.genome, 0), 1.0)
        with pytest.raises(TypeError, match="what is told must be of a trial, but is of "):
            evolution.tell(1.0, trial)  # type: ignore[arg-type]
        assert len(evolution.population) == 1


def test_a_trial_of_another_evolution_is_refused() -> None:
    mine, other = (evoft.new(SPACE, population_size=8, seed=seed) for seed in (1, 2))
    asked = [(mine.ask(), other.ask()) for _ in range(2)]
    assert asked[1][0]
    assert asked[1][1]
    assert asked[1][0].key == asked[1][1].key
    with pytest.raises(ValueError, match="it was told, or never asked"):
        mine.tell(asked[1][1], 1.0)
    mine.tell(asked[1][0], 1.0)
    assert mine.population[1].genome == asked[1][0].genome


def test_what_was_asked_for_and_not_told_is_asked_for_again(tmp_path: Path) -> None:
    path = tmp_path / "mine.h5"
    search = evoft.SearchSettings(lookahead=3)
    with evoft.new(SPACE, population_size=4, file=path, search=search) as evolution:
        asked = [trial for _ in range(4) if (trial := evolution.ask())]
        evolution.tell(asked[2], 2.0)
    with evoft.reopen(path) as evolution:
        with pytest.raises(ValueError, match="it was told, or never asked"):
            evolution.tell(asked[0], 0.0)
        again = [trial for _ in range(3) if (trial := evolution.ask())]
        assert again == [asked[0], asked[1], asked[3]]
        evolution.tell(asked[0], 0.0)
    assert [i.fitness for i in evoft.Population.open(path)] == [0.0, 2.0]


@pytest.mark.parametrize("told", [None, "0.5", (0.5,), 1j, 10**400, evoft.Outcome("ok", 0.5)])  # type: ignore[arg-type]
def test_what_is_no_outcome_is_not_recorded_and_can_be_told_again(
    tmp_path: Path, told: Any
) -> None:
    with evoft.new(SPACE, population_size=4, file=tmp_path / "mine.h5") as evolution:
        trial = evolution.ask()
        assert trial
        with pytest.raises(TypeError, match=r"^the (fitness|outcome's `status`) (must be|is) a "):
            evolution.tell(trial, told)
        assert len(evolution.population) == 0
        evolution.tell(trial, 1.0)
    assert evoft.Population.open(tmp_path / "mine.h5")[0].fitness == 1.0


def test_penalties_as_large_as_floats_go_are_failures(tmp_path: Path) -> None:
    def penalised(genome: evoft.Genome, trial: evoft.Trial) -> float:
        return -sys.float_info.max if trial.individual % 3 else float(genome["depth"])

    path = tmp_path / "mine.h5"
    search = evoft.SearchSettings(finalists=2)
    sizes = {"generations": 3, "population_size": 6, "workers": 0}
    list(evoft.evolve(penalised, SPACE, file=path, search=search, **sizes))  # type: ignore[arg-type]
    population = evoft.Population.open(path)
    assert [i.status for i in population][:3] == ["ok", "diverged", "diverged"]
    assert population[1].outcome
    assert population[1].outcome.reason.endswith("e+308, beyond 1e150")


def test_a_file_that_this_version_would_not_have_bred_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.h5"
    evolution = evoft.new(SPACE, population_size=4, file=path)
    trials = [evolution.ask() for _ in range(3)]
    birth = evolution.search.born[2]
    evolution.close()
    assert trials[2]
    genome = birth.genome.replace(depth=int(birth.genome["depth"]) % 9 + 1)
    with Store.open(path) as store:
        trial = evoft.Trial(2, genome, birth.seed, number=2)
        other = evoft.Individual(2, 0, (), "sample", genome, birth.seed)
        store.append(Record(trial, evoft.Outcome.of_fitness(1.0), other, None, 1.0))
    with pytest.raises(PopulationMismatchError, match=r"individual 2 is .* this version of evoft"):
        list(evoft.resume(fitness, path, workers=0))


def test_a_file_of_fine_tuning_recipes_is_not_resumed_here(tmp_path: Path) -> None:
    path = tmp_path / "digits.h5"
    Store.create(path, Header("c0ffee", "2026-01-01", 0, data={"name": "digits"})).close()
    with pytest.raises(PopulationMismatchError, match="go on with it by `evoft resume"):
        evoft.resume(fitness, path)
    with pytest.raises(PopulationMismatchError, match="go on with it by `evoft resume"):
        evoft.reopen(path)


LOCK = threading.Lock()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"fitness": 5}, SettingsError, "`fitness` must be a function, but is 5"),
        (
            {"fitness": lambda genome: 1.0},
            SettingsError,
            "give it two arguments, fitness(genome, trial)",
        ),
        (
            {"space": {"a": 1}},
            SettingsError,
            "`space` must be an evoft.SearchSpace, but is {'a': 1}",
        ),
        ({"generations": 0}, SettingsError, "`generations` must be >= 1, but is 0"),
        ({"population_size": 1}, SettingsError, "`population_size` must be >= 2, but is 1"),
        ({"population_size": 6.0}, SettingsError, "`population_size` must be a whole number, but"),
        *(
            (
                {"workers": workers},
                SettingsError,
                f"`workers` must be a whole number >= 0, but is {workers!r}: give how many "
                "processes are to evaluate, as in workers=4, or 0 to evaluate in this",
            )
            for workers in (-1, 1.5, "4", False, [2])
        ),
        ({"seed": "x"}, SettingsError, "`seed` must be a whole number, but is 'x'"),
        ({"budget": "soon"}, SettingsError, "a length of time is written as 90s, 30m, 1h30m or 2d"),
        ({"budget": 0}, SettingsError, "`budget` must be > 0, but is 0"),
        ({"trial_timeout": -1}, SettingsError, "`trial_timeout` must be > 0, but is -1"),
        (
            {"file": "mine.txt"},
            SettingsError,
            "a population file is named *.h5, but the name given",
        ),
        ({"file": 5}, SettingsError, "`file` must be the path of a population file, but is 5"),
        ({"founders": {"a": {"lr": 5}}}, SpaceError, "lr: 5 is not in [1e-05, 0.1] log"),
        ({"founders": {"a": {"nr": 5}}}, SpaceError, "`nr` is no gene here; the genes are lr, "),
        ({"founders": {"a": 5}}, SettingsError, "`founders.a` must be a table, but is 5"),
        (
            {"founders": {"default": {}}},
            SettingsError,
            "a founder cannot be named 'default': choose",
        ),
        (
            {"founders": {str(n): {"depth": n} for n in range(1, 7)}},
            SettingsError,
            "room for the default and every founder, but got (population_size=6, founders=6",
        ),
    ],
)
def test_mistakes_are_told_before_anything_is_made(
    tmp_path: Path, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    given = {"fitness": fitness, "space": SPACE, "file": tmp_path / "mine.h5", **options}
    if isinstance(options.get("file"), str):
        given["file"] = tmp_path / options["file"]
    with pytest.raises(error) as refused:
        evoft.evolve(**{"population_size": 6, **given})
    assert message in str(refused.value)
    assert list(tmp_path.iterdir()) == []
    assert family() == []


def test_a_fitness_that_cannot_be_sent_leaves_nothing_behind(tmp_path: Path) -> None:
    lock = threading.Lock()

    def locked(genome: evoft.Genome, trial: evoft.Trial) -> float:
        return float(lock.locked())

    generations = evoft.evolve(locked, SPACE, file=tmp_path / "mine.h5")
    with pytest.raises(
        WorkerError, match="the fitness function cannot be sent to a worker process"
    ):
        next(generations)
    assert list(tmp_path.iterdir()) == []
    assert family() == []


def test_resuming_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PopulationFileError, match="there is no population file"):
        evoft.resume(fitness, tmp_path / "none.h5")
    assert list(tmp_path.iterdir()) == []


def test_a_path_counts_from_where_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    made = evolve(file="mine.h5", generations=1)
    monkeypatch.chdir(tmp_path)
    assert len(list(made)) == 1
    assert (tmp_path / "here" / "mine.h5").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["here"]
    monkeypatch.chdir(tmp_path / "here")
    resumed = evoft.resume(fitness, "mine.h5", generations=2, workers=0)
    monkeypatch.chdir(tmp_path)
    assert [generation.index for generation in resumed] == [1]


def test_a_generator_that_was_never_started_leaves_nothing(tmp_path: Path) -> None:
    evolve(file=tmp_path / "mine.h5").close()
    assert list(tmp_path.iterdir()) == []
    assert family() == []


def test_neither_importing_nor_evolving_imports_torch(tmp_path: Path) -> None:
    out = run_script(
        """
import sys
import evoft
heavy = {"torch", "torchvision", "timm", "sklearn"}
print(heavy & set(sys.modules))
space = evoft.SearchSpace(x=evoft.Float(0, 1))
def fitness(genome, trial):
    return float(len({"torch", "torchvision", "timm", "sklearn"} & set(sys.modules)))
for workers in (0, 2):
    run = dict(generations=2, population_size=3, workers=workers, file=f"m{workers}.h5")
    assert len(list(evoft.evolve(fitness, space, **run))) == 2
    print({i.fitness for i in evoft.Population.open(f"m{workers}.h5")})
print(heavy & set(sys.modules))
""",
        tmp_path,
    )
    assert out.splitlines() == ["set()", "{0.0}", "{0.0}", "set()"]


FULL = """
import os, resource, sys
import evoft
from evoft.errors import StorageError
sys.path.insert(0, sys.argv[3])
from test_library import SPACE, fitness, evolve
path, first = sys.argv[1:3]
limit = lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
run = evolve(file=path, workers=2)
before = len(next(run).individuals)
whole = open(path, "rb").read()
journal = os.path.getsize(path.replace(".h5", ".journal"))
limit({"journal": journal + 100, "file": len(whole) // 2}[first])
try:
    for generation in run:
        pass
except StorageError as error:
    print("disk is full" in str(error))
assert open(path, "rb").read() == whole
assert len(evoft.Population.open(path)) >= before
limit(resource.RLIM_INFINITY)
for generation in evoft.resume(fitness, path, workers=2):
    pass
"""


@pytest.mark.parametrize("first", ["journal", "file"])
@pytest.mark.slow
def test_a_full_disk_loses_nothing_and_is_gone_on_from(
    straight: Path, tmp_path: Path, first: str
) -> None:
    path = tmp_path / "mine.h5"
    assert run_script(FULL, tmp_path, path, first, Path(__file__).parent) == "True\n"
    assert lineage(evoft.Population.open(path)) == lineage(evoft.Population.open(straight))
    assert content(path)["generations/best_id"] == content(straight)["generations/best_id"]
