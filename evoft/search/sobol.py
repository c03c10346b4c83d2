"""The scrambled Sobol sequence, of which the samples of a space are made."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from evoft.search.undisturbed import undisturbed
from evoft.seeds import generator


def sobol_points(genes: int, seed: int, *, first: int, count: int) -> NDArray[np.float64]:
    """Return points of the scrambled Sobol sequence (Owen 1998) in the unit cube of the genes.

    Args:
        genes: The cube's dimensions.
        seed: The search's.
        first: Number of the first point, from 0; each follows from the seed and its number alone.
        count: How many points.

    Returns:
        ``(count, genes)``, in ``[0, 1)``.
    """
    # scipy.stats takes half a second to import, and a resumed run may never need it.
    from scipy.stats import qmc

    with undisturbed():  # scipy loads its tables there, and drops what is raised meanwhile
        sequence = qmc.Sobol(d=genes, rng=generator(seed, "founders"))
    if first:
        sequence.fast_forward(first)
    with warnings.catch_warnings():
        # Balance wants a power of two; being well spread does not.
        warnings.filterwarnings("ignore", message="The balance properties")
        return np.asarray(sequence.random(count), dtype=np.float64)
