"""Images of a split, and how many of them pass through a model at a time."""

import pytest
import torch

from evoft.training.examples import Examples


@pytest.mark.parametrize(
    ("height", "width", "passing"),
    [(8, 8, 256), (128, 128, 256), (224, 224, 83), (256, 256, 64), (192, 384, 56), (3000, 4000, 1)],
)
def test_fewer_large_images_pass_at_a_time(height, width, passing):
    pixels = torch.empty((2, height, width, 3), dtype=torch.uint8)
    places, labels, channels = torch.arange(2), torch.zeros(2, dtype=torch.int64), torch.ones(3)
    assert Examples(pixels, places, labels, channels, channels, 3).passing == passing
