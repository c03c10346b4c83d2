"""The first look at GPUs, which are told of in their place: which is probed, what it has left."""

import ctypes

import pytest
import torch

from evoft.errors import BackboneError, WorkerError
from evoft.settings import TrainingSettings
from evoft.training import probing, survey
from evoft.training.backbone import build, preprocessing_of
from evoft.training.device import gpu_count, is_exclusive, the_device
from evoft.training.survey import Surveyor
from evoft.workers.visibility import visible

GIB = 2**30


@pytest.fixture
def gpus(monkeypatch):
    """Three GPUs that nothing can be computed on; return the numbers that were made current."""
    current = []
    monkeypatch.setattr(survey, "gpu_count", lambda: 3)
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
    found = Surveyor(TrainingSettings(pretrained=False), 3).survey(4, asked)
    assert gpus == probed
    assert found.memory == tuple(number * GIB for number in free)
    assert found.gpus == ("GPU of number 0", "GPU of number 1", "GPU of number 2")


def test_a_worker_on_the_cpu_asks_for_no_gpu(monkeypatch):
    asked = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: asked.append(1) or True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible("cpu", {})["CUDA_VISIBLE_DEVICES"])
    assert (the_device(), gpu_count(), asked) == (torch.device("cpu"), 0, [])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert (the_device(), asked) == (torch.device("cuda"), [1])


def test_gpus_whose_driver_is_too_old_for_torch_are_none(monkeypatch):
    # Counted by the driver's own library, which needs no CUDA.
    monkeypatch.setattr(torch.cuda, "_device_count_nvml", lambda: 2)
    monkeypatch.setattr(torch.cuda, "_device_count_amdsmi", lambda: 2)
    monkeypatch.setattr(torch.cuda, "_is_compiled", lambda: True)
    monkeypatch.setattr(torch._C, "_cuda_getDeviceCount", lambda: 0, raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert torch.cuda.device_count() == 2
    found = Surveyor(TrainingSettings(pretrained=False), 3).survey(4)
    assert (found.gpus, len(found.memory)) == ((), 1)


class Driver:
    """CUDA's driver, of three GPUs of which the second serves one process at a time."""

    def __init__(self, name, failing=""):
        assert name == "libcuda.so.1"
        self._failing = failing

    def __getattr__(self, function):
        return lambda *given: 100 if function == self._failing else self._answer(function, *given)

    def _answer(self, function, *given):
        match function, *given:
            case "cuInit", 0:
                return 0
            case "cuDeviceGet", place, number:
                place._obj.value = 40 + number
            case "cuDeviceGetAttribute", place, 20, device:
                place._obj.value = {40: 0, 41: 3, 42: 2}[device.value]
        return 0


def test_gpus_that_serve_one_process_at_a_time_are_found(gpus, monkeypatch):
    surveyor = Surveyor(TrainingSettings(pretrained=False), 3)
    monkeypatch.setattr(ctypes, "CDLL", Driver)
    assert surveyor.survey(4).exclusive == (1,)
    assert surveyor.survey(4, (0, 2)).exclusive == ()


@pytest.mark.parametrize("function", ["cuInit", "cuDeviceGet", "cuDeviceGetAttribute"])
def test_a_driver_that_does_not_tell_leaves_gpus_to_be_shared(monkeypatch, function):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver(name, function))
    assert not is_exclusive(1)


def test_where_there_is_no_such_driver_gpus_are_shared(monkeypatch):
    def missing(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert not is_exclusive(0)


FAILURES = (
    "CUDA error: no kernel image is available for execution on the device\nCUDA kernel errors",
    "CUDA error: all CUDA-capable devices are busy or unavailable",
    "CUDA error: out of memory",
    "CUDA out of memory. Tried to allocate 2.00 MiB. GPU 0 has a total capacity of 15.00 GiB",
)


@pytest.mark.parametrize("words", FAILURES)
@pytest.mark.parametrize("where", ["current", "memory", "model"])
def test_a_gpu_that_cannot_be_used_is_named(gpus, monkeypatch, where, words):
    def fail(*_, **__):
        raise RuntimeError(words)

    owner, name = {
        "current": (torch.cuda, "set_device"),
        "memory": (torch.cuda, "mem_get_info"),
        "model": (torch.nn.Module, "to"),
    }[where]
    monkeypatch.setattr(owner, name, fail)
    with pytest.raises(WorkerError) as told:
        Surveyor(TrainingSettings(pretrained=False), 3).survey(4, (2, 0))
    first, number = words.splitlines()[0], 0 if where == "memory" else 2
    assert str(told.value).startswith(f"GPU {number} cannot be used ({first}")
    assert "--devices cpu" in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("step", ["training_step", "autocast"])
def test_a_gpu_that_fails_is_not_taken_for_images_that_do_not_fit(gpus, monkeypatch, step):
    def fail(*_, **__):
        raise RuntimeError(FAILURES[0])

    monkeypatch.setattr(probing, step, fail)
    with pytest.raises(WorkerError, match=r"GPU 0 cannot be used .*no kernel image"):
        Surveyor(TrainingSettings(pretrained=False), 3).survey(4)


def test_a_backbone_that_fails_on_a_gpu_is_told_of_as_ever(gpus, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("Kernel size can't be greater than actual input size")

    monkeypatch.setattr(probing, "training_step", fail)
    with pytest.raises(BackboneError, match="embedded cannot take images of 32 x 32 pixels"):
        Surveyor(TrainingSettings(pretrained=False), 3).survey(4)


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
    lab = probing._Laboratory(model, "embedded", look, 3, torch.device("cuda"))
    taken["reserved"] = reserved
    taken["by us" if grown > 0 else "by others"] += grown
    assert lab.context == context * GIB
