"""Evoft's own code on a GPU that is pretended: see ``pretended_gpu`` for what that shows."""

import numpy as np
import pytest
import torch
from pretended_gpu import GPU, OnGpu, pretended_gpu
from safetensors.torch import load_file
from trials import CLEAN, trial

from evoft.ladder import Ladder
from evoft.outcome import Status
from evoft.settings import TrainingSettings
from evoft.training.device import begin_afresh
from evoft.training.fine_tuner import checkpoint_path
from evoft.training.memory import unless_out_of_memory
from evoft.training.survey import Surveyor
from evoft.trial import Trial

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU need not be pretended")

BUSY = {
    "augment": 0.5, "hflip": 0.5, "reprob": 0.25, "mixup": 0.2, "cutmix": 0.5, "drop": 0.3,
    "drop_path": 0.1, "smoothing": 0.1,
}  # fmt: skip
KINDS = {
    "whole": {"freeze_depth": 0.0, "l1": 1e-5, "clip_grad": 1.0, **BUSY},
    "whole, unchanged": {"freeze_depth": 0.0, "opt": "rmsprop", "model_ema": 0.9, **CLEAN},
    "in part": {"freeze_depth": 0.5, "opt": "sgd", "class_weights": "balanced", **BUSY},
    "in part, unchanged": {"freeze_depth": 0.25, "opt": "adam", **CLEAN},
    "head": {"freeze_depth": 1.0, "class_weights": "balanced", "clip_grad": 1.0, **BUSY},
    "head, unchanged": {"freeze_depth": 1.0, "opt": "sgd", "model_ema": 0.9, **CLEAN},
}
LADDER = Ladder((1.0, 2.0), cooldown=0.25)


@pytest.fixture(params=[7, 8], ids=["float16", "bfloat16"])
def gpu(request, monkeypatch):
    with pretended_gpu(monkeypatch, major=request.param):
        yield


@pytest.fixture
def tuner(make_tuner, tmp_path):
    (cache := tmp_path / "cache").mkdir()
    settings = TrainingSettings(epochs=2, views=2)
    return make_tuner(settings, tmp_path / "kept", cache=cache)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_trial_is_trained_and_judged(gpu, tuner, space, kind):
    asked = trial(space, **KINDS[kind])
    outcome = tuner.evaluate(asked)
    assert outcome.status is Status.OK, outcome.reason
    assert tuner.commons.examples("embedded", "train").pixels.device == GPU
    right = tuner.right(asked.genome, asked.key)
    assert (type(right), right.dtype) == (np.ndarray, bool)


def test_heads_train_together(gpu, tuner, space):
    genes = [KINDS[kind] for kind in KINDS if kind.startswith("head")]
    trials = [trial(space, number, **one) for number, one in enumerate(genes)]
    assert len({tuner.company(one) for one in trials}) == 1
    outcomes = tuner.evaluate_together(trials)
    assert [outcome.status for outcome in outcomes] == [Status.OK] * len(trials)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "gpu"), [("whole", 7), ("in part", 8), ("head", 8)], indirect=["gpu"]
)
def test_a_training_goes_on_where_it_was_left(gpu, make_tuner, space, tmp_path, kind):
    """To the bit, for it is a CPU that computes; dropout draws from the GPU's stream."""
    weights = []
    for rungs in ((0, 1), (1,)):
        folder = tmp_path / str(len(rungs))
        settings = TrainingSettings(epochs=2)
        tuner = make_tuner(settings, folder, ladder=LADDER, paused=folder)
        for rung in rungs:
            epochs = LADDER.rungs[rung] if rung < LADDER.top else None
            genome = space.complete({"batch_size": 8, "cooldown": 0.25, **KINDS[kind]})
            asked = Trial(1, genome, 5, rung=rung, epochs=epochs)
            outcome = tuner.evaluate(asked)
            assert outcome.status is Status.OK, outcome.reason
        weights.append(load_file(checkpoint_path(folder, asked.key)))
    first, second = weights
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
def test_features_that_a_gpu_has_no_room_for_are_moved_batch_by_batch(
    make_tuner, space, tmp_path, monkeypatch
):
    outcomes = []
    for memory in (2**34, 2**10):
        with pretended_gpu(monkeypatch, memory=memory):
            tuner = make_tuner(TrainingSettings(epochs=2, views=2), tmp_path)
            outcomes.append(tuner.evaluate(trial(space, **KINDS["in part"])))
    assert outcomes[0].status is Status.OK
    assert outcomes[0].curve == outcomes[1].curve


@pytest.mark.parametrize("gpu", [7], indirect=True)
def test_a_batch_that_does_not_fit_goes_through_in_parts(gpu, tuner, space, monkeypatch):
    real = torch.nn.functional.cross_entropy

    def scarce(logits, *rest, **more):
        if len(logits) == 8:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return real(logits, *rest, **more)

    monkeypatch.setattr("evoft.training.optimization.cross_entropy", scarce)
    assert tuner.evaluate(trial(space, **KINDS["whole"])).status is Status.OK


@pytest.mark.slow
def test_a_backbone_is_probed(gpu):
    survey = Surveyor(TrainingSettings(pretrained=False), 3, ("embedded",)).survey(8)
    assert survey.gpus == ("none",)
    (probes,) = survey.probes
    assert all(probe.fits for probe in probes.steps)
    assert survey.backbones[0].latency > 0


def test_what_fails_on_a_gpu_fails_here(gpu):
    there, here = torch.ones(2, 2, device="cuda"), torch.ones(2, 2)
    assert type(there) is type(there.t() + 1.0) is type(here.to(GPU)) is OnGpu
    assert type(there.cpu()) is torch.Tensor
    assert float((there + torch.tensor(1.0)).sum()) == 8.0
    layer = torch.nn.Linear(2, 2).to(GPU)
    for fails in (
        lambda: there + here,
        lambda: layer(here),
        lambda: torch.cat([there, here]),
        lambda: torch.nn.functional.cross_entropy(layer(there), here),
        lambda: here[torch.zeros(1, dtype=torch.int64, device=GPU)],
        lambda: there.bernoulli_(generator=torch.Generator()),
    ):
        with pytest.raises(RuntimeError, match=r"same device|generator"):
            fails()
    with pytest.raises(TypeError, match="numpy"):
        there.numpy()
    layer(there).sum().backward()
    assert type(layer.weight.grad) is OnGpu


def test_a_trial_begins_with_all_of_a_gpu_that_nothing_lies_in(tuner, space, monkeypatch):
    with pretended_gpu(monkeypatch):
        done = []
        for name in ("empty_cache", "reset_peak_memory_stats"):
            monkeypatch.setattr(torch.cuda, name, lambda *_, name=name: done.append(name))
        monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda *_: len(done))
        outcome = tuner.evaluate(trial(space, **KINDS["head, unchanged"]))
        assert outcome.status is Status.OK
        assert done == ["empty_cache", "reset_peak_memory_stats"]
        assert outcome.peak_memory == 2
        # A process that has not been there yet needs no room for itself.
        monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
        begin_afresh(GPU)
        assert len(done) == 2


def test_a_gpu_without_room_for_a_process_is_told_as_short_of_memory(monkeypatch):
    with pretended_gpu(monkeypatch):
        monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)

        def begin():
            raise RuntimeError("CUDA error: out of memory")

        outcome = unless_out_of_memory(begin)
    assert outcome.status is Status.INFEASIBLE
    assert outcome.reason.endswith("it needs more memory for another process on the GPU")
