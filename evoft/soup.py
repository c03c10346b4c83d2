"""What came of a soup: the mean of the weights of models that were fine-tuned from one start."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from evoft.trial import TrialKey


class Fate(StrEnum):
    """What became of a model that a soup could have had."""

    #: Its weights are in the mean.
    TAKEN = "taken"
    #: It lies in another basin: halfway to it models are worse than at either end.
    APART = "in another basin"
    #: With it the mean was no better.
    LEFT = "no better"
    #: Its checkpoint cannot be read.
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Soup:
    """A soup, as it was judged on the validation images."""

    #: The run that it began with, whose fitness alone is ``alone``.
    base: TrialKey
    alone: float
    #: Fitness of the mean of all that were taken; ``alone`` where nobody was.
    fitness: float
    #: What became of the others, in the order in which they were tried.
    fates: tuple[tuple[TrialKey, Fate], ...]

    @property
    def taken(self) -> tuple[TrialKey, ...]:
        """The runs whose weights are in the mean beside the base's, in order."""
        return tuple(key for key, fate in self.fates if fate is Fate.TAKEN)

    @property
    def damaged(self) -> tuple[TrialKey, ...]:
        """The runs whose checkpoints cannot be read, in order."""
        return tuple(key for key, fate in self.fates if fate is Fate.DAMAGED)

    def count(self, fate: Fate) -> int:
        """Return how many of the others had a fate."""
        return sum(one is fate for _, one in self.fates)
