"""A Sobol sequence of which any element can be had, and founders before it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sequences import sobol
from strategies import spaces

from evoft.library import new
from evoft.outcome import Outcome
from evoft.search.checks import unheeded
from evoft.search.genes import Choice, Float, Integer
from evoft.search.sampling import Sobol
from evoft.search.search import Search
from evoft.search.sobol import sobol_points
from evoft.search.space import SearchSpace
from evoft.settings import SearchSettings
from evoft.testing.trace import straight

SPACE = SearchSpace(a=Float(0, 1), b=Float(1e-4, 1, log=True), c=Integer(0, 9))


@pytest.mark.parametrize("count", [1, 7, 256, 257, 700])
def test_the_sequence_is_one_sobol_sequence_whatever_its_length(count: int) -> None:
    sequence = Sobol(SPACE, 3)
    assert [sequence[number] for number in range(count)] == sobol(SPACE, count, 3)


@settings(deadline=None)
@given(spaces(), st.integers(0, 2**32), st.integers(0, 600))
def test_an_element_follows_from_its_number_alone(
    space: SearchSpace, seed: int, number: int
) -> None:
    far = Sobol(space, seed)
    assert far[number] == sobol(space, number + 1, seed)[number]
    assert far[0] == Sobol(space, seed)[0]


def test_the_sequence_is_even() -> None:
    sequence = Sobol(SPACE, 5)
    for start in (0, 64, 512):  # any block of a power of two at a multiple of it
        units = [SPACE["a"].unit(sequence[n]["a"]) for n in range(start, start + 64)]
        assert sorted(np.floor(np.array(units) * 64).astype(int).tolist()) == list(range(64))


def random_search(space: SearchSpace, seed: int = 0, **changes: object) -> Search:
    values = {"population_size": 4, "generations": 5, **changes}
    return Search(space, SearchSettings(strategy="random", **values), seed)  # type: ignore[arg-type]


def good(stint: object, individual: object) -> Outcome:
    return Outcome.of_fitness(0.0)


def test_random_search_is_the_default_and_then_the_sequence() -> None:
    born = straight(random_search(SPACE, seed=3), good).born
    assert [i.genome for i in born] == [SPACE.default(), *sobol(SPACE, 19, 3)]
    assert [i.operator for i in born] == ["default"] + ["sample"] * 19


def test_what_means_the_same_is_left_out_and_the_sequence_goes_on() -> None:
    space = SearchSpace(a=Integer(0, 63))
    born = straight(random_search(space, seed=3), good).born
    sequence = dict.fromkeys([space.default(), *sobol(space, 200, 3)])
    assert [i.genome for i in born] == list(sequence)[:20]


def test_random_search_waits_for_a_generation_and_no_more() -> None:
    search = random_search(SPACE, generations=None)
    first = [search.ask() for _ in range(4)]
    assert None not in first
    assert search.ask() is None
    assert not search.ended
    search.tell(2, Outcome.of_fitness(1.0))
    assert search.ask() is not None
    assert search.ask() is None


def test_a_founder_who_is_no_news_is_replaced_by_the_sequence() -> None:
    space = SearchSpace(a=Choice(["x", "y"]), b=Float(0, 1, when={"a": ["y"]}))
    search = Search(
        space,
        SearchSettings(strategy="random", population_size=3, generations=1),
        0,
        named={"twin": {"b": 0.1}},
    )
    assert [i.operator for i in straight(search, good).born] == ["default", "sample", "sample"]


SURE = SearchSpace(
    {f"x{n}": Float(0, 1, default=0.9, confidence="high") for n in range(3)},
    free=Float(0, 1),
)
CLIMBS = {"random": None, "bayes": None, "hyperband": 9.0, "asha": 9.0}


@pytest.mark.parametrize("strategy", CLIMBS)
def test_half_of_the_first_are_drawn_as_is_believed_and_fewer_and_fewer(strategy: str) -> None:
    settings = SearchSettings(strategy=strategy, population_size=8, generations=40, lookahead=0)
    if strategy == "bayes":
        settings = replace(settings, generations=1)
    search = Search(SURE, settings, 3, ladder=settings.ladder(CLIMBS[strategy] or 1.0))
    born = straight(search, good).born[1:]
    believed = [i for i in born if i.operator == "prior"]
    others = [i for i in born if i.operator == "sample"]
    assert len(believed) + len(others) == len(born)
    assert all(abs(float(i.genome["x0"]) - 0.9) < 0.5 for i in believed if i.id < 8)
    assert np.median([float(i.genome["x1"]) for i in believed]) > 0.75
    if strategy == "bayes":
        assert believed
        return
    assert 4 <= sum(i.id <= 20 for i in believed) <= 16
    late = [i for i in born if i.id > 100]
    assert len(late) > 100
    assert 0 < sum(i.operator == "prior" for i in late) < len(late) / 8
    assert 0.4 < np.mean([float(i.genome["x1"]) for i in others]) < 0.6


def test_a_grid_says_that_it_makes_nothing_of_a_confidence() -> None:
    said = unheeded(SURE, SearchSettings(strategy="grid"))
    assert said is not None
    assert "'grid' makes nothing of the confidence of the genes x0, x1, x2" in said
    assert unheeded(SPACE, SearchSettings(strategy="grid")) is None
    assert unheeded(SURE, SearchSettings(strategy="random")) is None


def test_the_library_says_so_before_anything_runs(caplog: pytest.LogCaptureFixture) -> None:
    new(SURE, strategy="grid", population_size=4)
    assert [m for m in caplog.messages if "makes nothing of the confidence" in m]


#: Draws the sample, and is told to stop while scipy loads what it draws from.
STOPPED = """
import os, signal, sys, time
import numpy as np
from evoft.search.sobol import sobol_points

real = np.load

def load(*given, **more):
    np.load = real
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.01)
    return real(*given, **more)

np.load = load
try:
    sobol_points(2, 1, first=0, count=4)
except KeyboardInterrupt:
    print("stopped")
print(sobol_points(2, 1, first=0, count=4).tolist())
"""


def test_a_stop_while_tables_are_loaded_is_heard_and_harms_none() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STOPPED], capture_output=True, text=True, check=True
    )
    points = sobol_points(2, 1, first=0, count=4).tolist()
    assert (done.stdout, done.stderr) == (f"stopped\n{points}\n", "")
