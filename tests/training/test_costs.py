"""Predicted costs: from probes alone, and drawn towards what trials took."""

import random

import pytest

from evoft.recipe import Recipe
from evoft.training.costs import Costs
from evoft.training.data import Preprocessing
from evoft.training.facts import BackboneFacts, Probe, Probes

LOOK = Preprocessing((8, 8), (0.5,) * 3, (0.5,) * 3, "bicubic", 1.0, "center")
FORWARD, BACKWARD, STEP = 1e-3, 2e-3, 5e-3
GIB = 2**30


def facts_of(weights="abc"):
    return BackboneFacts("net", 4, 10, LOOK, True, True, weights)


def probes_of(model="net", fits=lambda depth, size: True, scale=1.0):
    steps = tuple(
        Probe(
            depth,
            size,
            scale * (STEP + size * (FORWARD + BACKWARD * (4 - depth) / 4)),
            GIB + size * 2**20,
            fits=fits(depth, size),
        )
        for depth in (0, 2, 4)
        for size in (8, 32)
    )
    return Probes(model, steps, scale * FORWARD, 0, 0.1)


def costs(train=640, val=100, probes=None, weights="abc"):
    return Costs({"net": (facts_of(weights), probes or probes_of())}, train, val)


def recipe(**changes):
    return Recipe(**{"model": "net", "epochs": 2, "batch_size": 32, **changes})


def test_probes_alone_give_steps_images_and_validation():
    wanted = 0.25 + 2 * (20 * STEP + 640 * (FORWARD + BACKWARD) + 100 * FORWARD)
    assert costs().seconds(recipe()) == pytest.approx(wanted)
    small = 0.25 + 2 * (80 * STEP + 640 * (FORWARD + BACKWARD) + 100 * FORWARD)
    assert costs().seconds(recipe(batch_size=8)) == pytest.approx(small)


def test_depths_between_those_probed_lie_between():
    known = costs()
    depths = [known.seconds(recipe(freeze_depth=d)) for d in range(5)]
    assert depths == sorted(depths, reverse=True)
    assert len(set(depths)) == 5


def test_frozen_layers_are_free_only_where_they_are_shared():
    still, changing = recipe(freeze_depth=4), recipe(freeze_depth=4, hflip=0.5)
    assert costs().seconds(still) < costs().seconds(changing)
    assert costs(weights="").seconds(still) > 2 * costs().seconds(still)


def test_a_batch_is_no_larger_than_the_data():
    known = costs(train=16)
    assert known.seconds(recipe(batch_size=128)) == pytest.approx(
        known.seconds(recipe(batch_size=16))
    )


def test_what_did_not_fit_tells_nothing_of_time():
    known = costs(probes=probes_of(fits=lambda depth, size: size == 8))
    assert 0 < known.seconds(recipe()) < 60
    assert costs(probes=probes_of(fits=lambda depth, size: False)).seconds(recipe()) > 0


def sample(dice):
    return recipe(
        freeze_depth=dice.randrange(5),
        batch_size=dice.choice([8, 16, 32, 64]),
        hflip=dice.choice([0.0, 0.5]),
    )


def truth(known, recipe, scale, start, head):
    """Return another machine's seconds: all slower, trials start dearly, heads go together."""
    return (scale * known.seconds(recipe) + start) * (
        head if recipe.freeze_depth == 4 and not recipe.hflip else 1.0
    )


@pytest.mark.parametrize(
    ("scale", "start", "head"), [(3, 0, 1), (0.3, 0, 1), (2, 1, 1), (2, 0, 0.2)]
)
def test_outcomes_show_what_this_machine_is_like(scale, start, head):
    dice = random.Random(3)
    probed, known = costs(), costs()
    for _ in range(24):
        seen = sample(dice)
        known.learn(seen, truth(probed, seen, scale, start, head) * dice.uniform(0.9, 1.1))
    new = [sample(dice) for _ in range(40)]
    wanted = [truth(probed, r, scale, start, head) for r in new]
    found = [known.seconds(r) for r in new]
    assert sum(found) == pytest.approx(sum(wanted), rel=0.1)
    for one, other in zip(found, wanted, strict=True):
        assert one == pytest.approx(other, rel=0.5)


def test_one_outcome_moves_all_predictions():
    known = costs()
    before = known.seconds(recipe(freeze_depth=2))
    known.learn(recipe(), 10 * known.seconds(recipe()))
    assert known.seconds(recipe(freeze_depth=2)) > 3 * before


def test_later_outcomes_weigh_more():
    dice = random.Random(4)
    probed, known = costs(), costs()
    for scale in (5, 1):
        for _ in range(40):
            seen = sample(dice)
            known.learn(seen, scale * probed.seconds(seen))
    assert known.seconds(recipe()) < 2 * probed.seconds(recipe())


