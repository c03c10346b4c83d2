"""A moving average of the weights."""

import pytest
import torch
from torch import nn

from evoft.settings import TrainingSettings
from evoft.training.averaging import Average
from evoft.training.freezing import freeze
from evoft.training.judging import evaluate
from evoft.trial import Trial


class Tiny(nn.Module):
    """A stem, a batch norm and a classifier, with timm's two methods."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm, self.head = nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)

    def get_classifier(self):
        return self.head

    def group_matcher(self, coarse=False):
        return {"stem": r"^stem", "norm": r"^norm"}


def test_it_follows_its_formula_and_leaves_the_weights_alone():
    model = Tiny()
    weight = model.head.weight
    average = Average(model, 0.9)
    expected = weight.detach().clone()
    for step in range(1, 31):
        with torch.no_grad():
            weight.add_(1.0)
        average.update()
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weight.detach()
    last = weight.detach().clone()
    with average.applied():
        torch.testing.assert_close(weight.detach(), expected)
    assert torch.equal(weight.detach(), last)


def test_batch_norms_statistics_are_averaged_and_what_is_frozen_is_not_touched():
    model = Tiny()
    freeze(model, 1)
    average = Average(model, 0.5)
    with torch.no_grad():
        model.norm.running_mean.fill_(8.0)
        model.stem.weight.fill_(8.0)  # as nothing does that is frozen
    average.update()
    with average.applied():
        assert (model.norm.running_mean < 8.0).all()
        assert (model.norm.running_mean > 0.0).all()
        assert (model.stem.weight == 8.0).all()
    assert (model.norm.running_mean == 8.0).all()


def test_an_error_while_it_is_applied_gives_the_weights_back():
    model = Tiny()
    average = Average(model, 0.5)
    with torch.no_grad():
        model.head.bias.fill_(3.0)
    with pytest.raises(RuntimeError, match="stop"), average.applied():
        raise RuntimeError("stop")
    assert (model.head.bias == 3.0).all()


@pytest.mark.parametrize("genes", [{}, {"freeze_depth": 0.5}, {"patience": 1, "epochs": 4}])
def test_the_average_is_what_is_judged_and_kept(make_tuner, space, tmp_path, genes):
    tuner = make_tuner(TrainingSettings(epochs=2), tmp_path)
    asked = Trial(1, space.complete({"model_ema": 0.9, "batch_size": 8, "lr": 5e-3, **genes}), 2)
    outcome = tuner.evaluate(asked)
    judged = evaluate(
        tuner.trained(asked.genome, asked.key), tuner.commons.examples("embedded", "val")
    )
    assert outcome.fitness == judged["val_accuracy"]
    plain = Trial(2, asked.genome.replace(model_ema=0.0), 2)
    assert tuner.evaluate(plain).curve[0].metrics["train_loss"] == pytest.approx(
        outcome.curve[0].metrics["train_loss"]
    )
    kept = tuner.trained(asked.genome, asked.key).state_dict()
    last = tuner.trained(plain.genome, plain.key).state_dict()
    assert not torch.equal(kept["head.fc.weight"], last["head.fc.weight"])
