"""What an accuracy is held against: always saying the largest class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from evoft.analysis.card import model_card, model_metrics
from evoft.analysis.largest_class import largest_class_of
from evoft.analysis.report import report_of
from evoft.analysis.sentences import result_sentences
from evoft.cli.main import group
from evoft.genome import Genome
from evoft.header import Header
from evoft.individual import Individual
from evoft.lineage import Population, Record, Store
from evoft.outcome import Outcome
from evoft.settings import Settings, TrainingSettings
from evoft.trial import Stage, Trial
from evoft.verdict import Verdict

COUNTED: dict[str, Any] = {"largest_class": {"train": 40, "val": 90, "test": 30}}
VERDICT = Verdict(0, 0, 0, 0, 30, 10, 5, 5)
BY_CLASS = Verdict(0, 0, 0, 0, 30, 10, 5, 5, by_class=((30, 0, 0, 0), (0, 10, 5, 5)))


def header(metric: str = "accuracy", counted: dict[str, Any] = COUNTED) -> Header:
    data = {
        "name": "pets", "splits": {"train": 48, "val": 100, "test": 50},
        "classes": ["cat", "dog", "eel"], "fingerprint": "f00d", **counted,
    }  # fmt: skip
    settings = Settings(training=TrainingSettings(metric=metric)).to_dict()
    return Header("run", "now", 0, settings, {}, data, backbones=({"model": "embedded"},))


def records() -> list[Record]:
    genome = Genome(lr=0.1)
    birth = Individual(0, 0, (), "default", genome, 0)
    trials = [Trial(0, genome, 0, number=0), Trial(0, genome, 9, Stage.FINAL, 0)]
    births = (birth, None)
    return [
        Record(trial, Outcome.of_fitness(0.91), one, {"lr": 0.1}, 1.0)
        for trial, one in zip(trials, births, strict=True)
    ]


def population(head: Header, verdict: Verdict | None = VERDICT) -> Population:
    verdicts = [] if verdict is None else [verdict]
    return Population.of(head, {r.trial.key: r for r in records()}, verdicts)


def test_it_is_the_share_of_the_largest_class_in_each_split() -> None:
    assert largest_class_of(population(header())) == {"val": 0.9, "test": 0.6}


def test_of_balanced_accuracy_every_class_is_as_good() -> None:
    for counted in (COUNTED, {}):
        of = largest_class_of(population(header("balanced_accuracy", counted)))
        assert of == {"val": pytest.approx(1 / 3), "test": pytest.approx(1 / 3)}


def test_it_is_said_beside_what_the_winner_has() -> None:
    told = population(header())
    report = report_of(told)
    assert report is not None
    assert result_sentences(report)[0] == (
        "Always saying the largest class is right on 60.0 % of the test images."
    )
    winner = (Stage.FINAL, 0, 0)
    assert result_sentences(report)[0] in model_card(told, winner)
    assert model_metrics(told, winner)["largest_class"] == {
        "validation_accuracy": 0.9, "test_accuracy": 0.6
    }  # fmt: skip
    told = population(header("balanced_accuracy"), BY_CLASS)
    assert "Always saying the largest class has a balanced accuracy of 33.3 %." in model_card(
        told, winner
    )
    assert model_metrics(told, winner)["largest_class"] == {
        "validation_balanced_accuracy": pytest.approx(1 / 3),
        "test_balanced_accuracy": pytest.approx(1 / 3),
    }


@pytest.mark.parametrize("again", [None, 0.8])
def test_it_is_said_of_the_validation_where_the_test_was_not_read(again: float | None) -> None:
    told, key = population(header(), None), (Stage.SEARCH, 0, 0)
    words = "Always saying the largest class is right on 90.0 % of the validation images."
    assert words in model_card(told, key, again)
    assert model_metrics(told, key, again)["largest_class"]["validation_accuracy"] == 0.9


def test_a_file_that_does_not_tell_is_read_without() -> None:
    told = population(header(counted={}))
    report = report_of(told)
    assert report is not None
    assert largest_class_of(told) == {}
    assert len(result_sentences(report)) == 1
    assert "largest class" not in model_card(told, (Stage.FINAL, 0, 0))
    assert "largest_class" not in model_metrics(told, (Stage.FINAL, 0, 0))


@pytest.mark.parametrize("judged", [False, True])
def test_show_says_it_while_the_run_goes_on_and_after(tmp_path: Path, judged: bool) -> None:
    with Store.create(tmp_path / "p.h5", header()) as store:
        for record in records():
            store.append(record)
        if judged:
            store.append_verdict(VERDICT)
    shown = CliRunner().invoke(group, ["show", str(tmp_path / "p.h5")]).output
    line = "best in the search: #0 with fitness 0.9100 (always saying the largest class: 0.9000)"
    assert line in shown.splitlines()
    assert ("right on 60.0 % of the test images." in shown) == judged
