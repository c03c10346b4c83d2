"""What an epoch of training a genome costs, where genomes differ in that."""

from __future__ import annotations

from collections.abc import Callable

from evoft.errors import SettingsError
from evoft.genome import Genome
from evoft.rules import obeys, plain

#: What an epoch of training a genome costs, in epochs of the default's: above 0, and always the
#: same for a genome, for the lineage follows from it.
Price = Callable[[Genome], float]


def checked(price: Price) -> Price:
    """Return a price that raises a ``SettingsError`` where the one given raises, or is none."""

    def right(genome: Genome) -> float:
        try:
            found = plain(price(genome))
        except Exception as error:
            raise SettingsError(f"`price` fails with {error!r} for {genome!r:.200}") from error
        if not obeys(found, "> 0"):
            raise SettingsError(
                "`price` must give a finite number above 0, what an epoch of training costs in "
                f"epochs of the default's, but gives {found!r:.80} for {genome!r:.200}"
            )
        return float(found)

    return right
