"""Small batches of images, and what happens to them."""

import torch

from evoft.recipe import Recipe
from evoft.training.augmentation import Dice

CPU = torch.device("cpu")


def recipe(**values):
    return Recipe(model="m", epochs=1, **values)


def dice(seed=0):
    return Dice(seed, CPU)


def batch(count=8, height=12, width=10, seed=1):
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed))
