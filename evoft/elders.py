"""Founders of a new population from the best of earlier ones."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace

from evoft.errors import SettingsError
from evoft.lineage import elders_of
from evoft.search.inheritance import inherit
from evoft.search.space import SearchSpace
from evoft.settings import Settings

_logger = logging.getLogger(__name__)


def with_elders(
    settings: Settings, space: SearchSpace, files: Sequence[str | os.PathLike[str]]
) -> Settings:
    """Return the settings with the best of earlier populations among the founders.

    What of those populations has no place in the space is told in a warning.

    Args:
        settings: Of the new population.
        space: Its genes.
        files: The population files of the earlier ones.

    Raises:
        PopulationFileError: There is no such population, or it cannot be used.
        SettingsError: The files are no list of them, have nothing to give, or generation 0 has no
            place for it.
    """
    listed = isinstance(files, Sequence) and not isinstance(files, str | os.PathLike)
    if not listed or not all(isinstance(file, str | os.PathLike) for file in files):
        raise SettingsError(f"`elders` must be a list of population files, but is {files!r}")
    size = settings.search.population_size
    found = inherit(space, elders_of(files, space.keys()), settings.founders, size)
    for sentence in found.said:
        _logger.warning("%s", sentence)
    return replace(settings, founders={**settings.founders, **found.founders})
