"""Mixing: what targets say is what inputs show, for images and behind a prefix."""

import pytest
import torch

from evoft.recipe import Recipe
from evoft.training.augmentation import Dice
from evoft.training.mixing import mix

CPU = torch.device("cpu")


def recipe(**values):
    return Recipe(model="m", epochs=1, **values)


def dice(seed=0):
    return Dice(seed, CPU)


def batch(count=8, height=12, width=10, seed=1):
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed))


class TestImages:
    LABELS = torch.arange(8) % 4

    def test_none_is_the_identity(self):
        images = batch()
        out, targets = mix(images, self.LABELS, 4, recipe(), dice())
        assert out is images
        assert torch.equal(targets, torch.eye(4)[self.LABELS])

    @pytest.mark.parametrize("rates", [{"mixup": 0.4}, {"cutmix": 1.0},
                                       {"mixup": 0.8, "cutmix": 0.5}])  # fmt: skip
    def test_targets_sum_to_one_and_shapes_stay(self, rates):
        for seed in range(50):
            images = batch()
            out, targets = mix(images, self.LABELS, 4, recipe(**rates), dice(seed))
            assert out.shape == images.shape
            assert targets.shape == (8, 4)
            assert torch.allclose(targets.sum(1), torch.ones(8))
            assert float(targets.min()) >= 0.0
            assert 0.0 <= float(out.min()) <= float(out.max()) <= 1.0

    @pytest.mark.parametrize("rates", [{"mixup": 0.8}, {"cutmix": 1.0}])
    def test_targets_say_which_pixels_there_are(self, rates):
        # Each image is its own class and shows it: channel c of class c is 1.
        labels = torch.tensor([0, 1, 2])
        images = torch.eye(3)[:, :, None, None].expand(3, 3, 16, 16)
        mixed = 0
        for seed in range(40):
            out, targets = mix(images, labels, 3, recipe(**rates), dice(seed))
            assert torch.allclose(out.mean((2, 3)), targets, atol=1e-5)
            mixed += int((targets.max(1).values < 0.99).any())
        assert mixed > 10

    def test_cutmix_pastes_and_mixup_blends(self):
        labels = torch.tensor([0, 1])
        images = torch.stack((torch.zeros(3, 16, 16), torch.ones(3, 16, 16)))
        pasted, blended = set(), set()
        for seed in range(30):
            out, _ = mix(images, labels, 2, recipe(cutmix=1.0), dice(seed))
            pasted |= set(out.unique().tolist())
            out, _ = mix(images, labels, 2, recipe(mixup=1.0), dice(seed))
            blended |= set(out.unique().tolist())
        assert pasted == {0.0, 1.0}
        assert len(blended) > 10

    def test_with_both_each_comes_about_half_of_the_time(self):
        labels = torch.tensor([0, 1])
        images = torch.stack((torch.zeros(3, 8, 8), torch.ones(3, 8, 8)))
        stream = dice()
        blended = 0
        mixed = 0
        for _ in range(600):
            out, targets = mix(images, labels, 2, recipe(mixup=1.0, cutmix=1.0), stream)
            if float(targets.max()) < 0.999:
                mixed += 1
                blended += not set(out.unique().tolist()) <= {0.0, 1.0}
        assert mixed > 200
        assert blended / mixed == pytest.approx(0.5, abs=0.1)

    def test_a_seed_repeats_it(self):
        for rates in ({"mixup": 0.4}, {"cutmix": 0.4}):
            once, again, other = (mix(batch(), self.LABELS, 4, recipe(**rates), dice(s))
                                  for s in (1, 1, 2))  # fmt: skip
            assert torch.equal(once[0], again[0])
            assert torch.equal(once[1], again[1])
            assert not torch.equal(once[0], other[0])

    def test_one_image_mixes_with_itself(self):
        images = batch(1)
        for rates in ({"mixup": 0.4}, {"cutmix": 0.4}):
            out, targets = mix(images, torch.tensor([2]), 4, recipe(**rates), dice())
            assert torch.allclose(out, images)
            assert torch.allclose(targets, torch.eye(4)[2:3])
