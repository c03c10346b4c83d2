"""Probes: what a step takes at a few depths and batch sizes, on real models."""

import pytest
import torch

from evoft.peak import own_peak
from evoft.settings import TrainingSettings
from evoft.training import precision, probing
from evoft.training.backbone import build, preprocessing_of
from evoft.training.density import density_of
from evoft.training.freezing import layer_groups
from evoft.training.memory import available_memory
from evoft.training.precision import Precision
from evoft.training.probing import probe
from evoft.training.survey import Surveyor

CPU = torch.device("cpu")


def probed(model="embedded", largest=16, amp=True):
    settings = TrainingSettings(models=(model,))
    built = build(model, settings, 3, pretrained=False)
    look = preprocessing_of(built, settings)
    return probe(built, model, look, 3, largest=largest, device=CPU, amp=amp)


@pytest.mark.parametrize("model", ["embedded", "test_vit", "test_efficientnet"])
def test_three_depths_and_two_batch_sizes_are_probed(model):
    probes = probed(model)
    groups = len(layer_groups(build(model, TrainingSettings(), 3, pretrained=False)))
    assert {(p.depth, p.batch_size) for p in probes.steps} == {
        (depth, size) for depth in (0, groups // 2, groups) for size in (8, 16)
    }
    assert all(p.fits and p.seconds > 0 for p in probes.steps)
    # A process with torch in it has a good deal of its own.
    assert all(10 * 2**20 < p.memory < 2**36 for p in probes.steps)
    assert probes.val_seconds > 0
    assert probes.context == 0


@pytest.mark.parametrize(("largest", "sizes"), [(1, {1}), (8, {8}), (9, {8, 9})])
def test_no_batch_is_larger_than_recipes_have(largest, sizes):
    assert {p.batch_size for p in probed(largest=largest).steps} == sizes


def test_what_does_not_fit_is_an_answer(monkeypatch):
    real = probing.training_step

    def scarce(model, optimizer, images, *rest, **more):
        if len(images) > 8:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return real(model, optimizer, images, *rest, **more)

    monkeypatch.setattr(probing, "training_step", scarce)
    probes = probed()
    assert {p.batch_size for p in probes.steps if not p.fits} == {16}
    assert {p.batch_size for p in probes.steps if p.fits} == {8}


@pytest.mark.parametrize("amp", [False, True])
@pytest.mark.parametrize("dense", [False, True])
def test_steps_are_taken_in_the_precision_of_trials(monkeypatch, amp, dense):
    taken = set()
    real = probing.training_step

    def step(*arguments, precision, **more):
        taken.add(precision)
        return real(*arguments, precision=precision, **more)

    monkeypatch.setattr(probing, "training_step", step)
    monkeypatch.setattr(probing, "density_of", lambda *_: 1e3 if dense else 1.0)
    monkeypatch.setattr(precision, "_is_native", lambda: True)
    probed(amp=amp)
    assert taken == {Precision(torch.bfloat16, None) if amp and dense else None}


def test_memory_is_that_of_this_process_while_it_lasts():
    before = own_peak()
    block = torch.ones(64, 2**20)  # 256 MiB
    assert own_peak() - before > 200 * 2**20 or block.sum() < 0
    assert available_memory() > 2**20


def test_a_survey_probes_each_backbone():
    settings = TrainingSettings(models=("embedded", "test_resnet"), pretrained=False)
    survey = Surveyor(settings, 3).survey(largest=4)
    assert [facts.model for facts in survey.backbones] == ["embedded", "test_resnet"]
    assert [probes.model for probes in survey.probes] == ["embedded", "test_resnet"]
    assert all(probes.build_seconds > 0 for probes in survey.probes)
    for facts in survey.backbones:
        built = build(facts.model, settings, 3, pretrained=False)
        assert facts.density == density_of(built, facts.preprocessing.img_size) > 0
    assert survey.cores >= 1
    assert len(survey.memory) == max(1, len(survey.gpus))
