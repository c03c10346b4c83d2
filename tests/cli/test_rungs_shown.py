"""What is printed and written of individuals on rungs; without rungs nothing of it is."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import evoft
from evoft.analysis.card import model_card, model_metrics
from evoft.analysis.report import report_of
from evoft.analysis.report_data import metrics_of
from evoft.analysis.sentences import optimism_sentence
from evoft.cli.lineage import lineage_command
from evoft.cli.main import group
from evoft.cli.show import facts_of, show_command
from evoft.header import Header
from evoft.lineage import Population, Record, Store
from evoft.outcome import CurvePoint, Outcome, Status
from evoft.settings import SearchSettings, Settings, TrainingSettings
from evoft.trial import Stage, Trial
from evoft.verdict import Verdict

DATA = {
    "name": "pets",
    "classes": ["cat", "dog"],
    "splits": {"train": 48, "val": 100, "test": 50},
    "fingerprint": "f00d",
}
#: Individual, rung, number, fitness; 15 epochs are a full training.
TRIALS = [(0, 0, 0, 0.5), (1, 0, 1, 0.7), (1, 1, 2, 0.6), (2, 0, 3, 0.55), (1, 2, 4, 0.8)]
EPOCHS = [1.0, 4.0, None]


def search_record(id: int, rung: int, number: int, fitness: float, climbing: bool) -> Record:
    genome = evoft.Genome(lr=0.1 * (id + 1))
    parents = (1,) if id == 2 else ()
    birth = evoft.Individual(id, 0, parents, "mutation", genome, id, step=0.25)
    epochs = EPOCHS[rung] if climbing else None
    trial = Trial(id, genome, id, rung=rung, epochs=epochs, number=number)
    curve = tuple(CurvePoint(float(e + 1), {"val_accuracy": fitness}) for e in range(rung + 1))
    return Record(
        trial, Outcome(Status.OK, fitness, curve=curve, seconds=2.0), birth, dict(genome), number
    )


def population_at(path: Path, climbing: bool, keep: int = 5) -> Path:
    settings = Settings(
        search=SearchSettings(population_size=2), training=TrainingSettings(epochs=15)
    )
    header = Header("run", "now", 0, settings.to_dict(), {}, DATA)
    with Store.create(path, header) as store:
        for id, rung, number, fitness in TRIALS[:keep]:
            if climbing or rung == 0:
                store.append(search_record(id, rung, number, fitness, climbing))
        for id in (0, 1):
            genome = evoft.Genome(lr=0.1 * (id + 1))
            final = Trial(id, genome, 9, Stage.FINAL)
            store.append(Record(final, Outcome.of_fitness(0.65), None, dict(genome), 9.0))
        store.append_verdict(Verdict(1, 0, 0, 0, 30, 10, 5, 5))
    return path


@pytest.fixture
def climbed(tmp_path: Path) -> Path:
    return population_at(tmp_path / "climbed.h5", climbing=True)


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    return population_at(tmp_path / "flat.h5", climbing=False)


@pytest.fixture
def fallen(tmp_path: Path) -> Path:
    """Nobody is left of whom the latest trial ended well; one did on the lowest rung."""
    path = tmp_path / "fallen.h5"
    bad = Outcome(Status.DIVERGED, reason="the loss was not finite in epoch 2")
    with Store.create(path, Header("run", "now", 0, Settings().to_dict(), {}, DATA)) as store:
        store.append(replace(search_record(0, 0, 0, 0.5, True), outcome=bad))
        store.append(search_record(1, 0, 1, 0.7, True))
        store.append(replace(search_record(1, 1, 2, 0.6, True), outcome=bad))
    return path


def shown(command: object, *arguments: object) -> str:
    done = CliRunner().invoke(command, [*map(str, arguments)], catch_exceptions=False)  # type: ignore[arg-type]
    assert done.exit_code == 0
    return done.output


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_each_individual_is_shown_with_its_rung(climbed: Path) -> None:
    listed = json.loads(shown(show_command, climbed, "--format", "json"))
    assert [(row["id"], row["rung"], row["epochs"], row["fitness"]) for row in listed] == [
        (0, 0, 1.0, 0.5), (1, 2, 15.0, 0.8), (2, 0, 1.0, 0.55)
    ]  # fmt: skip
    table = rows(shown(show_command, climbed, "--format", "csv"))
    assert [(row["rung"], row["epochs"]) for row in table] == [
        ("0", "1.0"), ("2", "15.0"), ("0", "1.0")
    ]  # fmt: skip
    text = shown(show_command, climbed)
    assert text.startswith("3 individuals in 5 trials, ")
    assert "rung  epochs" in text


def test_the_epochs_that_it_was_trained_for_are_not_hidden_by_those_of_its_recipe() -> None:
    row = {"id": 2, "rung": 0, "epochs": 1.0, "fitness": 0.5}
    told = facts_of(row, {"epochs": 9, "lr": 0.1}).splitlines()
    assert [line.split() for line in told] == [
        ["id", "2"], ["rung", "0"], ["epochs", "1", "of", "9"], ["fitness", "0.5"], ["lr", "0.1"]
    ]  # fmt: skip
    assert "epochs   9\n" in facts_of(row | {"epochs": 9.0}, {"epochs": 9, "lr": 0.1})
    # A gene of one's own may be called as what else is told.
    told = facts_of(row, {"fitness": 7}).splitlines()
    assert [line.split()[1] for line in told if line.startswith("fitness")] == ["0.5", "7"]


def test_an_individual_is_shown_with_its_trials(climbed: Path) -> None:
    whole = json.loads(shown(show_command, climbed, 1, "--format", "json"))
    assert [(t["rung"], t["epochs"], t["number"], t["fitness"]) for t in whole["trials"]] == [
        (0, 1.0, 1, 0.7), (1, 4.0, 2, 0.6), (2, 15.0, 4, 0.8)
    ]  # fmt: skip
    assert (whole["rung"], whole["step"]) == (2, 0.25)
    curve = [(point["rung"], point["epoch"]) for point in whole["curve"]]
    assert curve == [(0, 1.0), (1, 1.0), (1, 2.0), (2, 1.0), (2, 2.0), (2, 3.0)]
    assert "Its trials, one a rung:" in shown(show_command, climbed, 1)
    table = rows(shown(show_command, climbed, "--curves", "--format", "csv"))
    mine = [(row["rung"], float(row["epoch"])) for row in table if row["individual"] == "1"]
    assert mine[:6] == [(str(rung), epoch) for rung, epoch in curve]
    assert {row["individual"] for row in table} == {"0", "1", "2"}
    table = rows(shown(show_command, climbed, 1, "--format", "csv"))
    assert [row["rung"] for row in table] == ["0", "1", "1", "2", "2", "2"]


def test_generations_count_who_was_continued(climbed: Path, flat: Path) -> None:
    for path, continued in ((climbed, True), (flat, False)):
        listed = json.loads(shown(show_command, path, "--generations", "--format", "json"))
        assert all(("continued" in row) is continued for row in listed)


def test_the_ancestry_compares_on_a_common_rung(climbed: Path) -> None:
    steps = json.loads(shown(lineage_command, climbed, 2, "--format", "json"))
    assert [(step["id"], step["rung"]) for step in steps] == [(1, 2), (2, 0)]
    assert steps[1]["gain"] == pytest.approx(0.55 - 0.7)


def test_without_rungs_nothing_says_so(flat: Path) -> None:
    listed = json.loads(shown(show_command, flat, "--format", "json"))
    assert list(listed[0]) == ["id", "generation", "operator", "parents", "status", "fitness",
                               "seconds", "peak_memory", "gene.lr"]  # fmt: skip
    whole = json.loads(shown(show_command, flat, 1, "--format", "json"))
    assert not {"rung", "epochs", "step", "trials"} & set(whole)
    assert list(whole["curve"][0]) == ["epoch", "val_accuracy"]
    steps = json.loads(shown(lineage_command, flat, 2, "--format", "json"))
    assert "rung" not in steps[0]
    for arguments in ((), (1,), ("--generations",)):
        assert "rung" not in shown(show_command, flat, *arguments)
    assert shown(show_command, flat).startswith("3 individuals, ")


def test_the_report_says_after_how_many_epochs_the_search_judged(tmp_path: Path) -> None:
    population = Population.open(population_at(tmp_path / "a.h5", climbing=True, keep=4))
    report = report_of(population)
    assert report is not None
    assert (report.epochs, report.optimism) == (4.0, pytest.approx(-0.05))
    assert optimism_sentence(report).startswith("In the search, after 4 epochs, it looked 5.0 ")
    assert optimism_sentence(replace(report, epochs=1.0)).startswith(
        "In the search, after 1 epoch,"
    )
    assert metrics_of(report)["search_epochs"] == 4.0
    key = (Stage.SEARCH, 2, 0)
    assert "Validation accuracy 55.0 % after 1 epoch in the search" in model_card(population, key)
    assert model_metrics(population, key)["epochs"] == 1.0


def test_of_a_full_training_the_report_says_nothing_new(climbed: Path, flat: Path) -> None:
    for path, fitness in ((climbed, 0.8), (flat, 0.7)):
        population = Population.open(path)
        report = report_of(population)
        assert report is not None
        assert report.optimism == pytest.approx(fitness - 0.65)
        assert optimism_sentence(report).startswith("In the search it looked ")
        assert "search_epochs" not in metrics_of(report)
        key = (Stage.FINAL, 1, 0)
        assert model_metrics(population, key)["repeat"] == 0
        assert "epochs" not in model_metrics(population, key)


def test_where_the_one_that_ended_well_fell_on_a_higher_rung_that_is_said(fallen: Path) -> None:
    told = (
        "individual 1 had 0.7000 on a lower rung, then diverged: the loss was not finite in epoch 2"
    )
    assert f"\nbest in the search: none is left: {told}\n" in shown(show_command, fallen)
    left = f"nobody in {fallen} is left whose latest trial ended well ({told}): "
    for arguments, way_out in (
        (["pick", fallen], "nothing to pick; let the search go on"),
        (["export", fallen, "out"], "nothing to export; let the search go on"),
        (["lineage", fallen], "name an individual's ID"),
    ):
        done = CliRunner().invoke(group, [*map(str, arguments)])
        assert str(done.exception) == left + way_out
