"""What a model makes of a split."""

import pytest
import torch
from trials import CLEAN, trial

from evoft.errors import WorkerError
from evoft.outcome import Status
from evoft.recipe import Recipe
from evoft.settings import TrainingSettings
from evoft.training import judging
from evoft.training.examples import Examples
from evoft.training.judging import evaluate, predict
from evoft.training.precision import Precision

#: As on GPUs, but that a CPU trains in them.
PRECISIONS = {
    "bfloat16": lambda: Precision(torch.bfloat16, None),
    "float16": lambda: Precision(torch.float16, torch.amp.GradScaler("cpu")),
}


def test_validation_in_several_batches(make_tuner, monkeypatch):
    tuner = make_tuner(TrainingSettings())
    model = tuner.start(Recipe(model="embedded", epochs=2, batch_size=8), 1)
    examples = tuner.commons.examples("embedded", "val")
    whole = evaluate(model, examples)
    monkeypatch.setattr(Examples, "passing", 7)
    assert evaluate(model, examples) == pytest.approx(whole)


def test_logits_are_made_in_the_precision_of_training(make_tuner):
    tuner = make_tuner(TrainingSettings())
    model = tuner.start(Recipe(model="embedded", epochs=2, batch_size=8), 1)
    examples = tuner.commons.examples("embedded", "val")
    exact, rounded = predict(model, examples), predict(model, examples, PRECISIONS["bfloat16"]())
    assert rounded.dtype == torch.float32
    assert torch.equal(rounded, rounded.bfloat16().float())
    assert not torch.equal(rounded, exact)
    torch.testing.assert_close(rounded, exact, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("name", PRECISIONS)
@pytest.mark.parametrize("depth", [0.0, 0.5, 1.0])
def test_a_trial_trains_and_is_judged_in_mixed_precision(
    make_tuner, space, tmp_path, monkeypatch, name, depth
):
    asked = trial(space, 1, **{**CLEAN, "epochs": 3, "freeze_depth": depth, "lr": 1e-3})
    tuner = make_tuner(TrainingSettings(), tmp_path / "whole")
    wanted = tuner.evaluate(asked)
    monkeypatch.setattr(Precision, "of", staticmethod(lambda device, density: PRECISIONS[name]()))
    tuner = make_tuner(TrainingSettings(), tmp_path / "mixed")
    outcome = tuner.evaluate(asked)
    assert outcome.status is Status.OK
    for point, exact in zip(outcome.curve, wanted.curve, strict=True):
        assert point.metrics["train_loss"] == pytest.approx(exact.metrics["train_loss"], rel=0.05)
        assert point.metrics["val_loss"] == pytest.approx(exact.metrics["val_loss"], rel=0.05)
        assert point.metrics["val_loss"] != exact.metrics["val_loss"]
    assert 0 <= tuner.right(asked.genome, asked.key).mean() <= 1
    recipe = tuner.express(asked.genome)
    if depth:
        split = tuner.commons.splits(tuner.start(recipe, 0), recipe, lambda: None)
        kinds = [v.dtype for one in split for view in one.features.values for v in view]
        assert kinds == [PRECISIONS[name]().dtype] * 2


@pytest.mark.parametrize(
    "words", ["CUDA out of memory. Tried to allocate 2.00 GiB", "CUDA error: out of memory"]
)
def test_too_little_memory_to_judge_is_told_in_a_sentence(
    make_tuner, space, tmp_path, monkeypatch, words
):
    asked = trial(space, 1, **CLEAN)
    tuner = make_tuner(TrainingSettings(), tmp_path)
    assert tuner.evaluate(asked).status is Status.OK

    def scarce(*_):
        raise RuntimeError(f"{words}\nCUDA kernel errors")

    monkeypatch.setattr(judging, "in_halves", scarce)
    with pytest.raises(WorkerError) as told:
        tuner.right(asked.genome, asked.key)
    assert str(told.value) == (
        f"there is too little memory to judge the test images ({words} CUDA kernel errors): free "
        "some, or go on with other --devices"
    )
