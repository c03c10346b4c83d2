"""Views: which a recipe draws and how often, what they look like, and that they are the same."""

import math

import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from evoft.recipe import Recipe
from evoft.training.augmentation import Dice
from evoft.training.examples import Examples
from evoft.training.features.kept import Features
from evoft.training.features.passes import Rendered, compute
from evoft.training.freezing import freeze, layer_groups, train_mode
from evoft.training.precision import Precision
from evoft.training.prefix.split import Plan, make_plan
from evoft.training.views import KINDS, UNCHANGED, View, choose, possible, render

CPU = torch.device("cpu")
RATES = st.one_of(st.sampled_from([0.0, 1.0, 0.5, 1 / 3]), st.floats(0, 1))
VIEWS = st.integers(1, 12)


def recipe(**values):
    return Recipe(model="m", epochs=1, **values)


def dice(seed=0):
    return Dice(seed, CPU)


def batch(count=8, side=16, seed=1):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


recipes = st.builds(recipe, augment=RATES, hflip=RATES, reprob=RATES)


class TestPossible:
    @given(recipes, VIEWS)
    def test_they_are_few_ordered_and_what_the_recipe_says(self, asked, views):
        found = possible(asked, views)
        assert list(found) == sorted(set(found))
        assert 1 <= len(found) <= KINDS * views
        assert {view.flipped for view in found} == {r > 0 for r in (asked.hflip,)} | (
            {False} if asked.hflip < 1 else set()
        )
        assert all(view.erased for view in found) == (asked.reprob == 1)
        assert any(view.erased for view in found) == (asked.reprob > 0)
        strengths = {view.strength(views) for view in found}
        assert min(strengths) == 0.0
        # No stronger than the recipe, but for the one step that makes up for what is missing.
        if views > 1:
            assert max(strengths) < asked.augment + 1 / (views - 1)
            assert max(strengths) >= asked.augment - 1e-6

    def test_a_recipe_that_changes_no_image_sees_it_unchanged(self):
        assert possible(recipe(mixup=0.2), 4) == (UNCHANGED,)

    @pytest.mark.parametrize("views", range(2, 30))
    def test_a_strength_that_is_a_view_s_has_none_above(self, views):
        for number in range(views):
            strength = number / (views - 1)
            assert possible(recipe(augment=strength), views)[-1] == View(number)

    def test_keys_differ_where_images_do(self):
        keys = {(view.key(n), view.strength(n), view.flipped, view.erased)
                for n in range(1, 9) for view in possible(recipe(augment=1, hflip=0.5, reprob=0.5), n)}  # fmt: skip # noqa: E501
        assert len({key for key, *_ in keys}) == len(keys)


class TestChoose:
    @given(recipes, VIEWS, st.integers(1, 200), st.integers(0, 2**32))
    def test_every_draw_is_possible(self, asked, views, count, seed):
        drawn = choose(asked, views, count, dice(seed))
        assert drawn.shape == (count,)
        assert drawn.dtype == torch.int64
        assert 0 <= int(drawn.min()) <= int(drawn.max()) < len(possible(asked, views))

    @settings(deadline=None, max_examples=30)
    @given(recipes, VIEWS, st.integers(0, 2**32))
    def test_each_comes_as_often_as_it_should(self, asked, views, seed):
        count = 4000
        top = asked.augment * (views - 1)
        counts = torch.bincount(
            choose(asked, views, count, dice(seed)), minlength=len(possible(asked, views))
        )
        for view, seen in zip(possible(asked, views), counts.tolist(), strict=True):
            weight = min(1.0, max(0.0, top + 1.0 - view.number)) / (top + 1.0)
            weight *= asked.hflip if view.flipped else 1 - asked.hflip
            weight *= asked.reprob if view.erased else 1 - asked.reprob
            # Six standard deviations, and what rounding the strength may move.
            slack = 6 * math.sqrt(weight * (1 - weight) / count) + 2e-3
            assert seen / count == pytest.approx(weight, abs=slack)

    def test_a_seed_repeats_it_and_another_does_not(self):
        asked = recipe(augment=1.0, hflip=0.5)
        once, again, other = (choose(asked, 8, 50, dice(seed)) for seed in (1, 1, 2))
        assert torch.equal(once, again)
        assert not torch.equal(once, other)

    def test_the_strength_changes_no_other_draw(self):
        weak, strong = (recipe(augment=a, hflip=0.5, reprob=0.3) for a in (0.2, 0.9))
        one, other = (
            [possible(r, 4)[place] for place in choose(r, 4, 100, dice())] for r in (weak, strong)
        )
        assert [(v.flipped, v.erased) for v in one] == [(v.flipped, v.erased) for v in other]


