"""Where workers run, and how many of them fit there."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from evoft.errors import SettingsError
from evoft.settings import BLIND, RunSettings, SearchSettings
from evoft.training.facts import Survey

#: Share of a device's free memory that is filled: a prediction is none the wiser for being tight.
_FILLED = 0.8


def gpus_asked_for(run: RunSettings) -> tuple[int, ...] | None:
    """Return the numbers of the GPUs that were asked for by their numbers; None: none was."""
    if run.devices in ("auto", "cpu"):
        return None
    return tuple(int(number) for number in run.devices.split(","))


def place_workers(
    run: RunSettings, survey: Survey, needed: int, context: int, images: int = 0
) -> tuple[tuple[str, ...], str]:
    """Return the device of each worker, and what is to be said of their number; mostly nothing.

    As many as were asked for there are, also where they must share cores: how many there are shows
    in the time that a run takes, and nowhere in its lineage.

    Args:
        run: What was asked for.
        survey: What there is.
        needed: Predicted bytes of the largest trial, images apart; 0 if that is unknown.
        context: Bytes of a GPU that a process takes beside.
        images: Bytes of the decoded images: the machine has them once, a GPU once a worker.

    Raises:
        SettingsError: A GPU that is not there.
    """
    if run.devices == "cpu" or (run.devices == "auto" and not survey.gpus):
        # Where there are GPUs the survey was made on one, and tells nothing of the CPU's memory.
        room = 0 if survey.gpus else survey.memory[0]
        # Those that would take most of it are read from disk (evoft/workers/room.py).
        beside = images if images <= _FILLED * room else 0
        where = "the machine has free" + (" beside the images" if beside else "")
        count, limit = _fitting(run, survey.cores, needed, room - beside, where)
        return _said(("cpu",) * (run.workers or count), survey.cores, "" if run.workers else limit)
    numbers = [str(i) for i in range(len(survey.gpus))]
    wanted = numbers if run.devices == "auto" else run.devices.split(",")
    if missing := [number for number in wanted if number not in numbers]:
        raise SettingsError(
            f"`devices` names GPU {missing[0]}, but there are {len(numbers)} here: use auto or cpu"
        )
    share, room = max(1, survey.cores // len(wanted)), min(survey.memory[int(n)] for n in wanted)
    count, limit = _fitting(run, share, needed + context + images, room, "each GPU has free")
    if alone := [number for number in wanted if int(number) in survey.exclusive]:
        count, limit = _one_each(run, alone[0], len(wanted))
    total = run.workers or count * len(wanted)
    devices = tuple(wanted[i % len(wanted)] for i in range(total))
    return _said(devices, survey.cores, limit if alone or not run.workers else "")


def at_a_time(devices: Sequence[str], search: SearchSettings) -> int:
    """Return how many trials a GPU has at a time, the most of any; 1 where there is none.

    Args:
        devices: Of each worker.
        search: Says how many trials are asked for at a time; no more workers are busy.
    """
    gpus = Counter(device for device in devices if device != "cpu")
    if not gpus:
        return 1
    asked = search.population_size if search.strategy in BLIND else search.births_ahead + 1
    return min(max(gpus.values()), math.ceil(asked / len(gpus)))


def _one_each(run: RunSettings, gpu: str, gpus: int) -> tuple[int, str]:
    """Return how many workers GPUs get of which one serves one process at a time, and why.

    As many as were asked for are had: NVIDIA's MPS lets them share it all the same.
    """
    mode = f"GPU {gpu} is in exclusive-process mode"
    count, way_out = run.workers_per_device or 1, "`nvidia-smi -c DEFAULT` lets several share it"
    if (run.workers or count * gpus) > gpus:
        return count, f"{mode}: without MPS all workers but one fail there; {way_out}"
    if run.workers or run.workers_per_device:
        return count, ""
    return count, f"{mode}, so each GPU gets one worker: {way_out}"


def _said(devices: tuple[str, ...], cores: int, limit: str) -> tuple[tuple[str, ...], str]:
    """Return the devices with why there are no more of them, or that there are too many."""
    if len(devices) <= cores:
        return devices, limit
    here = "1 core is" if cores == 1 else f"{cores} cores are"
    return devices, (
        f"{here} there for {len(devices)} workers of one thread each, which take turns: this "
        f"takes more memory than {cores}, and hardly less time"
    )


def _fitting(run: RunSettings, cores: int, needed: int, room: int, where: str) -> tuple[int, str]:
    """Return how many workers a device gets, and why no more when it is for want of memory."""
    if run.workers_per_device is not None:
        return run.workers_per_device, ""
    if not (needed and room):
        return cores, ""
    fitting = max(1, int(_FILLED * room / needed))
    if fitting >= cores:
        return cores, ""
    return fitting, (
        f"{cores} cores would do for {cores} workers, but a trial takes up to "
        f"{needed / 2**30:.1f} GiB of the {room / 2**30:.1f} GiB that {where}"
    )
