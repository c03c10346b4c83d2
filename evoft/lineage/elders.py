"""Elders: the individuals of earlier populations, from whose best a new one may start."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from evoft.errors import SettingsError
from evoft.genome import Genome
from evoft.header import Header
from evoft.lineage.fallen import nobody_left
from evoft.lineage.population import Population
from evoft.places import place


def elders_of(
    files: Sequence[str | os.PathLike[str]], genes: Collection[str]
) -> dict[str, dict[int, Genome]]:
    """Return the genomes of those that did well in populations, by file and id, the best first.

    Args:
        files: The population files.
        genes: What was fixed for a whole population is in its genomes if it is one of these.

    Raises:
        PopulationFileError: There is no such population, or it cannot be used.
        SettingsError: A file is given twice, or nobody in it whose latest trial ended well.
    """
    paths = [place(file) for file in files]
    counts = Counter(path.name for path in paths)
    elders: dict[str, dict[int, Genome]] = {}
    for path in paths:
        name = path.name if counts[path.name] == 1 else str(path)
        if name in elders:
            raise SettingsError(f"founders are to come from {path} twice: name it once")
        population = Population.open(path)
        good = [i for i in population if i.score > -math.inf]
        if not good:
            why = nobody_left(population, "it")
            raise SettingsError(f"no founder can come from {path}, for {why}: leave it out")
        fixed = {gene: v for gene, v in _fixed(population.header).items() if gene in genes}
        best = sorted(good, key=lambda i: (-i.score, i.id))
        elders[name] = {i.id: Genome({**fixed, **i.genome}) for i in best}
    return elders


def _fixed(header: Header) -> dict[str, Any]:
    """Return what all individuals had alike, without its being a gene."""
    models = header.settings.get("training", {}).get("models", ()) if header.data else ()
    return {**({"model": models[0]} if models else {}), **header.settings.get("fixed", {})}
