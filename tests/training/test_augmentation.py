"""Augmentation: what it may do to images, how often, and that a seed repeats it."""

import pytest
import torch

from evoft.recipe import Recipe
from evoft.training.augmentation import Dice, augment, mix

CPU = torch.device("cpu")


def recipe(**values):
    return Recipe(model="m", epochs=1, **values)


def dice(seed=0):
    return Dice(seed, CPU)


def batch(count=8, height=12, width=10, seed=1):
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed))


class TestAugment:
    def test_none_is_the_identity(self):
        images = batch()
        assert augment(images, recipe(), dice()) is images

    @pytest.mark.parametrize("count", [1, 7])
    @pytest.mark.parametrize("size", [(12, 10), (1, 1), (32, 32)])
    def test_shape_range_and_input_untouched(self, count, size):
        images = batch(count, *size)
        before = images.clone()
        out = augment(images, recipe(augment=1.0, hflip=0.5, reprob=0.5), dice())
        assert out.shape == images.shape
        assert out.dtype == torch.float32
        assert 0.0 <= float(out.min()) <= float(out.max()) <= 1.0
        assert torch.equal(images, before)

    def test_a_seed_repeats_it_and_another_does_not(self):
        settings = recipe(augment=0.5, hflip=0.5, reprob=0.5)
        once, again, other = (augment(batch(), settings, dice(seed)) for seed in (3, 3, 4))
        assert torch.equal(once, again)
        assert not torch.equal(once, other)

    def test_each_image_is_changed_in_its_own_way(self):
        images = batch(1).expand(6, -1, -1, -1)
        out = augment(images, recipe(augment=0.5), dice())
        assert len({tuple(image.flatten().tolist()) for image in out}) == 6

    def test_stronger_is_farther(self):
        images = batch(64)
        far = [float((augment(images, recipe(augment=s), dice()) - images).abs().mean())
               for s in (0.01, 0.1, 0.3, 1.0)]  # fmt: skip
        assert far == sorted(far)
        assert far[0] < 0.1 * far[-1]

    @pytest.mark.parametrize("strength", [0.0, 1e-6])
    def test_flips_mirror_and_come_as_often_as_they_should(self, strength):
        images = batch(2000, 4, 6)
        out = augment(images, recipe(hflip=0.3, augment=strength), dice())
        mirrored = (out - images.flip(3)).abs().flatten(1).amax(1) < 1e-3
        same = (out - images).abs().flatten(1).amax(1) < 1e-3
        assert bool((mirrored ^ same).all())
        assert float(mirrored.float().mean()) == pytest.approx(0.3, abs=0.04)

    def test_certain_and_impossible_flips(self):
        images = batch(100)
        assert torch.equal(augment(images, recipe(hflip=1.0), dice()), images.flip(3))

    def test_erasing_comes_as_often_as_it_should(self):
        images = batch(2000, 32, 32)
        out = augment(images, recipe(reprob=0.25), dice())
        erased = (out != images).any(1).flatten(1).float().mean(1)
        assert float((erased > 0).float().mean()) == pytest.approx(0.25, abs=0.04)
        shares = erased[erased > 0]
        assert float(shares.min()) < 0.05
        assert 0.25 < float(shares.max()) < 0.4

    def test_what_is_erased_is_one_rectangle_of_the_mean(self):
        images = batch(50, 32, 32)
        out = augment(images, recipe(reprob=1.0), dice())
        for image, changed in zip(images, out, strict=True):
            inside = (image != changed).any(0)
            rows, columns = inside.any(1), inside.any(0)
            assert torch.equal(inside, rows[:, None] & columns[None, :])
            mean = image.mean((1, 2))
            assert torch.allclose(changed[:, inside], mean[:, None].expand(-1, int(inside.sum())))

    def test_colours_change_what_a_plain_image_is(self):
        plain = torch.full((500, 3, 8, 8), 0.5)
        out = augment(plain, recipe(augment=1.0), dice())
        assert float((out - out.mean((2, 3), keepdim=True)).abs().max()) < 1e-5
        levels = out.mean((1, 2, 3))
        assert float(levels.min()) < 0.3
        assert float(levels.max()) > 0.7
        assert float(levels.mean()) == pytest.approx(0.5, abs=0.03)


class TestMix:
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


def test_the_global_generator_is_left_alone():
    torch.manual_seed(9)
    before = torch.get_rng_state()
    settings = recipe(augment=1.0, hflip=0.5, reprob=0.5, mixup=0.4, cutmix=0.4)
    mix(augment(batch(), settings, dice()), torch.zeros(8, dtype=torch.int64), 2, settings, dice())
    assert torch.equal(torch.get_rng_state(), before)
