"""Mixing: what targets say is what inputs show, for images and behind a prefix."""

import pytest
import torch
from batches import batch, dice, recipe

from evoft.training.mixing import channels_of, mix


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


def value(*shape, seed=1):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


class TestCut:
    """Values behind a frozen prefix."""

    LABELS = torch.arange(6) % 3
    RATES = ({"mixup": 0.8}, {"cutmix": 1.0}, {"mixup": 0.8, "cutmix": 1.0})

    @pytest.mark.parametrize("shape", [(6, 5, 4, 4), (6, 4, 4, 5), (6, 7, 7, 7)])
    def test_where_the_channels_of_square_maps_are(self, shape):
        assert channels_of(torch.zeros(shape)) == (3 if shape[1] == shape[2] < 7 else 1)
        assert shape[channels_of(torch.zeros(shape))] == (5 if 5 in shape else 7)

    @pytest.mark.parametrize("shape", [(6, 5), (6, 9, 5), (6, 5, 1, 1), (6, 1, 1, 5),
                                       (6, 2, 3, 4), (6, 2, 2, 2, 2)])  # fmt: skip
    def test_what_has_no_square_maps(self, shape):
        assert channels_of(torch.zeros(shape)) is None

    def test_maps_are_mixed_as_images_are(self):
        images = batch(6, 8, 8)
        for rates in self.RATES:
            for seed in range(20):
                whole = mix(images, self.LABELS, 3, recipe(**rates), dice(seed))
                (first,), targets = mix((images,), self.LABELS, 3, recipe(**rates), dice(seed))
                last = (images.permute(0, 2, 3, 1).contiguous(),)
                (last,), same = mix(last, self.LABELS, 3, recipe(**rates), dice(seed))
                assert torch.equal(first, whole[0])
                assert torch.equal(last, whole[0].permute(0, 2, 3, 1))
                assert torch.equal(targets, whole[1])
                assert torch.equal(same, whole[1])

    @pytest.mark.parametrize("shapes", [
        [(4, 4)], [(3,)], [(5, 3)], [(3, 8, 8)], [(4, 4, 3)], [(3, 2, 2), (3,)], [(3,), (3, 6, 6)],
        [(3, 6, 6), (3, 6, 6), (7, 3)],
    ])  # fmt: skip
    @pytest.mark.parametrize("rates", RATES)
    def test_targets_say_what_there_is_of_each_image(self, shapes, rates):
        # Each image is its own class, and all that is kept of it is that class's number.
        labels = torch.arange(5)
        values = tuple(
            labels.float().view(5, *(1 for _ in shape)).expand(5, *shape).contiguous()
            for shape in shapes
        )
        mixed = 0
        for seed in range(40):
            out, targets = mix(values, labels, 5, recipe(**rates), dice(seed))
            wanted = targets @ labels.float()
            mixed += int((targets.max(1).values < 0.99).any())
            for one, before in zip(out, values, strict=True):
                assert one.shape == before.shape
                assert torch.allclose(one.flatten(1).mean(1), wanted, atol=1e-5)
        assert mixed > 10

    def test_maps_of_several_sizes_get_the_same_rectangle(self):
        labels = torch.tensor([0, 1])
        images = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1)
        values = (images.expand(2, 3, 8, 8).clone(), images.expand(2, 16, 16, 3).clone())
        for seed in range(20):
            (small, large), targets = mix(values, labels, 2, recipe(cutmix=1.0), dice(seed))
            assert set(small.unique().tolist()) <= {0.0, 1.0}
            pooled = large.permute(0, 3, 1, 2).unflatten(2, (8, 2)).unflatten(4, (8, 2))
            # A coarse cell whose four fine ones are alike is like them.
            fine = pooled.mean((3, 5))
            alike = (fine == 0) | (fine == 1)
            inner = alike & ((small - fine).abs() < 1e-6)
            assert int(inner.sum()) == int(alike.sum())
            assert torch.allclose(small.mean((1, 2, 3)), targets[:, 1], atol=1e-6)

    def test_values_without_places_are_blended_by_the_area(self):
        values, labels = (value(6, 5), value(6, 7, 5, seed=2)), self.LABELS
        for seed in range(10):
            out, targets = mix(values, labels, 3, recipe(cutmix=1.0), dice(seed))
            stream = dice(seed)
            share = stream.beta(1.0)
            partner = stream.order(6)
            for one, before in zip(out, values, strict=True):
                assert torch.allclose(one, share * before + (1 - share) * before[partner])
            eye = torch.eye(3)[labels]
            assert torch.allclose(targets, share * eye + (1 - share) * eye[partner])

    def test_types_stay(self):
        values = tuple(value(6, 4, 8, 8).to(dtype) for dtype in (torch.bfloat16, torch.float32))
        for rates in self.RATES:
            out, _ = mix(values, self.LABELS, 3, recipe(**rates), dice())
            assert [one.dtype for one in out] == [torch.bfloat16, torch.float32]

    def test_without_mixing_they_are_passed_on(self):
        values = (value(6, 5),)
        assert mix(values, self.LABELS, 3, recipe(), dice())[0] is values
