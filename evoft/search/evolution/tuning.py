"""The constants of the evolution.  They are no settings, but a benchmark may take parts away."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from evoft.search.evolution.brood import Breeding


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """How the evolution searches, beside what users can set."""

    #: Individuals that are not bred, unless more are named: the default, the named, a sample.
    founders: int = 6
    #: Whether a default recipe that is stated climbs first, and on to the top whenever it can.
    lead: bool = True
    #: All founders climb to the highest rung to which they can for so many full trainings in all.
    schooling: float = 0.5
    #: How broods are bred.
    breeding: Breeding = field(default_factory=Breeding)
    #: Whether a Gaussian process judges; else one of the brood or of the paused is drawn.
    referee: bool = True
    #: What a plan is worth: the expected improvement by what its rung will reveal, and for a plan
    #: to train in full also that on the best score observed; the first alone; or plain expected
    #: improvement at the full budget.
    worth: Literal["gained", "revealed", "plain"] = "gained"
    #: Power of the cost that a plan's promise is divided by, 0 to 1.
    thrift: float = 0.6
    #: Plans whose promises differ by less than this share are equal, and the cheapest is taken.
    tie: float = 0.01
    #: Added to the logarithm of the promise of whoever was judged last, so that a plan that was
    #: begun is not forgotten for a fresh brood's.
    loyalty: float = 0.0
    #: What is to be improved on: the best predicted full training of those who were born, the best
    #: score observed on any rung, or the higher of the two.
    incumbent: Literal["predicted", "observed", "both"] = "predicted"
    #: The yardstick's clip: so many times the distance from the median to the best, below it.
    reach: float = 2.0
    #: How many of the living are judged at all; and, by expected improvement, how many of the
    #: paused have plans, and how many of these and of a brood are looked at closely.
    living: int = 400
    paused: int = 64
    closely: int = 32
