"""What is measured of a trained model beside its accuracy."""

from __future__ import annotations

from dataclasses import replace

import torch

from evoft.settings import TrainingSettings
from evoft.training.latency import latency_of
from evoft.training.survey import Surveyor
from evoft.trial import Trial


class Slow(torch.nn.Module):
    def __init__(self, passes):
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 3, 3, padding=1)
        self.passes = passes
        self.seen = []

    def forward(self, images):
        self.seen.append((tuple(images.shape), self.training))
        for _ in range(self.passes):
            images = self.layer(images)
        return images


def test_latency_is_that_of_one_image_in_evaluation_mode():
    quick, slow = Slow(1), Slow(200)
    found = [latency_of(model, (40, 48)) for model in (quick, slow)]
    assert 0 < found[0] < found[1]
    assert set(slow.seen) == {((1, 3, 40, 48), False)}


def test_a_trial_reports_what_is_to_be_measured(make_tuner, space, tmp_path):
    outcomes = {}
    for measures in ((), ("accuracy", "latency", "parameters")):
        tuner = make_tuner(TrainingSettings(epochs=1), tmp_path)
        tuner.measures = measures
        facts = replace(tuner.express.facts["embedded"], latency=0.0123)
        tuner.express = replace(tuner.express, facts={"embedded": facts})
        trials = [
            Trial(n, space.complete({"batch_size": 8, "epochs": 1, "freeze_depth": depth}), 5)
            for n, depth in enumerate((0.0, 1.0))
        ]
        outcomes[measures] = tuner.evaluate_together(trials)
    plain, measured = outcomes.values()
    assert [outcome.metrics for outcome in plain] == [{}, {}]
    assert [o.fitness for o in measured] == [o.fitness for o in plain]
    facts = tuner.express.facts["embedded"]
    assert {o.metrics["parameters"] for o in measured} == {float(facts.parameters)}
    assert len({o.metrics["latency"] for o in measured}) == 1  # of one and the same model
    assert measured[0].metrics["latency"] > 0
    assert measured[0].metrics["latency"] == facts.latency == 0.0123  # it is not measured again


def test_a_survey_measures_the_latency_of_whom_it_is_told_to():
    settings = TrainingSettings(models=("embedded", "test_resnet"), pretrained=False)
    none, one = (Surveyor(settings, 3, timed).survey(4) for timed in ((), ("test_resnet",)))
    assert [facts.latency for facts in none.backbones] == [None, None]
    assert one.backbones[0] == none.backbones[0]
    assert 0 < one.backbones[1].latency < 10
    assert replace(one.backbones[1], latency=None) == none.backbones[1]
