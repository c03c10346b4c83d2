"""Runs in pairs: what one method is ahead of another on the same problem with the same seed."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Paired:
    """What paired differences come to."""

    #: Mean over problems, each the mean over its seeds, and the standard error over problems, or
    #: over seeds where there is one problem; NaN where that is one as well.
    mean: float
    error: float
    #: How many differences are below 0, above it, and 0.
    below: int
    above: int
    equal: int
    problems: int

    @property
    def cell(self) -> str:
        """The mean and its error as a table shows them."""
        return f"{self.mean:+.2f} ± {self.error:.2f}".replace(" ± nan", "")

    @property
    def signs(self) -> str:
        """The counts as a table shows them."""
        return f"{self.below} : {self.above}" + f" ({self.equal} equal)" * (self.equal > 0)


def paired(differences: Mapping[tuple[str, int], float]) -> Paired:
    """Return what differences come to, by problem and seed; there is at least one."""
    each: dict[str, list[float]] = defaultdict(list)
    for (problem, _), value in differences.items():
        each[problem].append(value)
    means = np.array([np.mean(values) for values in each.values()])
    spread = means if len(means) > 1 else np.array(next(iter(each.values())))
    error = spread.std(ddof=1) / np.sqrt(len(spread)) if len(spread) > 1 else np.nan
    signs = np.sign(np.round(list(differences.values()), 6))
    counts = [int((signs == sign).sum()) for sign in (-1, 1, 0)]
    return Paired(float(means.mean()), float(error), *counts, problems=len(means))
