"""Twins: children that differ from an elder so little that they could only be luckier."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evoft.search.evolution.encoding import Array
from evoft.search.evolution.operators import SHORTEST

#: A twin stands within this share of its range of an elder in every ordered gene that counts, and
#: has its choices.
CLOSE = SHORTEST


def twins(rows: Array, elders: Array) -> NDArray[np.bool_]:
    """Tell who is an elder's twin, ``(k,)``.

    Args:
        rows: Encoded genomes, ``(k, columns)``.
        elders: Those of everyone born, ``(m, columns)``.
    """
    near = np.ones((len(rows), len(elders)), dtype=np.bool_)
    for column, those in zip(rows.T, elders.T, strict=True):
        near &= np.abs(column[:, None] - those[None, :]) < CLOSE
        if not near.any():  # as a rule after a few of them
            break
    return np.asarray(near.any(axis=1))
