"""What all tests stand on."""

import os
import signal
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from hypothesis import settings

# A shell that runs the tests in the background has them ignore Ctrl-C, and so would every process
# that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Threads of linear algebra that share busy cores wait for each other. To be set before numpy comes.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# Nothing timed is asserted, and others may be at work on the same cores.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

#: More processes at a time would take memory (torch is in each), and hardly less time.
MOST = 4


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """``-n auto``: as many processes as there are cores for them, hyper-threads included."""
    mine = (
        os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    )
    return min(len(mine), MOST)


@pytest.fixture
def gpu_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Have torch tell of a GPU of NVIDIA's, given the major number of what it is capable of."""
    import torch

    def told(major: int) -> None:
        properties = SimpleNamespace(major=major)
        monkeypatch.setattr(torch.version, "hip", None)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
        monkeypatch.setattr(torch.cuda, "_check_bf16_tensor_supported", lambda device: True)

    return told
