"""Whoever evaluates trials, as the loop sees them."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Protocol, runtime_checkable

from evoft.outcome import Outcome
from evoft.trial import Trial


class Workers(Protocol):
    """Whoever evaluates trials: processes of this machine, the caller itself, a cluster."""

    @property
    def idle(self) -> int:
        """How many more trials can be submitted now."""

    @property
    def busy(self) -> int:
        """How many submitted trials have not been collected."""

    def submit(self, trial: Trial) -> None:
        """Start a trial."""

    def collect(self, timeout: float | None = None) -> list[tuple[Trial, Outcome]]:
        """Wait for a trial to end, at most ``timeout`` seconds; return those that did."""

    def close(self) -> None:
        """Give everything back."""


@runtime_checkable
class Teams(Workers, Protocol):
    """Workers that take several trials as one job, and know what each has at hand."""

    @property
    def at_hand(self) -> Collection[Hashable]:
        """The kin of trials that idle workers had before."""

    def submit(self, *trials: Trial, kin: Hashable = None) -> None:
        """Start trials together, where trials of that kin were before if one is idle."""
