"""Niches: of those who stand close together the best alone breeds.

Were scores alone to choose the parents, a search that has settled would breed one family, whose
children stand as close again, and forget another that is nearly as good.
"""

from __future__ import annotations

import numpy as np

from evoft.search.evolution.encoding import Array, Indices


def cleared(rows: Array, *, radius: float, most: int) -> Indices:
    """Return who is the best of its niche: Petrowski's clearing (1996) with one winner each.

    Args:
        rows: Encoded genomes, the best first, ``(k, columns)``.
        radius: A niche reaches this share of its range in every ordered gene that counts, and has
            its winner's choices; 0 clears nobody.
        most: No more winners than this are looked for.

    Returns:
        Their places in ``rows``, the best first, ``(m,)``, at most ``most``.
    """
    winners: list[int] = []
    for place, row in enumerate(rows):
        if len(winners) == most:
            break
        apart = np.abs(rows[winners] - row).max(axis=1, initial=0.0)
        if bool((apart >= radius).all()):
            winners.append(place)
    return np.array(winners, dtype=np.intp)
