"""How a run is carried out: workers, devices and limits."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass

from evoft.errors import SettingsError
from evoft.rules import plain_fields, require, require_kinds, require_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """How a run is carried out.  Nothing in here changes which individuals are born."""

    #: Worker processes in all; None: as many as ``workers_per_device`` says.
    workers: int | None = None
    #: Worker processes on each GPU, or on the CPU; None: as many as fit its memory and the cores.
    workers_per_device: int | None = None
    #: ``auto``, ``cpu``, or the numbers of the GPUs to use, as in ``0,1``.
    devices: str = "auto"
    #: Seconds of running over the life of the population file; None: no limit.
    budget: float | None = None
    #: Seconds that one trial may take; None: no limit.
    trial_timeout: float | None = None
    #: Seconds without a sign of life before a worker is taken for hung; None: never.
    stall_timeout: float | None = None
    #: Most bytes of checkpoints and of trainings that may be gone on with; None: no limit.
    max_disk: int | None = None

    def __post_init__(self) -> None:
        plain_fields(self)
        values = asdict(self)
        counts = ("workers", "workers_per_device")
        times = ("budget", "trial_timeout", "stall_timeout")
        as_many = "leave it out for as many as the cores and the memory allow"
        require(values, {">= 1": counts}, as_many)
        require(values, {">= 0": ("max_disk",), "> 0": times})
        require_whole(values, (*counts, "max_disk"))
        require_kinds(values, {"devices": (str, "a text")})
        if not re.fullmatch(r"auto|cpu|\d+(,\d+)*", self.devices):
            raise SettingsError(
                f"`devices` must be auto, cpu or GPU numbers as in 0,1, but is {self.devices!r}"
            )
