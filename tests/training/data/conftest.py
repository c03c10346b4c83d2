"""Small data sets made on the spot."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Paint = Callable[..., Path]
Fill = Callable[[Path, Mapping[str, int]], Path]


def noise(seed: int, height: int = 9, width: int = 9) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def paint() -> Paint:
    """``paint(path, seed)`` writes an image that no other seed gives."""

    def to(path: Path, seed: int, mode: str = "RGB", height: int = 9, width: int = 9) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(seed, height, width)).convert(mode).save(path)
        return path

    return to


@pytest.fixture
def fill(paint: Paint) -> Fill:
    """``fill(root, {"a": 3, "train/b": 2})`` makes folders with so many images, all different."""
    seed = 0

    def to(root: Path, counts: Mapping[str, int]) -> Path:
        nonlocal seed
        for folder, count in counts.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            for i in range(count):
                seed += 1
                paint(root / folder / f"{i}.png", seed)
        return root

    return to


@pytest.fixture
def real_data() -> Path:
    """The folder of real data, where there is one."""
    beside = Path(__file__).parents[4] / "shared" / "data"
    folder = Path(os.environ.get("EVOFT_DATA", beside)) / "images"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: name its folder by EVOFT_DATA")
    return folder
