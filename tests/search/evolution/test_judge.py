"""The judge keeps a referee from decision to decision, and it is the one of the records alone."""

from __future__ import annotations

import numpy as np
import pytest

from evoft.ladder import Ladder
from evoft.outcome import Outcome, Status
from evoft.search.evolution.judge import Judge, expecting, last_fit
from evoft.search.evolution.knowledge import Knowledge
from evoft.search.stint import Stint

LADDER = Ladder((1.0, 4.0, 16.0))
GENES = np.arange(3)


def learned(count: int, judge_at: set[int]) -> tuple[Knowledge, Judge]:
    """Return what is known after so many stints, with a judge that was asked at some of them."""
    rng = np.random.default_rng(0)
    known = Knowledge(LADDER, 3, 3, seed=0)
    judge = Judge(known, GENES, 2.0)
    rungs: list[int] = []
    for number in range(count):
        go_on = rungs and rng.random() < 0.4
        id = int(rng.integers(len(rungs))) if go_on else len(rungs)
        if id < len(rungs) and (rungs[id] == 2 or known.curves[id][-1] == -np.inf):
            id = len(rungs)
        if id == len(rungs):
            rungs.append(-1)
            row = rng.random(3)
            known.bear(row, row)
        rungs[id] += 1
        score = float(np.sin(5 * known.rows[id, 0]) + 0.3 * rungs[id] + 0.05 * rng.normal())
        outcome = Outcome(Status.LOST) if number % 9 == 5 else Outcome.of_fitness(score)
        known.learn(Stint(number, id, rungs[id], 0.1, 0), outcome)
        if number + 1 in judge_at:
            judge.referee(known.scores)
    return known, judge


@pytest.mark.parametrize("count", [1, 2, 7, 31, 60])
def test_what_is_kept_saves_time_and_changes_no_bit(count: int) -> None:
    strangers = np.random.default_rng(1).random((5, 3))
    answers = []
    for judge_at in (set(), set(range(count)), {1, 2, count // 2, count - 1}):
        known, judge = learned(count, judge_at)
        referee, yardstick = judge.referee(known.scores)
        candidates = referee.unborn(strangers)
        full = candidates.explained()
        answers.append(
            (
                candidates.means(),
                candidates.variances(full),
                candidates.revealed(0.5, full),
                yardstick,
            )
        )
    for other in answers[1:]:
        for one, two in zip(answers[0], other, strict=True):
            assert np.array_equal(one, two) if isinstance(one, np.ndarray) else one == two


def test_the_referee_has_seen_everything_and_learns_from_it() -> None:
    known, judge = learned(60, set())
    referee, _ = judge.referee(known.scores)
    assert len(referee.data) == len(known.who)
    strangers = np.random.default_rng(1).random((80, 3))
    truth = np.sin(5 * strangers[:, 0])
    assert np.corrcoef(referee.unborn(strangers).means(), truth)[0, 1] > 0.5


def test_the_kernel_is_fitted_now_and_then() -> None:
    fits = [last_fit(count) for count in range(1, 3000)]
    assert fits[:6] == [1, 2, 3, 4, 5, 6]
    assert all(fit <= count for count, fit in enumerate(fits, start=1))
    assert fits == sorted(fits)
    assert len(set(fits)) < 60
    assert max(count - fit for count, fit in enumerate(fits, start=1)) < 100


def test_those_in_flight_are_expected_to_do_as_predicted() -> None:
    known, judge = learned(40, set())
    row = np.array([0.3, 0.5, 0.5])
    known.bear(row, row)
    new = len(known.rows) - 1
    referee, _ = judge.referee(known.scores)
    assert expecting(referee, {}) is referee
    expected = expecting(referee, {new: 0.0})
    assert len(expected.data) == len(referee.data) + 1
    before, after = referee.unborn(row[None, :]), expected.unborn(row[None, :])
    assert after.means() == pytest.approx(before.means(), abs=1e-6)
    assert after.variances(after.explained()) < before.variances(before.explained())
