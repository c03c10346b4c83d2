"""Confidence intervals against their definitions and against simulation."""

import numpy as np
import pytest
from scipy.stats import binomtest, ttest_1samp, ttest_ind

from evoft.analysis.intervals import (
    Interval,
    balanced_gain_interval,
    balanced_interval,
    difference_interval,
    gain_interval,
    mean_interval,
    share_interval,
)
from evoft.trial import Stage
from evoft.verdict import Verdict


def verdict(both, winner, default, neither):
    return Verdict(1, 0, 0, 0, both, winner, default, neither)


@pytest.mark.parametrize(("right", "images"), [(0, 1), (1, 1), (0, 30), (30, 30), (17, 40), (3, 9)])
def test_wilsons_interval(right, images):
    mine = share_interval(right, images)
    known = binomtest(right, images).proportion_ci(0.95, method="wilson")
    assert mine.estimate == right / images
    assert (mine.low, mine.high) == pytest.approx((known.low, known.high), abs=1e-9)


def test_the_gain_is_the_difference_and_turns_round():
    one, other = verdict(50, 9, 2, 20), verdict(50, 2, 9, 20)
    a, b = gain_interval(one), gain_interval(other)
    assert a.estimate == pytest.approx(one.winner_accuracy - one.default_accuracy)
    assert (a.low, a.high) == pytest.approx((-b.high, -b.low))
    assert a.low < a.estimate < a.high


def test_equal_recipes_gain_nothing():
    interval = gain_interval(verdict(10, 0, 0, 5))
    assert interval.estimate == 0.0
    assert interval.low < 0.0 < interval.high


@pytest.mark.parametrize("shares", [(0.8, 0.06, 0.04, 0.1), (0.9, 0.05, 0.0, 0.05)])
def test_it_holds_the_truth_as_often_as_it_says(shares):
    rng = np.random.default_rng(0)
    truth = shares[1] - shares[2]
    held = 0
    for counts in rng.multinomial(100, shares, size=2000):
        interval = gain_interval(verdict(*map(int, counts)))
        held += interval.low <= truth <= interval.high
    assert held / 2000 > 0.93


#: Images of each class, and how often the winner is right on them.
CLASSES = [
    ((100, 10, 5), (0.95, 0.7, 0.5)),
    ((50, 20, 10, 5), (0.9, 0.9, 0.9, 0.9)),
    ((200, 3, 3), (0.99, 0.6, 0.6)),
    ((5,) * 40, (0.9,) * 40),
]


def by_class(classes):
    return Verdict(1, 0, 0, 0, *map(sum, zip(*classes, strict=True)), tuple(classes))


@pytest.mark.parametrize(("images", "shares"), CLASSES)
def test_a_balanced_interval_holds_the_truth_as_often_as_it_says(images, shares):
    rng = np.random.default_rng(0)
    held = 0
    for right in rng.binomial(images, shares, size=(2000, len(images))).tolist():
        interval = balanced_interval(right, images)
        assert interval.estimate == pytest.approx(np.mean(np.divide(right, images)))
        held += interval.low <= np.mean(shares) <= interval.high
    assert held / 2000 > 0.91


@pytest.mark.parametrize(("images", "shares"), CLASSES)
def test_a_balanced_gain_holds_the_truth_as_often_as_it_says(images, shares):
    rng = np.random.default_rng(0)
    alone = [(0.3 * (1.0 - share), 0.03) for share in shares]
    truth = np.mean([up - down for up, down in alone])
    cells = [(s - down, up, down, 1 - s - up) for s, (up, down) in zip(shares, alone, strict=True)]
    held = 0
    for _ in range(500):
        counts = [
            tuple(rng.multinomial(n, of).tolist()) for n, of in zip(images, cells, strict=True)
        ]
        interval = balanced_gain_interval(by_class(counts))
        held += interval.low <= truth <= interval.high
    assert held / 500 > 0.95


def test_classes_of_one_size_and_share_are_as_many_images():
    mine, all_together = balanced_interval([80] * 4, [100] * 4), share_interval(320, 400)
    assert (mine.estimate, mine.low, mine.high) == pytest.approx(
        (0.8, all_together.low, all_together.high), abs=1e-3
    )


def test_a_balanced_gain_turns_round():
    one, other = by_class([(5, 3, 1, 1), (80, 2, 9, 4)]), by_class([(5, 1, 3, 1), (80, 9, 2, 4)])
    a, b = balanced_gain_interval(one), balanced_gain_interval(other)
    assert a.estimate == pytest.approx((2 / 10 - 7 / 95) / 2)
    assert (a.low, a.high) == pytest.approx((-b.high, -b.low))


def test_a_verdict_names_the_runs_that_were_read():
    one = Verdict(7, 1, 0, 0, 5, 3, 1, 1)
    assert one.winner_run == (Stage.FINAL, 7, 1)
    assert one.default_run == (Stage.FINAL, 0, 0)
    assert Verdict(7, 1, -1, -1, 5, 3, 0, 1).default_run is None


def test_students_interval():
    values = [0.91, 0.94, 0.90, 0.95, 0.93]
    known = ttest_1samp(values, 0.0).confidence_interval(0.9)
    mine = mean_interval(values, 0.9)
    assert mine.estimate == pytest.approx(np.mean(values))
    assert (mine.low, mine.high) == pytest.approx((known.low, known.high))


def test_welchs_interval():
    one, other = [0.91, 0.94, 0.90, 0.95], [0.80, 0.99, 0.85]
    known = ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
    mine = difference_interval(one, other)
    assert mine.estimate == pytest.approx(np.mean(one) - np.mean(other))
    assert (mine.low, mine.high) == pytest.approx((known.low, known.high))
    assert difference_interval([0.5, 0.5], [0.25, 0.25]) == Interval(0.25, 0.25, 0.25)
