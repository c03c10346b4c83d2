"""The one reading of the test split: the winner against the default recipe, image by image."""

from __future__ import annotations

from dataclasses import dataclass

from evoft.trial import Stage, TrialKey

#: How many images both, only the winner, only the default, or neither classified rightly.
Counts = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many test images the winner and the default recipe got right, together and alone."""

    #: Id of the winning individual, and which of its final runs was read.
    winner: int
    winner_repeat: int
    #: Id of the default recipe's individual, and which of its final runs was read; -1 when none
    #: of them ended well, so that there is nothing to compare with.
    default: int
    default_repeat: int
    #: Test images that both, only the winner, only the default, or neither classified rightly.
    both: int
    only_winner: int
    only_default: int
    neither: int
    #: The same for each class, in their order, where the fitness is the balanced accuracy; else
    #: empty.
    by_class: tuple[Counts, ...] = ()

    @property
    def winner_run(self) -> TrialKey:
        """The winner's final run that was read."""
        return (Stage.FINAL, self.winner, self.winner_repeat)

    @property
    def default_run(self) -> TrialKey | None:
        """The default recipe's final run that was read; None when none of them ended well."""
        if self.default < 0:
            return None
        return (Stage.FINAL, self.default, self.default_repeat)

    @property
    def images(self) -> int:
        """How many test images were read."""
        return self.both + self.only_winner + self.only_default + self.neither

    @property
    def winner_accuracy(self) -> float:
        """Share of the test images that the winner classified rightly, 0 to 1."""
        return (self.both + self.only_winner) / self.images

    @property
    def default_accuracy(self) -> float:
        """Share of the test images that the default recipe classified rightly, 0 to 1."""
        return (self.both + self.only_default) / self.images
