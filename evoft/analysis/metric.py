"""What the fitness of a population is: the accuracy, or the balanced accuracy."""

from __future__ import annotations

from evoft.lineage import Population
from evoft.settings import ACCURACY


def metric_of(population: Population) -> str:
    """Return what a population's fitness is; files of earlier versions do not say."""
    metric: str = population.header.settings.get("training", {}).get("metric", ACCURACY)
    return metric


def words_of(metric: str) -> str:
    """Return a metric's name as one says it."""
    return metric.replace("_", " ")
