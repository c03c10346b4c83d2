"""Where the files of a population are."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from evoft.errors import PopulationFileError

#: How population files are named.
_SUFFIXES = (".h5", ".hdf5")


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the parts of a population are."""

    #: The population file as its user wrote it, for messages.
    name: str
    #: The population file, behind any symbolic link.
    file: Path
    #: Its journal, beside it.
    journal: Path
    #: Its folder of checkpoints, beside it.
    checkpoints: Path

    @staticmethod
    def of(path: str | os.PathLike[str]) -> Paths:
        """Return the paths of the population file at ``path``, which need not be there.

        Raises:
            PopulationFileError: ``path`` is a folder, or a population's journal.
        """
        name = os.fspath(path)
        file = Path(os.path.realpath(name))
        if file.suffix == ".journal" and os.path.isfile(file.with_suffix(".h5")):
            population = Path(name).with_suffix(".h5")
            raise PopulationFileError(f"{name} is the journal of {population}: give that")
        if os.path.isdir(file):  # where `Path.is_dir` raises, whoever opens it tells why
            raise PopulationFileError(f"{name} is a folder, not a population file")
        stem = file.with_suffix("") if file.suffix in _SUFFIXES else file
        journal = stem.with_name(stem.name + ".journal")
        return Paths(name, file, journal, stem.with_name(stem.name + ".checkpoints"))

    @staticmethod
    def existing(path: str | os.PathLike[str]) -> Paths:
        """Return the paths of a population that is there, if only by its journal.

        Raises:
            PopulationFileError: There is none, or ``path`` is a folder.
        """
        paths = Paths.of(path)
        own_journal = os.path.exists(paths.journal) and paths.namesake is None
        if not (os.path.exists(paths.file) or own_journal):
            raise PopulationFileError(paths.missing)
        return paths

    @property
    def namesake(self) -> Path | None:
        """Another population file, whose journal ours would be: it differs in its ending alone."""
        others = (self.journal.with_suffix(suffix) for suffix in _SUFFIXES)
        return next((one for one in others if one != self.file and os.path.exists(one)), None)

    @property
    def missing(self) -> str:
        """That there is no such population, and which one may have been meant."""
        other = self.namesake
        hint = "" if other is None else f", but {Path(self.name).with_name(other.name)}"
        return f"there is no population file {self.name}{hint}"
