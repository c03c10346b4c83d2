"""Where the files of a population are."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from evoft.errors import PopulationFileError


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
            PopulationFileError: ``path`` is a folder.
        """
        name = os.fspath(path)
        file = Path(os.path.realpath(name))
        if file.is_dir():
            raise PopulationFileError(f"{name} is a folder, not a population file")
        stem = file.with_suffix("") if file.suffix in (".h5", ".hdf5") else file
        journal = stem.with_name(stem.name + ".journal")
        return Paths(name, file, journal, stem.with_name(stem.name + ".checkpoints"))

    @staticmethod
    def existing(path: str | os.PathLike[str]) -> Paths:
        """Return the paths of a population that is there, if only by its journal.

        Raises:
            PopulationFileError: There is none, or ``path`` is a folder.
        """
        paths = Paths.of(path)
        if not paths.file.exists() and not paths.journal.exists():
            raise PopulationFileError(f"there is no population file {paths.name}")
        return paths
