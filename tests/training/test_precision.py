"""Which type layers compute in: by the device, by the backbone, by what is set."""

from dataclasses import replace

import pytest
import torch

from evoft.outcome import Status
from evoft.settings import TrainingSettings
from evoft.training import precision
from evoft.training.paused_folder import PausedFolder
from evoft.training.precision import DENSE, Precision, precision_of
from evoft.trial import Trial

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def native(monkeypatch):
    """``native(has)``: whether the CPU has products of bfloat16."""

    def told(has):
        monkeypatch.setattr(precision, "_is_native", lambda: has)

    return told


@pytest.mark.parametrize(("major", "dtype"), [(7, torch.float16), (8, torch.bfloat16)])
def test_a_gpu_that_only_emulates_bfloat16_trains_in_scaled_float16(gpu_of, major, dtype):
    gpu_of(major)
    found = Precision.of(GPU, density=0.0)
    assert found.dtype == dtype
    assert (found.scaler is not None) == (dtype == torch.float16)
    assert found.scaler is None or found.scaler.is_enabled()


@pytest.mark.parametrize("has", [False, True])
@pytest.mark.parametrize("density", [0.0, DENSE - 1, DENSE, 1000.0])
def test_a_cpu_that_has_bfloat16_uses_it_for_dense_backbones(native, has, density):
    native(has)
    wanted = Precision(torch.bfloat16, None) if has and density >= DENSE else None
    assert Precision.of(CPU, density) == wanted


@pytest.mark.parametrize(
    ("capabilities", "has"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, True),
        ({"avx512_bf16": False, "amx_bf16": True}, True),
        ({"avx512_bf16": False, "amx_bf16": False, "avx512_f": True}, False),
        ({}, False),
        (None, False),  # an older torch, which does not say
    ],
)
def test_a_cpu_has_what_torch_says(monkeypatch, capabilities, has):
    if capabilities is None:
        monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    else:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert precision._is_native.__wrapped__() is has


def test_a_torch_without_the_kernels_has_none(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True}, raising=False)
    monkeypatch.setattr(torch._C, "_has_mkldnn", False)
    assert precision._is_native.__wrapped__() is False


@pytest.fixture
def dense(make_tuner, tmp_path):
    """``dense(amp, density)``: a tuner whose backbone is taken to be as dense as is said."""

    def made(amp, density):
        tuner = make_tuner(TrainingSettings(amp=amp), tmp_path / f"{amp}-{density}")
        facts = {"embedded": replace(tuner.express.facts["embedded"], density=density)}
        express = replace(tuner.express, facts=facts)
        return replace(tuner, express=express)

    return made


@pytest.mark.parametrize("depth", [0.0, 0.5, 1.0])
def test_a_dense_backbone_trains_in_bfloat16_unless_one_says_no(dense, native, space, depth):
    asked = Trial(7, space.complete({"freeze_depth": depth, "augment": 0.0, "lr": 1e-3}), 1)
    native(True)
    ways = {
        "light": dense(True, DENSE - 1), "refused": dense(False, DENSE), "dense": dense(True, DENSE)
    }  # fmt: skip
    found = {name: tuner.evaluate(asked) for name, tuner in ways.items()}
    assert {outcome.status for outcome in found.values()} == {Status.OK}
    losses = {
        name: [point.metrics["val_loss"] for point in outcome.curve]
        for name, outcome in found.items()
    }
    assert losses["refused"] == losses["light"]
    assert losses["dense"] != losses["light"]
    assert losses["dense"] == pytest.approx(losses["light"], rel=0.05)
    if depth:
        kinds = {}
        for name, tuner in ways.items():
            recipe = tuner.express(asked.genome)
            both = tuner.commons.splits(tuner.start(recipe, 0), recipe, lambda: None)
            kinds[name] = {v.dtype for one in both for view in one.features.values for v in view}
        assert kinds["light"] == kinds["refused"] == {torch.float32}
        assert torch.bfloat16 in kinds["dense"]


def test_what_was_begun_in_one_precision_is_not_gone_on_with_in_another(
    dense, native, space, tmp_path
):
    asked = Trial(7, space.default(), 1)
    native(True)
    marks = [
        PausedFolder(tmp_path, tuner.settings, tuner.express, tuner.pixels)._mark(asked)
        for tuner in (dense(True, DENSE), dense(True, DENSE - 1), dense(True, DENSE + 1))
    ]
    assert marks[0] == marks[2] != marks[1]


def test_without_mixed_precision_there_is_none(native, make_tuner):
    native(True)
    facts = replace(make_tuner(TrainingSettings()).express.facts["embedded"], density=1e9)
    assert precision_of(TrainingSettings(amp=False), facts) is None
    assert precision_of(TrainingSettings(), facts) is not None
