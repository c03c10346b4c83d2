"""Augmentation: what it may do to images, how often, and that a seed repeats it."""

import pytest
import torch
from batches import batch, dice, recipe

from evoft.training.augmentation import augment
from evoft.training.mixing import mix


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


def test_the_global_generator_is_left_alone():
    torch.manual_seed(9)
    before = torch.get_rng_state()
    settings = recipe(augment=1.0, hflip=0.5, reprob=0.5, mixup=0.4, cutmix=0.4)
    mix(augment(batch(), settings, dice()), torch.zeros(8, dtype=torch.int64), 2, settings, dice())
    assert torch.equal(torch.get_rng_state(), before)
