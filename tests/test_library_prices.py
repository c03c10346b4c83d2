"""A fitness function whose genomes differ in price: recorded, resumed, refused."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from running import lineage, wait_until

import evoft
from evoft.desk import Alike
from evoft.errors import PopulationMismatchError, SettingsError
from evoft.run import cost_of_finals, final_trials

SPACE = evoft.SearchSpace(
    lr=evoft.Float(1e-5, 1e-1, log=True),
    width=evoft.Ordinal([16, 32, 64], default=32),
    act=evoft.Choice(["relu", "gelu"]),
)


def fitness(genome: evoft.Genome, trial: evoft.Trial) -> float:
    return -abs(float(genome["lr"]) - 1e-3) - 0.1 / (trial.epochs or 1.0)


def price(genome: evoft.Genome) -> float:
    return (float(genome["width"]) / 32) ** 2


def run(**options: Any) -> list[evoft.Generation]:
    told = {"generations": 4, "population_size": 6, "epochs": 9, "price": price, **options}
    return list(evoft.evolve(fitness, SPACE, **told))


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("straight") / "mine.h5"
    run(file=path, workers=0)
    return path


def test_prices_are_in_the_file_and_generations_are_what_they_pay_for(straight: Path) -> None:
    population = evoft.Population.open(straight)
    assert {one.price for one in population} == {0.25, 1.0, 4.0}
    assert all(one.price == price(one.genome) for one in population)
    assert [g.index for g in population.generations] == [0, 1, 2, 3]
    straight.with_suffix(".journal").rename(straight.with_suffix(".aside"))
    assert [g.index for g in evoft.Population.open(straight).generations] == [0, 1, 2, 3]
    straight.with_suffix(".aside").rename(straight.with_suffix(".journal"))


@pytest.mark.parametrize("workers", [1, 3])
def test_the_lineage_is_the_same_on_any_number_of_workers(
    straight: Path, tmp_path: Path, workers: int
) -> None:
    run(file=tmp_path / "mine.h5", workers=workers)
    there = evoft.Population.open(tmp_path / "mine.h5")
    assert lineage(there) == lineage(evoft.Population.open(straight))


@pytest.mark.slow
def test_a_killed_run_goes_on_as_if_nothing_had_happened(straight: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.h5"
    code = (
        "import sys, time, evoft, test_library_prices as t\n"
        "def slowly(genome, trial):\n"
        "    time.sleep(0.02)\n"
        "    return t.fitness(genome, trial)\n"
        "for _ in evoft.evolve(slowly, t.SPACE, generations=4, population_size=6, epochs=9,\n"
        "                      price=t.price, file=sys.argv[1], workers=2): pass\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        start_new_session=True,
    ) as process:
        wait_until(lambda: path.exists() and len(evoft.Population.open(path)) >= 12)
        os.killpg(process.pid, signal.SIGKILL)
    assert len(evoft.Population.open(path)) < len(evoft.Population.open(straight))
    list(evoft.resume(fitness, path, workers=2, price=price))
    assert lineage(evoft.Population.open(path)) == lineage(evoft.Population.open(straight))


def test_ask_and_tell_have_prices_too(straight: Path) -> None:
    with evoft.new(
        SPACE,
        generations=4,
        population_size=6,
        epochs=9,
        search=evoft.SearchSettings(),
        price=price,
    ) as evolution:
        while (trial := evolution.ask()) is not None:
            evolution.tell(trial, fitness(trial.genome, trial))
        assert lineage(evolution.population) == lineage(evoft.Population.open(straight))


def test_another_price_does_not_go_on_with_a_population(straight: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.h5"
    run(file=path, workers=0, generations=2)
    before = path.read_bytes()
    settings = evoft.Population.open(path).header.settings
    for other in (None, lambda genome: 2.0):
        with pytest.raises(PopulationMismatchError, match=r"born at a price of .* was made with"):
            list(evoft.resume(fitness, path, generations=3, workers=0, price=other))
        with pytest.raises(PopulationMismatchError, match="born at a price of"):
            evoft.reopen(path, generations=3, price=other)
    assert evoft.Population.open(path).records
    assert evoft.Population.open(path).header.settings == settings
    list(evoft.resume(fitness, path, generations=4, workers=0, price=price))
    assert before != path.read_bytes()
    assert lineage(evoft.Population.open(path)) == lineage(evoft.Population.open(straight))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [(3.0, "`price` must be a function"), (lambda genome: 0.0, "finite number above 0"),
     (lambda genome: genome["depth"], "`price` fails with"),
     (lambda genome: 10**400, "`price` fails with OverflowError"),
     (lambda genome: 1e9 if genome["width"] == 64 else 1, "gives 1e\\+09 times the default's.*64")],
)  # fmt: skip
def test_what_is_no_price_is_refused(tmp_path: Path, wrong: Any, words: str) -> None:
    path = tmp_path / "mine.h5"
    with pytest.raises(SettingsError, match=words):
        run(file=path, workers=0, price=wrong)
    assert not path.exists()


def but_for_the_default(genome: evoft.Genome) -> float:
    return 1.0 if genome == SPACE.default() else 3.0


def test_dear_finalists_have_their_share_of_a_budget(straight: Path) -> None:
    search = evoft.SearchSettings(finalists=2, repeats=2)
    with evoft.new(
        SPACE, generations=2, population_size=6, epochs=9, search=search, price=but_for_the_default
    ) as evolution:
        assert cost_of_finals(evolution, 6) == 6.0  # nobody is known, and so taken for the default
        while (trial := evolution.ask()) is not None:
            evolution.tell(trial, fitness(trial.genome, trial))
        runs = final_trials(evolution, 2, 2)
        assert len(runs) in (4, 6)  # the default may be among the best
        prices = [but_for_the_default(run.genome) for run in runs]
        assert 3.0 in prices
        assert cost_of_finals(evolution, 6) == sum(prices) + (6 - len(runs))
        assert cost_of_finals(evolution, 0) == 0.0
    with evoft.new(SPACE, generations=2, search=search) as evolution:
        assert cost_of_finals(evolution, 6) == 6.0


def test_trials_that_cost_differently_are_not_taken_in_turn() -> None:
    for priced in (None, price):
        with evoft.new(SPACE, generations=2, population_size=6, price=priced) as evolution:
            assert Alike(evolution).in_turn == (priced is None)


def test_prices_may_be_in_any_unit(straight: Path, tmp_path: Path) -> None:
    run(file=tmp_path / "mine.h5", workers=0, price=lambda genome: 3.2e7 * price(genome))
    there = evoft.Population.open(tmp_path / "mine.h5")
    assert lineage(there) == lineage(evoft.Population.open(straight))


def steep(genome: evoft.Genome) -> float:
    return (float(genome["width"]) / 32) ** 10


@pytest.mark.parametrize(
    ("strategy", "epochs", "first"),
    [("evolution", None, "1,024.0"),
     pytest.param("evolution", 9, "113.8", marks=pytest.mark.slow), ("asha", 9, "113.8"),
     ("hyperband", 9, "113.8"), ("ga", None, "1,024.0"), ("random", 9, "1,024.0"),
     ("grid", None, "1,024.0")],
)  # fmt: skip
def test_who_is_dearer_than_a_generation_is_left_out_and_that_is_said(
    strategy: str, epochs: int | None, first: str, caplog: pytest.LogCaptureFixture
) -> None:
    told = {"strategy": strategy, "epochs": epochs, "price": steep, "workers": 0}
    born = [one for generation in run(**told) for one in generation.individuals]
    assert {one.genome["width"] for one in born} == {16, 32}
    assert len(born) > 20
    (said,) = [r.getMessage() for r in caplog.records if "too dear" in r.getMessage()]
    assert re.match("about 3[34] % of the space is too dear to be born", said)
    assert f"costs {first} full ones of the default, and a generation has 6" in said


def test_a_founder_who_is_dearer_than_a_generation_is_refused(tmp_path: Path) -> None:
    founders = {"wide": {"width": 64}}
    for make in (evoft.evolve, evoft.new):
        given = {"space": SPACE, "population_size": 6, "price": steep, "founders": founders}
        fitnesses = {"fitness": fitness} if make is evoft.evolve else {}
        with pytest.raises(
            SettingsError, match=r"founder 'wide' is too dear: .* costs 1,024\.0 full"
        ):
            make(**fitnesses, **given, file=tmp_path / "mine.h5")  # type: ignore[operator]
    assert not list(tmp_path.iterdir())


def steeper(genome: evoft.Genome) -> float:
    return 12.0 if genome["width"] == 64 else 1.0


def wide_wins(genome: evoft.Genome, trial: evoft.Trial) -> float:
    return float(genome["width"]) - 0.1 / (trial.epochs or 1.0)


DEAR: dict[str, Any] = {"strategy": "asha", "epochs": 9, "population_size": 2, "price": steeper}


def run_dear(path: Path, generations: int) -> list[int]:
    told = {"generations": generations, "file": path, "workers": 0, **DEAR}
    return [one.index for one in evoft.evolve(wide_wins, SPACE, **told)]


def test_generations_in_which_nothing_begins_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "mine.h5"
    shown = run_dear(path, 16)
    assert shown == sorted(set(shown))
    assert len(shown) < shown[-1] + 1
    there = evoft.Population.open(path)
    assert [one.index for one in there.generations] == shown[: len(there.generations)]
    assert {record.trial.generation for record in there.records.values()} == set(shown)
    resumed = evoft.resume(wide_wins, path, generations=32, workers=0, price=steeper)
    more = [one.index for one in resumed]
    assert more
    assert run_dear(tmp_path / "straight.h5", 32)[-len(more) :] == more
    straight = evoft.Population.open(tmp_path / "straight.h5")
    assert lineage(evoft.Population.open(path)) == lineage(straight)


def test_a_population_has_had_the_generations_that_were_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "mine.h5"
    run_dear(path, 16)
    had = evoft.Population.open(path).generations
    assert len(had) < had[-1].index + 1
    total = had[-1].index + 1
    list(evoft.resume(wide_wins, path, generations=total, workers=0, price=steeper))
    assert f"which has had {total}, so {total} adds none" in caplog.text