def test_no_outcome_makes_a_trial_cost_nothing_or_less():
    known = costs()
    known.learn(recipe(), 0.0)
    assert known.seconds(recipe()) > 0
    assert known.seconds(recipe(freeze_depth=4, batch_size=8)) > 0


def test_memory_grows_with_the_batch():
    assert costs().memory(32) == GIB + 32 * 2**20
    assert costs().memory(8) == costs().memory(32)  # what was seen to happen may happen
    assert costs().memory(128) == GIB + 128 * 2**20
    known = costs(probes=probes_of(fits=lambda depth, size: size == 8))
    assert known.memory(16) > known.memory(8) == GIB + 8 * 2**20
    assert costs(probes=probes_of(fits=lambda depth, size: False)).memory(8) == 0


def test_memory_that_a_trial_took_beyond_its_probe_is_counted_for_all():
    known = costs()
    known.saw(recipe(batch_size=8), known.memory(8) - 1)
    known.saw(recipe(batch_size=8), 0)
    assert known.memory(128) == GIB + 128 * 2**20
    known.saw(recipe(batch_size=64), known.memory(64) + 5)
    known.saw(recipe(batch_size=64), known.memory(64) - 3)
    assert known.memory(8) == GIB + 32 * 2**20 + 5
    assert known.memory(128) == GIB + 128 * 2**20 + 5
    unknown = costs(probes=probes_of(fits=lambda depth, size: False))
    unknown.saw(recipe(), GIB)
    assert unknown.memory(8) == 0


def test_memory_of_a_batch_is_that_of_the_data_it_has():
    known = costs(train=64)
    known.saw(recipe(batch_size=128), known.memory(64) + 7)
    assert known.memory(64) == GIB + 64 * 2**20 + 7


def test_the_dearest_backbone_counts():
    other = BackboneFacts("big", 4, 10, LOOK, True, True, "abc")
    big = probes_of("big", scale=5.0)
    known = Costs({"net": (facts_of(), probes_of()), "big": (other, big)}, 640, 100)
    assert known.seconds(recipe(model="big")) > 3 * known.seconds(recipe())


def test_what_goes_on_takes_its_own_epochs_only():
    known, asked = costs(), recipe(epochs=9)
    start, epoch = 0.25, 20 * STEP + 640 * (FORWARD + BACKWARD) + 100 * FORWARD
    assert known.seconds(asked) == pytest.approx(start + 9 * epoch)
    assert known.seconds(asked, 2.25, 9.0) == pytest.approx(start + 6.75 * epoch)
    assert known.seconds(asked, stop=3.0) == pytest.approx(start + 3 * epoch)
    # However short it is, it is judged once.
    fraction = start + (20 * STEP + 640 * (FORWARD + BACKWARD)) / 4 + 100 * FORWARD
    assert known.seconds(asked, stop=0.25) == pytest.approx(fraction)


def test_short_trials_teach_what_long_ones_take():
    known, asked = costs(), recipe(epochs=9)
    for _ in range(8):
        known.learn(asked, 3 * costs().seconds(asked, stop=1.0), stop=1.0)
        known.learn(asked, 3 * costs().seconds(asked, 0.75, 3.0), 0.75, 3.0)
    assert known.seconds(asked) == pytest.approx(3 * costs().seconds(asked), rel=0.1)


def test_trials_that_share_a_gpu_take_turns_with_their_kernels_and_not_with_their_launches():
    alone, shared = costs(), costs()
    shared.share(4)
    # A step of 32 images is 5 ms of launches and 96 ms of kernels, which four do in turn.
    wanted = 0.25 + 2 * (4 * 640 * (FORWARD + BACKWARD) + 4 * 100 * FORWARD)
    assert shared.seconds(recipe()) == pytest.approx(wanted)
    launched = costs(train=640, val=0), costs(train=640, val=0)
    launched[1].share(2)
    frozen = recipe(freeze_depth=3, batch_size=4)
    once, twice = (known.seconds(frozen) for known in launched)
    assert twice == pytest.approx(once)
    assert alone.seconds(recipe()) < wanted / 2


def test_what_trials_took_counts_as_they_took_it_together():
    known, truth = costs(), costs()
    known.share(4)
    truth.share(4)
    dice = random.Random(3)
    for _ in range(20):
        one = sample(dice)
        known.learn(one, 1.5 * truth.seconds(one))
    asked = recipe(batch_size=64)
    assert known.seconds(asked) == pytest.approx(1.5 * truth.seconds(asked), rel=0.05)