class TestRender:
    def test_number_zero_is_the_image(self):
        images = batch()
        assert render(images, UNCHANGED, 4, 0) is images
        assert torch.equal(render(images, View(0, flipped=True), 4, 0), images.flip(3))

    @pytest.mark.parametrize("view", possible(recipe(augment=1, hflip=0.5, reprob=0.5), 3))
    def test_it_is_the_same_each_time_and_leaves_the_images_and_torch_alone(self, view):
        images = batch()
        before, state = images.clone(), torch.get_rng_state()
        once = render(images, view, 3, 256)
        torch.rand(3)
        again = render(batch(), view, 3, 256)
        torch.set_rng_state(state)
        assert torch.equal(once, again)
        assert torch.equal(images, before)
        assert 0.0 <= float(once.min()) <= float(once.max()) <= 1.0

    def test_each_image_place_and_view_has_its_own_parameters(self):
        images = batch(1).expand(4, -1, -1, -1)
        made = [
            tuple(image.flatten().tolist())
            for view in possible(recipe(augment=1, hflip=0.5, reprob=0.5), 3)
            if view.number or view.erased
            for first in (0, 4)
            for image in render(images, view, 3, first)
        ]
        assert len(set(made)) == len(made)

    def test_higher_numbers_are_farther(self):
        images = batch(64)
        far = [float((render(images, View(n), 5, 0) - images).abs().mean()) for n in range(5)]
        assert far == sorted(far)
        assert far[0] == 0.0

    def test_every_image_of_an_erased_version_has_its_rectangle(self):
        images = batch(100, 32)
        gone = (render(images, View(0, erased=True), 4, 0) != images).any(1)
        assert bool(gone.flatten(1).any(1).all())
        rows, columns = gone.any(2), gone.any(1)
        assert torch.equal(gone, rows[:, :, None] & columns[:, None, :])


def examples_of(count, side):
    pixels = torch.randint(
        256, (count, side, side, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(3)
    )
    places = torch.arange(count)
    half = torch.full((3,), 0.5)
    return Examples(pixels, places, places % 3, half, half, 3)


FAMILIES = ["test_byobnet", "test_convnext", "test_efficientnet", "test_resnet", "test_vit",
            "test_maxvit"]  # fmt: skip


@pytest.mark.parametrize("precision", [None, Precision(torch.bfloat16, None)])
@pytest.mark.parametrize("name", FAMILIES)
def test_views_at_the_cut_train_like_the_images_whole(name, precision):
    examples = examples_of(6, 64)
    asked = recipe(augment=0.7, hflip=0.5, reprob=0.5)
    wanted = possible(asked, 3)
    places = torch.arange(len(examples))
    drawn = choose(asked, 3, len(places), dice())
    assert len(drawn.unique()) > 2
    whole, parted = (
        timm.create_model(name, num_classes=3, img_size=64)
        if timm.get_pretrained_cfg(name).fixed_input_size
        else timm.create_model(name, num_classes=3)
        for _ in range(2)
    )
    parted.load_state_dict(whole.state_dict())
    depth = len(layer_groups(whole)) // 2
    for model in (whole, parted):
        freeze(model, depth)
    plan = make_plan(parted, examples.normalise(examples.batch(places)))
    assert isinstance(plan, Plan), plan
    parts = plan.bind(parted)
    values = [
        zip(*compute(parts, examples, Rendered(view, 3, precision)), strict=True) for view in wanted
    ]
    kept = Features(parts.suffix, tuple(tuple(torch.cat(v) for v in one) for one in values), 3)
    shown = torch.stack(
        [render(examples.batch(places), wanted[d], 3, 0)[i] for i, d in enumerate(drawn.tolist())]
    )

    def step(model, run, given):
        train_mode(model)
        dtype = precision.dtype if precision else None
        with torch.autocast("cpu", dtype=dtype, enabled=precision is not None):
            logits = run(given)
        functional.cross_entropy(logits.float(), examples.labels).backward()
        return logits.detach(), {n: p.grad for n, p in model.named_parameters()}

    shown = shown.contiguous(memory_format=torch.channels_last)
    logits, gradients = step(whole, whole, examples.normalise(shown))
    parts.suffix.train()
    same_logits, same_gradients = step(parted, parts.suffix, kept.batch(places, drawn))
    assert torch.equal(logits, same_logits)
    assert any(gradient is not None for gradient in gradients.values())
    for parameter, gradient in gradients.items():
        other = same_gradients[parameter]
        assert (gradient is None) == (other is None), parameter
        assert gradient is None or torch.equal(gradient, other), parameter
