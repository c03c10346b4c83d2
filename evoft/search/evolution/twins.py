"""Twins: children that differ from an elder so little that they could only be luckier."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

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
    nearest, _ = KDTree(elders).query(rows, p=np.inf, distance_upper_bound=CLOSE)
    return np.asarray(nearest < CLOSE)
