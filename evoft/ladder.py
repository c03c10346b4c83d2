"""The ladder of budgets that an individual climbs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

#: Full trainings that two sums of costs may differ by and be equal.
EQUAL = 1e-9


@dataclass(frozen=True)
class Ladder:
    """The rungs: epochs trained in all when an individual is judged, ascending.

    A rung may be judged after a cool-down that branches off from the training: those epochs serve
    the judgement alone, and the next rung continues from where they began.
    """

    #: Epochs at each rung; the last is a full training.
    rungs: tuple[float, ...] = (1.0,)
    #: Share of a rung's epochs that are its cool-down, ``[0, 1)``.
    cooldown: float = 0.0

    @staticmethod
    def of(
        epochs: float, *, first: float = 1.0, factor: float = 3.0, cooldown: float = 0.0
    ) -> Ladder:
        """Return the ladder evenly spread in the logarithm from ``first`` to ``epochs``.

        Args:
            epochs: Epochs of a full training, above 0.
            first: Epochs of the lowest rung; at least ``epochs``: there is one rung only.
            factor: What each rung multiplies the one below it by, about: as nearly as whole
                steps allow; above 1.
            cooldown: Share of a rung's epochs that are its cool-down; one rung alone has none.
        """
        if first >= epochs:
            return Ladder((float(epochs),))
        steps = max(1, round(math.log(epochs / first) / math.log(factor)))
        exact = [first * (epochs / first) ** (i / steps) for i in range(steps + 1)]
        # Whole epochs where a rung has several; below one there is nothing to round to.
        lower = {float(round(e)) if e >= 1 else e for e in exact[:-1]}
        rungs = sorted({rung for rung in lower if rung < epochs} | {float(epochs)})
        return Ladder(tuple(rungs), cooldown if len(rungs) > 1 else 0.0)

    def __len__(self) -> int:
        return len(self.rungs)

    @property
    def epochs(self) -> float:
        """Epochs of a full training."""
        return self.rungs[-1]

    @property
    def top(self) -> int:
        """The highest rung."""
        return len(self.rungs) - 1

    @property
    def longest_warmup(self) -> float:
        """Share of a full training, ``(0, 1]``, after which a trial has warmed up at the latest.

        On several rungs that is halfway to the cool-down of the lowest one, so that all trials take
        the same steps until they cool down, and none is judged before its rate has stood.
        """
        if not self.top:
            return 1.0
        return 0.5 * (1.0 - self.cooldown) * self.rungs[0] / self.epochs

    def begins(self, rung: int) -> float:
        """Return how many epochs of the lower rungs the training to a rung goes on from."""
        return (1.0 - self.cooldown) * self.rungs[rung - 1] if rung else 0.0

    def cost(self, rung: int) -> float:
        """Return what it costs to train to a rung from the one below, in full trainings."""
        return self._costs[rung]

    @cached_property
    def cheapest(self) -> float:
        """Cost of the cheapest step from rung to rung, in full trainings."""
        return min(self._costs)

    @cached_property
    def _costs(self) -> tuple[float, ...]:
        return tuple(
            (epochs - self.begins(rung)) / self.epochs for rung, epochs in enumerate(self.rungs)
        )


def generation_at(spent: float, size: int) -> int:
    """Return the generation to which the next training belongs.

    Args:
        spent: Full trainings so far.
        size: Full trainings in a generation.
    """
    return int((spent + EQUAL) // size)


def is_too_dear(price: float, size: int, ladder: Ladder) -> bool:
    """Tell whether a whole generation does not pay for a genome's training to the lowest rung.

    Args:
        price: What an epoch of it costs, in epochs of the default's.
        size: Full trainings in a generation.
        ladder: What stints cost.
    """
    return price * ladder.cost(0) > size + EQUAL


def left_in_generation(spent: float, size: int, ladder: Ladder, price: float = 1.0) -> float:
    """Return the full trainings left in a generation, or in the next where they pay for no stint.

    Args:
        spent: Full trainings so far.
        size: Full trainings in a generation.
        ladder: What stints cost.
        price: The least that an epoch costs, in epochs of the default's.
    """
    end = (generation_at(spent, size) + 1) * size
    return end - spent + (0 if pays_for_more(spent, end, ladder, price) else size)


def pays_for_more(spent: float, births: float | None, ladder: Ladder, price: float = 1.0) -> bool:
    """Tell whether what is left to spend pays for the cheapest stint of all.

    Args:
        spent: Full trainings so far.
        births: Full trainings over the life of the population; None: as many as one likes.
        ladder: What stints cost.
        price: The least that an epoch costs, in epochs of the default's.
    """
    return births is None or spent + price * ladder.cheapest <= births + EQUAL
