"""Sizes of images: what a backbone cannot look at is refused, with a size that it can."""

import pytest
import timm

from evoft.errors import BackboneError, SettingsError
from evoft.settings import TrainingSettings
from evoft.training.backbone import build
from evoft.training.sizes import check_size, total_stride


def wanted(size):
    return TrainingSettings(pretrained=False, img_size=size)


@pytest.mark.parametrize(
    ("model", "size", "least", "stride", "usual"),
    [
        ("embedded", 1, 4, 8, 32),
        ("embedded", 3, 4, 8, 32),
        ("test_resnet", 1, 16, 32, 160),
        ("test_resnet", 15, 16, 32, 160),
        ("test_vit", 4, 16, 16, 160),
        ("test_vit", 15, 16, 16, 160),
        ("test_convnext", 24, 32, 32, 160),
        ("test_maxvit", 8, 32, 32, 160),
    ],
)
def test_one_that_is_too_small(model, size, least, stride, usual):
    with pytest.raises(SettingsError) as refused:
        check_size(model, wanted(size))
    assert str(refused.value) == (
        f"`img_size` is {size}, which is too small for {model}, whose layers shrink a side "
        f"{stride} times: give --img-size {least} or more, or leave it out for its own {usual}"
    )
    check_size(model, wanted(least))


@pytest.mark.parametrize(("model", "size", "instead"), [("test_vit", 33, 48), ("test_vit", 17, 32)])
def test_one_that_does_not_fit_the_layers(model, size, instead):
    words = (
        rf"{model} cannot take images of {size} x {size} pixels \(.+\): give --img-size {instead}, "
    )
    with pytest.raises(SettingsError, match=words):
        check_size(model, wanted(size))
    check_size(model, wanted(instead))


@pytest.mark.parametrize(
    ("model", "size"), [("embedded", 33), ("test_resnet", 28), ("test_vit", None)]
)
def test_others_pass(model, size):
    check_size(model, wanted(size))


def test_a_model_that_timm_does_not_know():
    with pytest.raises(BackboneError, match="no model named"):
        check_size("resnet18x", wanted(32))


@pytest.mark.parametrize("name", timm.list_models("test_*"))
def test_every_stride_is_known(name):
    assert total_stride(build(name, wanted(None), 2, pretrained=False)) in {16, 32}
