"""What a model makes of a split."""

import pytest

from evoft.recipe import Recipe
from evoft.settings import TrainingSettings
from evoft.training import judging
from evoft.training.judging import evaluate


def test_validation_in_several_batches(make_tuner, monkeypatch):
    tuner = make_tuner(TrainingSettings())
    model = tuner.start(Recipe(model="embedded", epochs=2, batch_size=8), 1)
    examples = tuner._examples("embedded", "val")
    whole = evaluate(model, examples)
    monkeypatch.setattr(judging, "_BATCH", 7)
    assert evaluate(model, examples) == pytest.approx(whole)
