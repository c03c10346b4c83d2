"""What a run keeps on disk: checkpoints of the best, and trainings that may be gone on with.

Nothing in here changes a result: what is gone is trained again when it is wanted.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from evoft.individual import Individual
from evoft.outcome import Status
from evoft.search.search import Search
from evoft.training.fine_tuner import checkpoint_path
from evoft.training.paused_folder import paused_path
from evoft.trial import Stage, TrialKey

#: Files of the search; those of final runs have other names.
_OURS = re.compile(r"\d+(-rung-\d+)?\.(safetensors|paused)")


@dataclass(frozen=True, slots=True)
class Roster:
    """What the search has come to, as far as files go."""

    #: Everybody, by id.
    born: Sequence[Individual]
    #: The search's trials that have no outcome yet.
    open: Collection[TrialKey]
    #: The highest rung.
    top: int

    @staticmethod
    def of(search: Search) -> Roster:
        """Return it for a search."""
        waiting = [stint for stint in search.stints if not search.told(stint.number)]
        keys = {(Stage.SEARCH, stint.individual, stint.rung) for stint in waiting}
        return Roster(search.born, keys, search.ladder.top)

    def climbs(self, individual: Individual) -> bool:
        """Tell whether an individual is being trained, or may be continued."""
        if self.is_open(individual):
            return True
        return individual.status is Status.OK and individual.rung < self.top

    def is_open(self, individual: Individual) -> bool:
        """Tell whether an individual is being trained, or is about to be."""
        return (Stage.SEARCH, individual.id, individual.rung + 1) in self.open


def prune(folder: Path, roster: Roster, best: Collection[Individual]) -> None:
    """Remove checkpoints and paused trainings that nobody is going to ask for.

    Those of final runs stay, and what a trial may just have written that has no outcome yet.

    Args:
        folder: Where they are; it need not be there.
        roster: Who may still be continued.
        best: Whose checkpoints stay, those of their highest rung.
    """
    keys = {(Stage.SEARCH, i.id, i.rung) for i in best} | set(roster.open)
    keep = {checkpoint_path(folder, key) for key in keys}
    keep |= {paused_path(folder, i.id) for i in roster.born if roster.climbs(i)}
    for path in [*folder.glob("*.safetensors"), *folder.glob("*.paused")]:
        if _OURS.fullmatch(path.name) and path not in keep:
            path.unlink(missing_ok=True)


def bound(folder: Path, roster: Roster, most: int) -> int:
    """Remove paused trainings until all files fit; return how many were removed.

    Those of the lowest scores go first, those that are being gone on with last, checkpoints never.

    Args:
        folder: Where the files are; it need not be there.
        roster: Whose they are.
        most: Bytes that they may take.
    """
    sizes: dict[Path, int] = {}
    for path in folder.glob("*"):
        with contextlib.suppress(FileNotFoundError):  # a worker has just given it its name
            sizes[path] = path.stat().st_size
    total, removed = sum(sizes.values()), 0
    order = sorted(roster.born, key=lambda i: (roster.is_open(i), i.score, -i.id))
    for path in (paused_path(folder, individual.id) for individual in order):
        if total <= most:
            break
        if path in sizes:
            path.unlink(missing_ok=True)
            total -= sizes[path]
            removed += 1
    return removed


def remove_unfinished(folder: Path) -> None:
    """Remove what killed workers left half written; none may be alive."""
    for path in folder.glob(".*"):
        path.unlink(missing_ok=True)
