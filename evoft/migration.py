"""A population that goes on in another space than it was made in."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from evoft.errors import PopulationMismatchError, SpaceError
from evoft.header import Header
from evoft.lineage import Record, Store, out_of_turn
from evoft.search.compatible import changes, check_compatible, check_unpriced, in_order
from evoft.search.space import SearchSpace
from evoft.settings import Settings
from evoft.trial import TrialKey

_logger = logging.getLogger(__name__)


def space_from_here(
    space: SearchSpace | None, header: Header, records: Mapping[TrialKey, Record]
) -> SearchSpace:
    """Return the space in which a population goes on, that of its file where it is the same.

    Args:
        space: The one that is asked for; None: that of the file.
        header: The population's.
        records: Its trials.

    Raises:
        PopulationMismatchError: Too much would be taken back.
        SpaceError: The population cannot go on in it.
    """
    before = SearchSpace.from_dict(header.space)
    if space is None:
        return before
    settings = Settings.of_file(header.settings)
    if settings.search.strategy == "grid":
        raise SpaceError(
            "a grid has its points of its space, which cannot change: leave it as it was, or make "
            "a new population"
        )
    gone = out_of_turn(records)
    _check_few(gone, settings)
    withdrawn = set(gone)
    born = [r.birth for key, r in records.items() if r.birth and key not in withdrawn]
    check_unpriced(any(individual.price != 1.0 for individual in born))
    check_compatible(before, space, born, settings.founders)
    after = in_order(before, space)
    return before if before.to_dict() == after.to_dict() else after


def migrate(store: Store, space: SearchSpace) -> None:
    """Have an open population go on in another space, and tell what is different.

    Args:
        store: The population.
        space: What ``space_from_here`` gave; nothing is done where that is the file's own.

    Raises:
        StorageError: The disk refused; the old space holds.
    """
    before = SearchSpace.from_dict(store.header.space)
    if before.to_dict() == space.to_dict():
        return
    gone = len(out_of_turn(store.records))
    store.migrate(space.to_dict())
    for sentence in changes(before, space):
        _logger.warning("from here on %s", sentence)
    if gone:
        _logger.warning(
            "%d of the trials ended out of turn, decided by what the space was: they are taken "
            "back, as if they had never been judged",
            gone,
        )


def _check_few(gone: list[TrialKey], settings: Settings) -> None:
    """Refuse to take back a generation and more, be it behind a slow trial or a lost record."""
    search = settings.search
    if len(gone) > max(search.population_size, search.births_ahead):
        raise PopulationMismatchError(
            f"{len(gone)} trials, more than a generation has, ended after one without an outcome, "
            "and would be taken back: go on in the space as it was to a generation's end (by "
            "`generations`, a total), and change it then"
        )
