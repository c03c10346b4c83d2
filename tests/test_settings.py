"""Everything that a user can set, and the one sentence for everything that is wrong with it."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from evoft.errors import SettingsError
from evoft.settings import (
    RunSettings,
    SearchSettings,
    Settings,
    TrainingSettings,
    record_of,
)


def refused(make: Any) -> str:
    with pytest.raises(SettingsError) as error:
        make()
    return str(error.value)


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (TrainingSettings, {"crop_pct": 0}, "`crop_pct` must be in (0, 1], but is 0"),
        (TrainingSettings, {"crop_pct": 1.1}, "`crop_pct` must be in (0, 1], but is 1.1"),
        (TrainingSettings, {"crop_pct": "all"}, "`crop_pct` must be a number, but is 'all'"),
        (
            TrainingSettings,
            {"interpolation": "cubic"},
            "`interpolation` must be one of nearest, bilinear, bicubic, box, hamming, lanczos, but "
            "is 'cubic'",
        ),
        (
            TrainingSettings,
            {"metric": "f1"},
            "`metric` must be one of accuracy, balanced_accuracy, but is 'f1'",
        ),
        (SearchSettings, {"population_size": 1}, "`population_size` must be >= 2, but is 1"),
        (SearchSettings, {"population_size": 4.0}, "`population_size` must be a whole number, but"),
        (SearchSettings, {"generations": 0}, "`generations` must be >= 1, but is 0"),
        (SearchSettings, {"common_seed": 1}, "`common_seed` must be true or false, but is 1"),
        (SearchSettings, {"cxpb": 1.5}, "`cxpb` must be in [0, 1], but is 1.5"),
        (SearchSettings, {"mutpb": -0.1}, "`mutpb` must be in [0, 1], but is -0.1"),
        (SearchSettings, {"indpb": "much"}, "`indpb` must be a number, but is 'much'"),
        (SearchSettings, {"sigma": 0}, "`sigma` must be > 0, but is 0"),
        (SearchSettings, {"eta": float("inf")}, "`eta` must be > 0, but is inf"),
        (SearchSettings, {"sigma": float("inf")}, "but is inf: give a finite number"),
        (SearchSettings, {"tournsize": 0}, "`tournsize` must be >= 1, but is 0"),
        (SearchSettings, {"finalists": -1}, "`finalists` must be >= 0, but is -1"),
        (SearchSettings, {"repeats": 0}, "`repeats` must be >= 1, but is 0"),
        (
            SearchSettings,
            {"elite": 12},
            "`elite < population_size` must hold, but got (elite=12, population_size=12)",
        ),
        (
            SearchSettings,
            {"lookahead": 4, "population_size": 4},
            "`lookahead < population_size` must hold, but got (lookahead=4, population_size=4)",
        ),
        (TrainingSettings, {"models": ()}, "`model` must name at least one timm model, but names"),
        (TrainingSettings, {"models": ("a", "a")}, "`model` names a model twice: a, a"),
        (
            TrainingSettings,
            {"models": ("a", "b"), "checkpoint": "w.pt"},
            "`checkpoint` is one backbone's weights, but `model` names several: give one",
        ),
        (TrainingSettings, {"data": ""}, "`data` must be a path or `digits`, but is empty"),
        (TrainingSettings, {"mean": (0.5,)}, "`mean` must be three numbers, but is (0.5,)"),
        (TrainingSettings, {"std": ("a", 1, 2)}, "`std` must be three numbers, but is ('a', 1, 2)"),
        (
            TrainingSettings,
            {"std": (0, 1, 1)},
            "`std` must be > 0 in each channel, but is (0, 1, 1)",
        ),
        (TrainingSettings, {"models": "a"}, "`models` must be a list of names, but is 'a'"),
        (TrainingSettings, {"models": (1,)}, "`models` must be a list of names, but holds 1"),
        (TrainingSettings, {"amp": 1}, "`amp` must be true or false, but is 1"),
        (TrainingSettings, {"epochs": 0}, "`epochs` must be >= 1, but is 0"),
        (TrainingSettings, {"epochs": 2.5}, "`epochs` must be a whole number, but is 2.5"),
        (TrainingSettings, {"img_size": 0}, "`img_size` must be >= 1, but is 0"),
        (TrainingSettings, {"cache_size": -1}, "`cache_size` must be >= 0, but is -1"),
        (TrainingSettings, {"cache_size": 0.5}, "`cache_size` must be a whole number, but is 0.5"),
        (TrainingSettings, {"cache_size": True}, "`cache_size` must be a number, but is True"),
        (TrainingSettings, {"patience": -1}, "`patience` must be >= 0, but is -1"),
        (TrainingSettings, {"views": -1}, "`views` must be >= 0, but is -1"),
        (TrainingSettings, {"views": 2.5}, "`views` must be a whole number, but is 2.5"),
        (TrainingSettings, {"val_share": 1.0}, "`val_share` must be in (0, 1), but is 1.0"),
        (
            TrainingSettings,
            {"val_share": 0.5, "test_share": 0.5},
            "`val_share + test_share < 1` must hold, but got (val_share=0.5, test_share=0.5)",
        ),
        (RunSettings, {"workers": 0}, "`workers` must be >= 1, but is 0"),
        (RunSettings, {"workers_per_device": 0}, "`workers_per_device` must be >= 1, but is 0"),
        (RunSettings, {"workers": 1.5}, "`workers` must be a whole number, but is 1.5"),
        (RunSettings, {"budget": 0.0}, "`budget` must be > 0, but is 0.0"),
        (RunSettings, {"trial_timeout": -1}, "`trial_timeout` must be > 0, but is -1"),
        (RunSettings, {"stall_timeout": 0}, "`stall_timeout` must be > 0, but is 0"),
        (RunSettings, {"devices": "gpu"}, "`devices` must be auto, cpu or GPU numbers as in 0,1"),
        (Settings, {"seed": 1.0}, "`seed` must be a whole number, but is 1.0"),
        (Settings, {"seed": None}, "`seed` must be a whole number, but is None"),
        (Settings, {"founders": [1]}, "`founders` must be a table, but is [1]"),
        (Settings, {"founders": {"a": 1}}, "`founders.a` must be a table, but is 1"),
        (
            Settings,
            {"founders": {"sample": {}}},
            "a founder cannot be named 'sample': choose another",
        ),
    ],
)
def test_what_is_wrong_is_told(kind: Any, values: dict[str, Any], message: str) -> None:
    assert message in refused(lambda: kind(**values))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"serch": {}}, "the configuration has no `serch`; it has fixed, founders, run, search, "),
        ({"search": {"pop": 3}}, "[search] has no `pop`; it has common_seed, cxpb, elite, "),
        ({"training": []}, "`training` must be a table, but is []"),
        ({"fixed": 3}, "`fixed` must be a table, but is 3"),
        ({"founders": 3}, "`founders` must be a table, but is 3"),
        ({"seed": "1"}, "`seed` must be a whole number, but is '1'"),
        ({"seed": True}, "`seed` must be a whole number, but is True"),
        ({"run": {"budget": "later"}}, "a length of time is written as 90s, 30m, 1h30m or 2d, not"),
        ({"run": {"devices": 3}}, "`devices` must be a text, but is 3"),
    ],
)
def test_what_is_wrong_in_a_configuration_is_told(data: dict[str, Any], message: str) -> None:
    assert message in refused(lambda: Settings.from_dict(data))


def test_settings_are_read_back_from_json() -> None:
    settings = Settings(
        seed=2**70,
        search=SearchSettings(population_size=7, elite=0, generations=None),
        training=TrainingSettings(models=("a", "b"), mean=(0.1, 0.2, 0.3)),
        run=RunSettings(workers=3, devices="0,1", budget=1.5),
        fixed={"opt": "sgd"},
        founders={"mine": {"lr": 0.1}},
    )
    assert Settings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
    ahead = replace(settings, search=replace(settings.search, lookahead=1))
    assert Settings.of_file(json.loads(json.dumps(settings.to_file()))) == ahead
    assert Settings.of_file(ahead.to_file()) == ahead
    assert Settings.from_dict({}) == Settings()


def test_a_file_of_before_says_nothing_of_lookahead_and_means_half() -> None:
    for strategy in ("evolution", "ga"):
        search = SearchSettings(strategy=strategy, population_size=9)
        before = Settings(search=search).to_dict()
        assert before["search"]["lookahead"] is None
        assert Settings.of_file(before).search.births_ahead == 4
    assert Settings.of_file({}).search.births_ahead == 6
    assert Settings.of_file({"search": {"strategy": "evolution"}}).search.births_ahead == 6


def test_half_or_a_quarter_of_the_population_where_nothing_is_said() -> None:
    assert [SearchSettings(population_size=n).elite_places for n in (2, 3, 12)] == [1, 1, 6]
    for strategy, ahead in (("evolution", [1, 1, 3]), ("ga", [1, 1, 6]), ("asha", [1, 1, 6])):
        of = partial(SearchSettings, strategy=strategy)
        assert [of(population_size=n).births_ahead for n in (2, 3, 12)] == ahead
    assert SearchSettings(elite=0, lookahead=0).elite_places == 0
    assert SearchSettings(elite=0, lookahead=0).births_ahead == 0
    assert SearchSettings(population_size=5, generations=3).births == 15
    assert SearchSettings(generations=None).births is None


def test_workers_per_device_may_be_said_to_be_automatic() -> None:
    assert Settings.from_dict({"run": {"workers_per_device": "auto"}}) == Settings()
    assert Settings.from_dict({"run": {"workers_per_device": 2}}).run.workers_per_device == 2
    with pytest.raises(SettingsError, match="`workers_per_device` must be a number"):
        Settings.from_dict({"run": {"workers_per_device": "many"}})


def test_files_made_before_there_were_views_go_on_without() -> None:
    old = Settings(training=TrainingSettings(epochs=3)).to_dict()
    del old["training"]["views"]
    assert Settings.of_file(old).training == TrainingSettings(epochs=3, views=0)


def test_numpys_numbers_become_plain_ones() -> None:
    """They come from whoever loops over ``np.arange(5)`` or reads settings from a data frame."""
    search = SearchSettings(
        population_size=np.int64(8), generations=np.uint8(3), epochs=np.float32(9)
    )
    assert search == SearchSettings(population_size=8, generations=3, epochs=9.0)
    run = RunSettings(workers=np.int64(2), budget=np.int64(60), trial_timeout=np.float64(1))
    assert run == RunSettings(workers=2, budget=60, trial_timeout=1.0)
    settings = Settings(seed=np.int64(3), search=search, run=run)
    assert settings.to_dict() == json.loads(json.dumps(settings.to_dict()), object_hook=tuples)
    for wrong in (np.float64(3.5), np.bool_(True)):
        with pytest.raises(SettingsError, match="`seed` must be a whole number"):
            Settings(seed=wrong)


def tuples(table: dict[str, Any]) -> dict[str, Any]:
    """Have tuples again where JSON has lists."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in table.items()}


def test_times_and_sizes_may_be_written_as_people_write_them() -> None:
    run = {"budget": "1h30m", "trial_timeout": "90s", "stall_timeout": "2m", "max_disk": "4G"}
    assert record_of(RunSettings, run, "run") == RunSettings(
        budget=5400, trial_timeout=90, stall_timeout=120, max_disk=2**32
    )
    cache = record_of(TrainingSettings, {"cache_size": "512M"}, "training")
    assert cache == TrainingSettings(cache_size=2**29)
