"""What a run is prepared with: the devices, by what a first look tells of them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evoft.errors import DataError
from evoft.fine_tuning import preparation
from evoft.search.genes import Ordinal
from evoft.search.space import SearchSpace
from evoft.settings import RunSettings, Settings, TrainingSettings
from evoft.training.data import Preprocessing
from evoft.training.facts import BackboneFacts, Probe, Probes, Survey
from evoft.trial import Trial

SPACE = SearchSpace(batch_size=Ordinal([8, 16]))


class TwoGpus:
    """Stands for workers on a machine with two GPUs; a trial takes 1 MiB of one."""

    def __init__(self, target, **options):
        self.asked = []

    def retarget(self, target, devices=None):
        self.target = target

    def call(self, method, *args):
        self.asked.append((method, *args))
        return Survey(
            tuple(map(_facts, self.target.settings.models)),
            gpus=("one", "two"),
            probes=tuple(map(_probes, self.target.settings.models)),
            memory=(20 * 2**20,) * 2,
            cores=64,
        )

    def close(self):
        pass


def _facts(model):
    crop = "squash" if model == "c" else "center"
    look = Preprocessing((16, 32), (0.5,) * 3, (0.5,) * 3, "bicubic", 1.0, crop)
    return BackboneFacts(model, 4, 10, look, True, True, "abc")


def _probes(model):
    steps = [Probe(d, b, 0.01, 2**20) for d in (0, 4) for b in (8, 16)]
    return Probes(model, tuple(steps), 1e-3)


@pytest.mark.parametrize(("devices", "gpus"), [("1", (1,)), ("auto", None)])
def test_the_gpus_that_were_asked_for_are_looked_at(monkeypatch, devices, gpus):
    monkeypatch.setattr(preparation, "LocalWorkers", TwoGpus)
    settings = Settings(run=RunSettings(devices=devices))
    with preparation.Preparation(settings) as prepared:
        plan = prepared.plan(Path("unused.h5"), SPACE)
        assert prepared.workers.asked == [("survey", 16, gpus)]
        assert set(plan.devices) == ({"1"} if gpus else {"0", "1"})


@pytest.mark.parametrize(("models", "copies"), [(("a",), 1), (("a", "b"), 1), (("a", "c"), 2)])
def test_a_worker_of_a_gpu_needs_room_for_the_images_as_backbones_want_them(
    monkeypatch, models, copies
):
    monkeypatch.setattr(preparation, "LocalWorkers", TwoGpus)
    run, training = RunSettings(devices="1"), TrainingSettings(models=models)
    with preparation.Preparation(Settings(run=run, training=training)) as prepared:
        plan = prepared.plan(Path("unused.h5"), SPACE)
    each = 2**20 + copies * len(plan.images) * 16 * 32 * 3
    assert len(plan.devices) == int(0.8 * 20 * 2**20 / each)
    # What a trial was seen to take has the images in it.
    plan.forecast._costs._beyond = 2**20 + copies * len(plan.images) * 16 * 32 * 3
    assert len(plan.place()[0]) == int(0.8 * 20 * 2**20 / (each + 2**20))


def test_how_far_the_first_pass_over_the_images_is_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(preparation, "LocalWorkers", TwoGpus)
    for i in range(40):
        folder = tmp_path / "cat" if i % 2 else tmp_path / "dog"
        folder.mkdir(exist_ok=True)
        Image.fromarray(np.full((4, 4, 3), i, np.uint8)).save(folder / f"{i}.png")
    told = []
    training = TrainingSettings(data=str(tmp_path))
    with preparation.Preparation(Settings(training=training)) as prepared:
        prepared.plan(Path("unused.h5"), SPACE, progress=lambda *words: told.append(words))
    assert told == [("reading images", done, 40) for done in (16, 32, 40)]


class CheckedError(Exception):
    pass


@pytest.mark.parametrize(
    ("check", "wrong", "nothing"),
    [
        ("check_sizes", {"img_size": 24}, {"img_size": None}),
        ("check_names", {"models": ("embedded", "resnet18x")}, {"models": ("embedded",)}),
        ("check_arguments", {"model_kwargs": {"nosuch": 1}}, {"model_kwargs": {}}),
    ],
)
def test_backbones_are_checked_before_the_images_are_read_but_after_what_is_seen_at_once(
    monkeypatch, tmp_path, check, wrong, nothing
):
    class Workers(TwoGpus):
        def call(self, method, *args):
            raise CheckedError if method == check else AssertionError(method)

    monkeypatch.setattr(preparation, "LocalWorkers", Workers)
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for i in range(3):
            (tmp_path / name / f"{i}.png").write_text("no image")

    def plan(source, settings, new=True):
        training = TrainingSettings(data=str(source), **settings)
        with preparation.Preparation(Settings(training=training)) as prepared:
            prepared.plan(Path("unused.h5"), SPACE, new=new)

    with pytest.raises(CheckedError):
        plan(tmp_path, wrong)
    for settings, new in ((nothing, True), (wrong, False)):
        with pytest.raises(DataError, match="not an image"):
            plan(tmp_path, settings, new)
    with pytest.raises(DataError, match="does not exist"):
        plan(tmp_path / "nowhere", wrong)


def test_the_forecast_knows_how_many_trials_share_a_gpu(monkeypatch):
    monkeypatch.setattr(preparation, "LocalWorkers", TwoGpus)
    seconds = []
    for workers in (2, 4, None):
        run = RunSettings(devices="auto", workers=workers)
        with preparation.Preparation(Settings(run=run)) as prepared:
            plan = prepared.plan(Path("unused.h5"), SPACE)
            seconds.append(plan.forecast.cost(Trial(0, SPACE.default(), 0)))
    # Two GPUs, and four trials asked for at a time: no more than two are on each.
    assert seconds[0] < seconds[1] == seconds[2]
