"""What an accuracy is to be held against: that of always saying the largest class."""

from __future__ import annotations

from collections.abc import Mapping

from evoft.analysis.metric import metric_of, words_of
from evoft.lineage import Population
from evoft.settings import ACCURACY

#: What the splits are called where numbers of them are told.
_SPLITS = {"val": "validation", "test": "test"}


def largest_class_of(population: Population) -> Mapping[str, float]:
    """Return what always saying a split's largest class has there, from 0 to 1, by split.

    It is told by the population's metric: balanced accuracy is the same for any one class.  Empty
    where it is not known: without images, or in a file of an evoft that did not count them.
    """
    data = population.header.data
    if not data:
        return {}
    if metric_of(population) != ACCURACY:
        return dict.fromkeys(_SPLITS, 1 / len(data["classes"])) if "classes" in data else {}
    counts: Mapping[str, int] = data.get("largest_class", {})
    return {split: counts[split] / data["splits"][split] for split in _SPLITS if split in counts}


def largest_class_numbers(shares: Mapping[str, float], metric: str) -> dict[str, dict[str, float]]:
    """Return what ``largest_class_of`` gave as plain JSON data; empty where it is not known."""
    numbers = {f"{_SPLITS[split]}_{metric}": share for split, share in shares.items()}
    return {"largest_class": numbers} if numbers else {}


def largest_class_sentences(shares: Mapping[str, float], split: str, metric: str) -> list[str]:
    """Return the sentence that says it of a split; none where it is not known."""
    if split not in shares:
        return []
    share = f"{100 * shares[split]:.1f} %"
    if metric != ACCURACY:
        return [f"Always saying the largest class has a {words_of(metric)} of {share}."]
    return [f"Always saying the largest class is right on {share} of the {_SPLITS[split]} images."]
