"""How busy a GPU is, and how much of its memory is taken, while something else runs."""

import os
import statistics
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

#: Seconds between two looks.
PERIOD = 0.5


@dataclass(frozen=True)
class Look:
    """What was seen at one moment, of all processes together."""

    #: Share of the last fraction of a second in which something ran on the device.
    busy: float
    #: Bytes.
    memory: int


def from_library() -> Look:
    """Look through NVIDIA's management library, which makes no context on the device.

    Raises:
        Exception: It is not installed, or there is no such device.
    """
    import torch

    return Look(torch.cuda.utilization(0) / 100, torch.cuda.device_memory_used(0))


def from_tool() -> Look:
    """Look through ``nvidia-smi``.

    Raises:
        OSError: It is not installed.
        CalledProcessError: There is no such device.
        ValueError: It does not know.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0]
    command = ["nvidia-smi", "--query-gpu=utilization.gpu,memory.used",
               "--format=csv,noheader,nounits", "-i", visible or "0"]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
    return look_of(done.stdout)


def look_of(line: str) -> Look:
    """Return what a line of ``nvidia-smi`` says: percents and MiB.

    Raises:
        ValueError: It does not say.
    """
    busy, memory = line.strip().split(",")
    return Look(float(busy) / 100, int(memory) * 2**20)


def eye() -> tuple[str, Callable[[], Look]] | None:
    """Return the first way to look that works here, and its name; None: nothing does."""
    for name, look in (("nvidia-ml", from_library), ("nvidia-smi", from_tool)):
        with suppress(Exception):
            look()
            return name, look
    return None


@contextmanager
def watched(look: Callable[[], Look] | None) -> Iterator[list[Look]]:
    """Look every now and then until the context is left; the list fills as that goes on."""
    seen: list[Look] = []
    over = threading.Event()

    def watch() -> None:
        while look is not None and not over.wait(PERIOD):
            with suppress(Exception):  # one look that fails is one look less
                seen.append(look())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def summary(seen: list[Look]) -> dict[str, float] | None:
    """Return the mean share of time that the device was busy and the most memory; None: unknown."""
    if not seen:
        return None
    return {
        "busy": statistics.fmean(look.busy for look in seen),
        "memory": max(look.memory for look in seen),
    }
