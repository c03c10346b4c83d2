"""The order in memory: what a model gives stays the same, and torch does not crash."""

import copy
import subprocess
import sys

import pytest
import torch

from evoft.settings import TrainingSettings
from evoft.training.backbone import build, digest, preprocessing_of
from evoft.training.memory_format import laid_out


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_vit", "test_convnext"])
def test_the_order_in_memory_leaves_a_model_what_it_is(name):
    settings = TrainingSettings(models=(name,), pretrained=False)
    model = build(name, settings, 3, pretrained=False).eval()
    other = laid_out(copy.deepcopy(model))
    state = other.state_dict()
    assert digest(state) == digest(model.state_dict())
    kernels = [t for t in state.values() if t.ndim == 4 and min(t.shape[1:]) > 1]
    assert kernels
    assert all(k.is_contiguous(memory_format=torch.channels_last) for k in kernels)
    side = preprocessing_of(model, settings).img_size
    images = torch.rand(4, 3, *side, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(other(images), model(images), rtol=1e-3, atol=1e-4)


#: Crashes as soon as it is trained, unless one convolution has its images in the plain order.
STRIDED = """
import torch
from evoft.settings import TrainingSettings
from evoft.training.backbone import build
from evoft.training.memory_format import laid_out

torch.manual_seed(0)
torch.set_num_threads(1)
settings = TrainingSettings(models=("repvgg_a0",), pretrained=False, img_size=96)
plain = build("repvgg_a0", settings, 3, pretrained=False).eval()
other = laid_out(build("repvgg_a0", settings, 3, pretrained=False)).eval()
other.load_state_dict(plain.state_dict())
images = torch.rand(8, 3, 96, 96)
for model, given in (
    (plain, images),
    (other, images.contiguous(memory_format=torch.channels_last)),
):
    model(given).square().mean().backward()
for (name, one), two in zip(plain.named_parameters(), other.parameters(), strict=True):
    torch.testing.assert_close(two.grad, one.grad, rtol=1e-2, atol=1e-3, msg=name)
"""


@pytest.mark.slow
def test_strided_kernels_of_one_pixel_train_on_a_cpu():
    done = subprocess.run([sys.executable, "-c", STRIDED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_only_strided_kernels_of_one_pixel_over_few_channels_have_images_in_the_plain_order():
    def order(*channels, **kind):
        layer = laid_out(torch.nn.Sequential(torch.nn.Conv2d(*channels, **kind)))
        seen = []
        layer[0].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        images = torch.rand(2, channels[0], 8, 8).contiguous(memory_format=torch.channels_last)
        layer(images)
        return "plain" if seen[0].is_contiguous() else "last"

    assert order(3, 8, kernel_size=1, stride=2) == "plain"
    assert order(15, 8, kernel_size=1, stride=(1, 2)) == "plain"
    assert order(16, 8, kernel_size=1, stride=2) == "last"
    assert order(3, 8, kernel_size=1) == "last"
    assert order(3, 8, kernel_size=3, stride=2) == "last"
    assert order(4, 8, kernel_size=1, stride=2, groups=4) == "last"
