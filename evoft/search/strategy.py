"""What a strategy is: it decides what is trained next, from what it has learned so far."""

from __future__ import annotations

from typing import Protocol

from evoft.outcome import Outcome
from evoft.search.stint import Decision, Stint


class Strategy(Protocol):
    """Decides stints, one at a time, as a pure function of the chronicle and what it has learned.

    It is told of every stint that was decided (``take``) and, later and in an order that does not
    depend on the workers, of its outcome (``learn``).  On a resumed run it is told the same from
    the records, without being asked, and at times of several stints before the outcomes that were
    known then: so whatever ``decide`` uses must follow from the settings, the seed, and what was
    taken and learned, whichever came first; never from an earlier call of ``decide``, and never
    from the outcomes in the chronicle, which may be of later times.
    """

    @property
    def blind(self) -> bool:
        """Whether the next decision needs no outcome at all, as those of founders.

        Then it is made without waiting for any; a generation may be in the open at most.
        """

    def take(self, stint: Stint) -> None:
        """Note a stint that was decided, here or before a resume; its individual is born."""

    def learn(self, stint: Stint, outcome: Outcome) -> None:
        """Learn the outcome of a stint that was taken."""

    def decide(self) -> Decision | None:
        """Return what is trained next; None: nobody can be born or continued.

        While stints are in flight on rungs, it is then asked again as each of them ends; the only
        one that it may continue then, and had not before, is the individual whose stint has ended.
        """
