"""Random search: a space-filling sample, everybody trained in full.

The sample is a scrambled Sobol sequence (Owen 1998), which covers a space more evenly than
independent draws do (Bergstra and Bengio 2012, section 5).  A longer run goes on with the same
sequence.
"""

from __future__ import annotations

from evoft.search.chronicle import Chronicle
from evoft.search.sampling import Heedless, Sample
from evoft.search.stint import Decision


class RandomSearch(Heedless):
    """The default, the named founders, then a Sobol sequence; no outcome matters."""

    def __init__(self, chronicle: Chronicle) -> None:
        self._sample = Sample(chronicle)

    def decide(self) -> Decision | None:
        """Return the next founder, or the next of the sequence who means something new."""
        return self._sample.next()
