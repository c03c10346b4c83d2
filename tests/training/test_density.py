"""How much a model computes for each value, by the definition and on real models."""

import pytest
import torch
from torch import nn

from evoft.settings import TrainingSettings
from evoft.training.backbone import build
from evoft.training.density import density_of
from evoft.training.precision import DENSE


def test_products_are_counted_for_each_value_of_each_layer():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),  # 27 products for each of 8 * 6 * 4 values
        nn.BatchNorm2d(8),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),  # 9 for each of as many
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 6 * 4, 5),  # 192 for each of 5
    )
    values = 8 * 6 * 4
    wanted = (27 * values + 9 * values + 192 * 5) / (2 * values + 5)
    assert density_of(model, (6, 4)) == pytest.approx(wanted)
    assert not model.training
    assert not any(layer._forward_hooks for layer in model.modules())


def test_a_layer_counts_as_often_as_it_is_used():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.often, self.once = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 6, 3, padding=1)

        def forward(self, images):
            return self.once(self.often(self.often(images)))

    assert density_of(Twice(), (5, 5)) == pytest.approx((2 * 3 * 3 + 6 * 27) / (2 * 3 + 6))


def test_a_model_without_such_layers_has_none():
    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(()))

        def forward(self, images):
            return images.mean((1, 2, 3)) * self.weight

    assert density_of(Bare(), (8, 8)) == 0.0


def test_hooks_are_gone_where_a_model_cannot_take_the_images():
    model = nn.Sequential(nn.Conv2d(4, 4, 1))
    with pytest.raises(RuntimeError):
        density_of(model, (8, 8))
    assert not model[0]._forward_hooks


@pytest.mark.parametrize(
    ("model", "size", "dense"),
    [
        ("embedded", 32, False),
        ("mobilenetv2_035", 96, False),
        ("efficientnet_b0", 64, False),
        ("resnet18", 64, True),
        ("resnet50", 64, True),
        ("deit_tiny_patch16_224", 224, True),
    ],
)
def test_backbones_are_dense_where_bfloat16_was_measured_to_be_faster(model, size, dense):
    built = build(model, TrainingSettings(models=(model,)), 10, pretrained=False)
    assert (density_of(built, (size, size)) >= DENSE) == dense
