"""What a population's file has of its backbones is not found out again."""

from dataclasses import replace

import pytest

from evoft.fine_tuning.lasting_facts import amended, as_before, to_measure
from evoft.header import Header
from evoft.settings import SearchSettings, Settings, TrainingSettings
from evoft.training.data import Preprocessing
from evoft.training.facts import BackboneFacts

IMAGES = Preprocessing((32, 32), (0.5,) * 3, (0.5,) * 3, "bilinear", 1.0, "center")
LIGHT = BackboneFacts(
    "embedded", 5, 200_000, IMAGES, drop=True, drop_path=True, weights="abc", latency=0.5,
    density=111.0,
)  # fmt: skip
DENSE = replace(LIGHT, model="resnet18", latency=2.5, density=730.0)
NOW = (replace(LIGHT, latency=0.7, density=112.0), replace(DENSE, latency=None, density=731.0))


def header(*facts):
    return Header("run", "now", 0, backbones=facts)


def test_latency_and_density_stay_those_that_a_population_began_with():
    before = header(LIGHT.to_dict(), DENSE.to_dict())
    assert as_before(NOW, before) == (LIGHT, DENSE)
    assert amended(before, as_before(NOW, before)) == before.backbones


def test_an_earlier_evofts_has_the_latency_of_now_and_no_density():
    old = [
        {
            name: value
            for name, value in facts.to_dict().items()
            if name not in {"latency", "density"}
        }
        for facts in (LIGHT, DENSE)
    ]
    found = as_before(NOW, header(*old))
    assert [(facts.latency, facts.density) for facts in found] == [(0.7, 0.0), (None, 0.0)]
    assert list(amended(header(*old), found)) == [{**old[0], "latency": 0.7}, old[1]]
    assert BackboneFacts.from_dict(old[1]).density == 0.0


@pytest.mark.parametrize("objectives", [("accuracy",), ("accuracy", "latency")])
def test_only_a_latency_that_is_sought_and_not_known_is_measured(objectives):
    settings = Settings(
        search=SearchSettings(objectives=objectives),
        training=TrainingSettings(models=("embedded", "resnet18")),
    )
    timed = "latency" in objectives
    known = header(LIGHT.to_dict(), {**DENSE.to_dict(), "latency": None})
    assert to_measure(settings, None) == (("embedded", "resnet18") if timed else ())
    assert to_measure(settings, known) == (("resnet18",) if timed else ())
