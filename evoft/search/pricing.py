"""What an epoch of training a genome costs, where genomes differ in that."""

from __future__ import annotations

import math
from collections.abc import Callable

from evoft.errors import SettingsError
from evoft.genome import Genome
from evoft.rules import obeys, plain
from evoft.search.space import SearchSpace

#: What an epoch of training a genome costs: above 0, and always the same for a genome, for the
#: lineage follows from it.  In a search it is in epochs of the default's.
Price = Callable[[Genome], float]

#: By no more than this factor a price is above or below the default's: beyond it, a budget that
#: pays for the one means nothing for the other.
_FAR = 1e6
#: Two prices of a genome may differ by this share and be equal, as logarithms do between machines.
_SAME = 1e-9


def checked(price: Price) -> Price:
    """Return a price that raises a ``SettingsError`` where the one given raises, or is none."""

    def right(genome: Genome) -> float:
        try:
            found = plain(price(genome))
            number = float(found) if isinstance(found, int) else found
        except SettingsError:
            raise
        except Exception as error:
            raise SettingsError(f"`price` fails with {error!r} for {genome!r:.200}") from error
        if isinstance(found, bool) or not obeys(number, "> 0"):
            raise SettingsError(
                "`price` must give a finite number above 0, what an epoch of training costs, but "
                f"gives {found!r:.80} for {genome!r:.200}"
            )
        return float(number)

    return right


def relative(price: Price, space: SearchSpace) -> Price:
    """Return what an epoch of a genome costs in epochs of the default's, whatever the unit.

    Raises:
        SettingsError: The default has no price; or, when it is called, a genome has none, or one
            that is a million times the default's or a millionth of it.
    """
    right = checked(price)
    unit = right(space.default())

    def ratio(genome: Genome) -> float:
        found = right(genome) / unit
        if not 1 / _FAR <= found <= _FAR:
            raise SettingsError(
                f"`price` gives {found:.3g} times the default's for {genome!r:.200}: between a "
                f"millionth and a million times must lie what one budget is to pay for"
            )
        return found

    return ratio


def same_price(one: float, other: float) -> bool:
    """Tell whether two prices of a genome are one, but for how machines round."""
    return math.isclose(one, other, rel_tol=_SAME)
