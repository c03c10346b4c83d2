"""What is wrong whatever the backbone is told before a worker is started to look at one."""

import importlib.util
import os

import pytest

from evoft.errors import BackboneError, SettingsError, StorageError
from evoft.fine_tuning import starting
from evoft.search.genes import Float
from evoft.search.space import SearchSpace
from evoft.settings import SearchSettings, Settings, TrainingSettings


@pytest.fixture
def refused_early(monkeypatch, tmp_path):
    """``refused_early(error, words, ...)``: `start` refuses, and starts no worker to find out."""

    def no_workers(settings):
        pytest.fail("a worker was wanted")

    monkeypatch.setattr(starting, "Preparation", no_workers)

    def check(error, words, space=None, **settings):
        with pytest.raises(error, match=words):
            starting.start(Settings(**settings), space, tmp_path / "p.h5")
        assert list(tmp_path.iterdir()) == []

    return check


def test_values_that_no_backbone_takes(refused_early):
    refused_early(SettingsError, "`batch_size` must be >= 1, but is 0", fixed={"batch_size": 0})
    refused_early(SettingsError, "`sched` must be one of", fixed={"sched": "cosin"})
    refused_early(SettingsError, "the founder `mine`", founders={"mine": {"lr": 30.0}})


def test_genes_that_mean_nothing_and_bounds_that_cannot_be(refused_early):
    space = SearchSpace(learning_rate=Float(0.1, 0.2))
    refused_early(SettingsError, "`learning_rate` has no meaning", space)
    refused_early(SettingsError, "the gene `drop`", SearchSpace(drop=Float(0.0, 1.0)))


def test_weights_that_are_not_there(refused_early, tmp_path):
    training = TrainingSettings(checkpoint="nowhere.safetensors")
    refused_early(BackboneError, "no file of weights .*nowhere.safetensors", training=training)


def test_a_folder_without_a_model(refused_early, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = f"{tmp_path}/no/where"
    words = f"^local-dir:{folder} names no model, for there is no file {folder}/config.json: give"
    for given in ("no/where", folder):
        training = TrainingSettings(models=("embedded", f"local-dir:{given}"))
        refused_early(BackboneError, words, training=training)


def test_a_place_that_takes_no_population(refused_early, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    refused_early(StorageError, "cannot be written to, so no population can be made there")


def test_a_strategy_whose_library_is_not_installed(refused_early, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "optuna" else found(name)
    )
    refused_early(SettingsError, "pip install evoft", search=SearchSettings(strategy="bayes"))


def test_what_is_set_and_cannot_be_had_is_said_before_a_worker_is_started(
    monkeypatch, tmp_path, caplog
):
    def look(settings):
        raise _LookedAtError

    monkeypatch.setattr(starting, "Preparation", look)
    settings = Settings(search=SearchSettings(points=4), fixed={"warmup": 0.2})
    with pytest.raises(_LookedAtError):
        starting.start(settings, None, tmp_path / "p.h5")
    unheeded, shortened = caplog.messages
    assert "does not heed `points` (of grid)" in unheeded
    assert "becomes 0.075" in shortened


def test_a_founders_warmup_that_the_rungs_cut_short_is_said(monkeypatch, tmp_path, caplog):
    def look(settings):
        raise _LookedAtError

    monkeypatch.setattr(starting, "Preparation", look)
    founders = {"slow": {"warmup": 0.3}, "quick": {"warmup": 0.05}, "hot": {"lr": 0.05}}
    for search, said in (
        (
            SearchSettings(),
            [
                "`warmup` of the founder `slow` is 0.3 (1.5 of 5 epochs), but on the rungs of 1, 5 "
                "epochs becomes 0.075 (0.375 epochs), to end well before the first cool-down: "
                "--first-rung 4 leaves room for it"
            ],
        ),
        (SearchSettings(strategy="ga"), []),
    ):
        caplog.clear()
        with pytest.raises(_LookedAtError):
            starting.start(Settings(search=search, founders=founders), None, tmp_path / "p.h5")
        assert caplog.messages == said


class _LookedAtError(Exception):
    """A worker was asked to look at the backbone."""


def test_what_depends_on_the_backbone_is_left_to_a_worker(monkeypatch, tmp_path):
    def look(settings):
        raise _LookedAtError

    monkeypatch.setattr(starting, "Preparation", look)
    training = TrainingSettings(models=("resnet18x",))
    settings = Settings(training=training, fixed={"freeze_depth": 40, "drop_path": 0.1})
    with pytest.raises(_LookedAtError):
        starting.start(settings, None, tmp_path / "p.h5")
