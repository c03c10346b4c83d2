"""A folder of tiny images, and the flags of a short run on it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("cat", "dog", "eel")
COUNTS = {"train": 16, "val": 8, "test": 8}
#: A run of a few seconds: eight individuals, two finalists and the default once more.
SHORT = ("--strategy", "ga", "--generations", "2", "--population-size", "4", "--epochs", "2",
         "--finalists", "2", "--repeats", "1", "--img-size", "24", "--devices", "cpu",
         "--seed", "5")  # fmt: skip


def paint(root: Path, counts: Mapping[str, int], seed: int = 0) -> Path:
    """Make a folder of images: each class has its own colour, under noise."""
    rng = np.random.default_rng(seed)
    for split, count in counts.items():
        for number, name in enumerate(CLASSES):
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 150, (20, 22, 3))
                pixels[..., number] += 60
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.png")
    return root
