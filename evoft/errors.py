"""What evoft raises at its boundary, and the exit code that the command line gives for it.

::

    EvoftError                      1
    |-- SettingsError               2   a setting, flag or configuration file is wrong
    |   `-- SpaceError              2   a gene or search space is wrong
    |-- DataError                   3   the images or labels cannot be used
    |-- BackboneError               4   the backbone or its weights cannot be had
    |-- PopulationFileError         5   a population file cannot be used
    |   |-- PopulationExistsError   5   it is there already
    |   |-- PopulationLockedError   5   another process is writing it
    |   |-- PopulationDamagedError  5   it is truncated, altered or not a population file
    |   |-- PopulationSchemaError   5   it was written by a newer evoft
    |   `-- PopulationMismatchError 5   it was made with other data, space or settings
    |-- StorageError                6   the disk is full or cannot be written
    |-- WorkerError                 7   worker processes cannot be started or kept alive
    `-- NoResultError               8   nothing was trained to an end, so there is no best

A message is one sentence or two: the rule, then the values, then the way out.  Ctrl-C exits with
130 and SIGTERM with 143, as a shell expects.
"""

from __future__ import annotations

from typing import ClassVar


def words_of(error: BaseException, most: int | None = None) -> str:
    """Return what an exception says, on one line of at most so many characters."""
    try:
        return " ".join(str(error).split())[:most]
    except Exception:  # it raises even when asked what it is
        return "it has no words"


class EvoftError(Exception):
    """Base of everything that evoft raises on purpose."""

    exit_code: ClassVar[int] = 1


class SettingsError(EvoftError):
    """A setting, flag or configuration file is wrong."""

    exit_code = 2


class SpaceError(SettingsError):
    """A gene or a search space is wrong."""


class DataError(EvoftError):
    """The images or labels cannot be used."""

    exit_code = 3


class BackboneError(EvoftError):
    """The backbone or its weights cannot be had."""

    exit_code = 4


class PopulationFileError(EvoftError):
    """A population file cannot be used."""

    exit_code = 5


class PopulationExistsError(PopulationFileError):
    """A new population was to be made where one already is."""


class PopulationLockedError(PopulationFileError):
    """Another process, or something else in this one, is writing the population."""


class PopulationDamagedError(PopulationFileError):
    """The file is truncated, altered or not a population file at all."""


class PopulationSchemaError(PopulationFileError):
    """The file was written by a newer evoft than this one."""


class PopulationMismatchError(PopulationFileError):
    """The file was made with other data, another space or other settings."""


class StorageError(EvoftError):
    """The disk is full or cannot be written."""

    exit_code = 6


class WorkerError(EvoftError):
    """Worker processes cannot be started or kept alive."""

    exit_code = 7


class NoResultError(EvoftError):
    """Nothing was trained to an end, so there is no best individual."""

    exit_code = 8
