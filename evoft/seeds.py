"""Every random stream of a run, derived from the run's seed, a purpose and an id.

No generator state is ever stored: a stream is made again from its name (docs/design.md, rule 1).
"""

from __future__ import annotations

import hashlib

import numpy as np


def derive(seed: int, purpose: str, *ids: int) -> int:
    """Return the seed of the stream named by ``(seed, purpose, ids)``.

    Args:
        seed: The run's seed, any integer.
        purpose: What the stream is for, such as ``"breed"`` or ``"order"``.
        ids: What tells streams of one purpose apart, such as an individual's id.

    Returns:
        An integer in ``[0, 2**63)``: the same on every machine and Python version.
    """
    name = "/".join([str(seed), purpose, *map(str, ids)])
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(seed: int, purpose: str, *ids: int) -> np.random.Generator:
    """Return a fresh numpy generator for the stream named by ``(seed, purpose, ids)``."""
    return np.random.default_rng(derive(seed, purpose, *ids))
