"""How the rungs agree is shown to the user, wherever several rungs were audited."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from evoft.analysis.report import report_of
from evoft.analysis.report_data import metrics_of
from evoft.analysis.rungs import agreement_lines, neighbours_of
from evoft.audit import EVERY, is_audited
from evoft.cli.progress import end_text
from evoft.cli.show import show_command
from evoft.genome import Genome
from evoft.header import Header
from evoft.individual import Individual
from evoft.lineage import Population, Record, Store
from evoft.outcome import Outcome
from evoft.settings import SearchSettings, Settings, TrainingSettings
from evoft.trial import Stage, Trial
from evoft.verdict import Verdict

SEED = 3
DATA = {"name": "pets", "splits": {"train": 48, "val": 100, "test": 50}}
Scores = Callable[[int], tuple[float, ...]]


def records_of(births: int, scores: Scores) -> list[Record]:
    """Return trials of a search in which the audited climb, and nobody else."""
    records = []
    for id in range(births):
        genome = Genome(lr=0.1 * (id + 1))
        birth = Individual(id, 0, (), "sample", genome, id)
        climbed = scores(id)[: None if is_audited(SEED, id) else 1]
        for rung, score in enumerate(climbed):
            trial = Trial(id, genome, id, rung=rung, epochs=[1.0, 3.0, None][rung],
                          number=len(records))  # fmt: skip
            outcome = Outcome.of_fitness(score)
            records.append(Record(trial, outcome, birth, dict(genome), 1.0))
    return records


def header_of(strategy: str, epochs: int = 9) -> Header:
    settings = Settings(
        search=SearchSettings(strategy=strategy), training=TrainingSettings(epochs=epochs)
    )
    facts = [{"model": "embedded"}]
    return Header("run", "now", SEED, settings.to_dict(), {}, DATA, backbones=facts)


def population_of(births: int, scores: Scores, strategy: str = "evolution") -> Population:
    records = records_of(births, scores)
    return Population.of(header_of(strategy), {r.trial.key: r for r in records})


def test_each_pair_of_rungs_has_its_line() -> None:
    lines = agreement_lines(neighbours_of(population_of(10 * EVERY, lambda id: (id, id + 1.0))))
    assert lines == [
        "rungs        1 and 3 epochs: rank correlation 1.00 on 10 individuals drawn at random",
        "             3 and 9 epochs: too few to tell how alike they rank (0 individuals drawn at "
        "random)",
    ]


def test_a_lowest_rung_that_says_nothing_is_given_up_and_it_is_said() -> None:
    lowest, next = neighbours_of(population_of(10 * EVERY, lambda id: (id, -id, id)))
    assert (lowest.given_up, next.given_up) == (True, False)
    first, second = agreement_lines((lowest, next))
    assert first.endswith("correlation -1.00 on 10 individuals drawn at random, "
                          "so judging after 1 epoch is given up")  # fmt: skip
    assert second.endswith(
        "3 and 9 epochs: rank correlation -1.00 on 10 individuals drawn at random"
    )


@pytest.mark.parametrize(("births", "words"), [
    (EVERY, "too few to tell how alike they rank (1 individual drawn at random)"),
    (4 * EVERY, "too few to tell how alike they rank (4 individuals drawn at random)"),
    (8 * EVERY, "nothing to rank, for the scores are all equal (8 individuals drawn at random)"),
])  # fmt: skip
def test_no_number_is_given_where_it_would_mean_nothing(births: int, words: str) -> None:
    assert words in agreement_lines(neighbours_of(population_of(births, lambda id: (0.5, 0.5))))[0]


def test_a_number_on_a_few_is_given_as_what_it_is() -> None:
    lowest, _ = neighbours_of(population_of(5 * EVERY, lambda id: (id, -id)))
    assert not lowest.given_up
    assert agreement_lines((lowest,))[0].endswith(
        "correlation -1.00 on 5 individuals drawn at random, too few to be sure of it"
    )


@pytest.mark.parametrize(("strategy", "epochs"), [("asha", 9), ("ga", 9), ("evolution", 1)])
def test_where_nobody_was_audited_nothing_is_said(strategy: str, epochs: int) -> None:
    records = records_of(10 * EVERY, lambda id: (id,))
    header = header_of(strategy, epochs)
    assert neighbours_of(Population.of(header, {r.trial.key: r for r in records})) == ()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.h5"
    with Store.create(path, header_of("evolution")) as store:
        for record in records_of(8 * EVERY, lambda id: (id / 100, id / 90)):
            store.append(record)
        for id in (0, 39):
            final = Trial(id, Genome(lr=0.1 * (id + 1)), 9, Stage.FINAL)
            store.append(Record(final, Outcome.of_fitness(0.65), None, dict(final.genome), 9.0))
        store.append_verdict(Verdict(39, 0, 0, 0, 30, 10, 5, 5))
    return path


LINE = "rungs        1 and 3 epochs: rank correlation 1.00 on 8 individuals drawn at random"


def test_it_is_shown(file: Path) -> None:
    def shown(*arguments: str) -> str:
        done = CliRunner().invoke(show_command, [str(file), *arguments], catch_exceptions=False)
        assert done.exit_code == 0
        return done.output

    assert LINE in shown().splitlines()
    rows = json.loads(shown("--rungs", "--format", "json"))
    assert rows[0] == {"epochs": 1, "next_epochs": 3, "individuals": 8,
                       "correlation": pytest.approx(1.0), "given_up": False}  # fmt: skip
    assert rows[1]["correlation"] is None


def test_it_is_in_the_report(file: Path) -> None:
    population = Population.open(file)
    report = report_of(population)
    assert report is not None
    assert metrics_of(report)["rungs"][0]["individuals"] == 8
    search = SimpleNamespace(none_left=False)
    evolution = SimpleNamespace(population=population, search=search, ended=True)
    run = SimpleNamespace(evolution=evolution, plan=SimpleNamespace(file=file, settings=Settings()))
    assert LINE in end_text(run, file.with_suffix(".best")).splitlines()  # type: ignore[arg-type]
