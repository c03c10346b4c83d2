"""The first look at GPUs, which are told of in their place: which is probed, what it has left."""

import pytest
import torch

from evoft.settings import TrainingSettings
from evoft.training import probing
from evoft.training.backbone import build, preprocessing_of
from evoft.training.survey import Surveyor

GIB = 2**30


@pytest.fixture
def gpus(monkeypatch):
    """Three GPUs that nothing can be computed on; return the numbers that were made current."""
    current = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda i: f"GPU of number {i}")
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda i: ((i + 1) * GIB, 9 * GIB))
    return current


@pytest.mark.parametrize(
    ("asked", "probed", "free"),
    [
        (None, [0], (1, 2, 3)),
        ((1,), [1], (0, 2, 0)),
        ((2, 0), [2], (1, 0, 3)),
        ((7,), [], (0,) * 3),
    ],
)
def test_the_first_of_those_that_are_to_be_used_is_probed(gpus, asked, probed, free):
    survey = Surveyor(TrainingSettings(pretrained=False), 3).survey(4, asked)
    assert gpus == probed
    assert survey.memory == tuple(number * GIB for number in free)
    assert survey.gpus == ("GPU of number 0", "GPU of number 1", "GPU of number 2")


@pytest.mark.parametrize(
    ("others", "reserved", "grown", "context"),
    [
        (0, 0, 0.25, 0.75),  # 0.5 for being there, and what its kernels took since
        (0, 3, 0.25, 0.75),
        (4, 3, 0.25, 1.25),  # what is there before may be others', but for 1 GiB
        (0.25, 0, 0.0, 0.75),
        (4, 0, -2.0, 1.0),
    ],
)
def test_what_others_have_of_a_gpu_is_not_taken_for_ours(
    monkeypatch, others, reserved, grown, context
):
    settings = TrainingSettings()
    model = build("embedded", settings, 3, pretrained=False)
    taken = {"by others": others, "by us": 0.5, "reserved": 0.0}
    monkeypatch.setattr(
        torch.cuda,
        "mem_get_info",
        lambda device: (int((9 - sum(taken.values())) * GIB), 9 * GIB),
    )
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: int(taken["reserved"] * GIB))
    look = preprocessing_of(model, settings)
    lab = probing._Laboratory(model, "embedded", look, 3, torch.device("cuda"), False)
    taken["reserved"] = reserved
    taken["by us" if grown > 0 else "by others"] += grown
    assert lab.context == context * GIB
