"""Where a run's records are kept: in a population file, or in memory alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from evoft.header import Header
from evoft.lineage import Record
from evoft.trial import TrialKey
from evoft.verdict import Verdict

#: A generation's end writes the population file only if that has taken no more than this share of
#: the running time lately, up to so many records and beyond; the journal beside it has everything.
_FEW, _SHARE_OF_FEW, _SHARE = 1_000, 0.5, 0.1


def is_fold_due(records: int, took: float, since: float) -> bool:
    """Tell whether a generation's end is to bring the population file up to date.

    Args:
        records: How many there are by now.
        took: Seconds that it took the last time.
        since: Seconds of running since then.
    """
    return took <= since * (_SHARE if records > _FEW else _SHARE_OF_FEW)


class Ledger(Protocol):
    """Where records are kept: a population file's ``Store``, or ``Memory``."""

    @property
    def header(self) -> Header:
        """The facts of the run."""

    @property
    def records(self) -> Mapping[TrialKey, Record]:
        """All finished trials."""

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """All readings of the test split."""

    @property
    def elapsed(self) -> float:
        """Seconds of running over the life of the population."""

    def append(self, *records: Record) -> None:
        """Keep finished trials; they are safe when this returns, all of them or none."""

    def fold(self) -> None:
        """Bring the population file up to date."""

    def close(self) -> None:
        """Bring the population file up to date and let others write it."""


class Memory:
    """A ledger that is gone when the process is."""

    def __init__(self, header: Header) -> None:
        self.header = header
        self.records: dict[TrialKey, Record] = {}
        self.verdicts: tuple[Verdict, ...] = ()

    @property
    def elapsed(self) -> float:
        """Seconds of running so far."""
        return max((record.elapsed for record in self.records.values()), default=0.0)

    def append(self, *records: Record) -> None:
        """Keep finished trials."""
        self.records.update((record.trial.key, record) for record in records)

    def fold(self) -> None:
        """Do nothing: there is no file."""

    def close(self) -> None:
        """Do nothing: there is no file."""
