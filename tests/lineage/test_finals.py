"""Who wins the final runs: the cheapest of those whom the noise does not tell apart."""

from __future__ import annotations

import itertools
import math

import pytest

from evoft.analysis.report import report_of
from evoft.analysis.report_data import metrics_of
from evoft.analysis.sentences import tie_sentence
from evoft.fine_tuning.standing import best_run
from evoft.genome import Genome
from evoft.header import Header
from evoft.individual import Individual
from evoft.lineage import Population, Record
from evoft.lineage.finals import Finalist, leader_of, standard_error, winner_of
from evoft.outcome import Outcome, Status
from evoft.trial import Stage, Trial
from evoft.verdict import Verdict

DATA = {"name": "pets", "splits": {"train": 48, "val": 100, "test": 50}}
BACKBONES = ({"model": "small", "parameters": 1000}, {"model": "large", "parameters": 5000})


def test_the_error_is_of_the_leaders_mean_with_the_variance_of_all() -> None:
    finalists = [Finalist(0, (0.5, 0.7)), Finalist(1, (0.8, 0.9, 1.0)), Finalist(2, (0.4,))]
    pooled = (2 * 0.1**2 + 2 * 0.1**2) / (1 + 2)
    assert standard_error(finalists) == pytest.approx(math.sqrt(pooled / 3))


def test_without_a_second_run_the_noise_is_not_known_and_the_best_wins() -> None:
    finalists = [Finalist(0, (0.8,), parameters=1), Finalist(1, (0.81,), parameters=2)]
    assert standard_error(finalists) == 0.0
    assert winner_of(finalists) == finalists[1]
    assert standard_error([]) == 0.0
    assert winner_of([]) is None


#: Within one standard error of each other, 0.07 and more.
BEST, GOOD, FAR = (0.8, 0.9), (0.78, 0.9), (0.6, 0.62)


@pytest.mark.parametrize(("finalists", "winner"), [
    ([Finalist(3, BEST, 2000, 4), Finalist(7, GOOD, 1000, 0)], 7),
    ([Finalist(3, BEST, 1000, 1), Finalist(7, GOOD, 1000, 2)], 7),
    ([Finalist(3, GOOD, 1000, 1), Finalist(7, BEST, 1000, 1)], 3),
    ([Finalist(3, BEST, 1000, 1), Finalist(7, GOOD, 2000, 4)], 3),
    ([Finalist(3, BEST, 2000, 0), Finalist(7, FAR, 1000, 4)], 3),
    ([Finalist(3, BEST, 2000, 0), Finalist(5, GOOD, 1000, 0), Finalist(7, FAR, 10, 4)], 5),
])  # fmt: skip
def test_the_cheapest_of_the_equal_wins(finalists: list[Finalist], winner: int) -> None:
    for order in itertools.permutations(finalists):
        found = winner_of(order)
        assert found is not None
        assert found.id == winner


def test_the_leader_is_the_elder_of_equals() -> None:
    finalists = [Finalist(2, (0.5,)), Finalist(1, (0.5,)), Finalist(0, (0.4,))]
    assert leader_of(finalists) == finalists[1]


def population_of(finals: dict[int, tuple[str, int, tuple[float, ...]]], won: int) -> Population:
    """Return a population of finalists: their models, frozen groups and final scores, by id."""
    records = []
    for number, (id, (model, frozen, scores)) in enumerate(finals.items()):
        genome = Genome(lr=0.1 * (id + 1))
        recipe = {"model": model, "freeze_depth": frozen}
        birth = Individual(id, 0, (), "default" if id == 0 else "sample", genome, id)
        trial = Trial(id, genome, id, number=number)
        # The machine was as slow as can be where the genome is cheap.
        outcome = Outcome.of_fitness(0.7, seconds=1e6 if model == "small" else 1.0)
        records.append(Record(trial, outcome, birth, recipe, 1.0))
        for repeat, score in enumerate(scores):
            run = Trial(id, genome, 9, Stage.FINAL, repeat)
            good = Outcome.of_fitness(score) if score else Outcome(Status.LOST)
            records.append(Record(run, good, None, recipe, 9.0))
    header = Header("run", "now", 0, {}, {}, DATA, backbones=BACKBONES)
    verdicts = [Verdict(won, 0, 0, 0, 30, 10, 5, 5)]
    # In whatever order they ended.
    return Population.of(header, {r.trial.key: r for r in reversed(records)}, verdicts)


def test_a_tie_is_decided_by_what_the_file_says_and_the_report_says_so() -> None:
    finals = {0: ("large", 0, FAR), 1: ("large", 4, BEST), 2: ("small", 0, GOOD)}
    population = population_of(finals, won=2)
    assert best_run(population) == (Stage.FINAL, 2, 1)
    assert best_run(population, [0]) == (Stage.FINAL, 0, 1)
    assert best_run(population, []) is None
    report = report_of(population)
    assert report is not None
    assert report.tie is not None
    sentence = tie_sentence(report.tie)
    assert sentence.startswith("The final runs do not tell #2 from #1, whose mean is 1.00 points")
    assert sentence.endswith("#2 won, for it has 1,000 parameters, not 5,000.")
    assert metrics_of(report)["tie"]["leader"] == 1


@pytest.mark.parametrize(("second", "words"), [
    (("small", 3, GOOD), "it freezes 3 layer groups, not 2."),
    (("small", 2, GOOD), "it is the elder."),
])  # fmt: skip
def test_why_it_won_is_said(second: tuple[str, int, tuple[float, ...]], words: str) -> None:
    population = population_of({0: ("small", 0, FAR), 1: second, 2: ("small", 2, BEST)}, won=1)
    report = report_of(population)
    assert report is not None
    assert report.tie is not None
    assert tie_sentence(report.tie).endswith(f"#1 won, for {words}")


def test_nothing_is_said_where_the_best_mean_won() -> None:
    finals = {0: ("small", 0, FAR), 1: ("small", 2, BEST), 2: ("large", 2, GOOD)}
    report = report_of(population_of(finals, won=1))
    assert report is not None
    assert report.tie is None
    assert "tie" not in metrics_of(report)


def test_runs_that_failed_count_for_nothing() -> None:
    population = population_of({0: ("small", 0, (0.0, 0.0)), 1: ("large", 0, (0.0, 0.9))}, won=1)
    assert [one.scores for one in population.finalists] == [(0.9,)]
    assert best_run(population) == (Stage.FINAL, 1, 1)
