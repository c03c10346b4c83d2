"""The referee against the textbook: its evidence, its predictions, what it says it will learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from evoft.search.evolution.encoding import Array
from evoft.search.evolution.evidence import Evidence, fit
from evoft.search.evolution.kernel import TERMS, Kernel, Observations, Priors
from evoft.search.evolution.referee import Referee

GENES = np.array([0, 1, 2, 3, 3])
TIMES = np.array([0.0, 0.4, 1.0])


def data_of(seed: int, individuals: int = 8) -> tuple[Observations, Array]:
    """Return one to three observations of each individual, ordered by individual, and scores."""
    rng = np.random.default_rng(seed)
    rows = rng.random((individuals, len(GENES)))
    counts = rng.integers(1, 4, individuals)
    who = np.repeat(np.arange(individuals), counts)
    when = np.concatenate([TIMES[:count] for count in counts])
    return Observations(who, when, rows), rng.normal(size=len(who))


def kernel_of(seed: int) -> Kernel:
    priors = Priors.of(4)
    shift = 0.3 * np.random.default_rng(seed).normal(size=TERMS + 4)
    return Kernel(priors.medians + shift, GENES)


def covariance(
    kernel: Kernel,
    a: list[tuple[int | None, float, Array]],
    b: list[tuple[int | None, float, Array]],
) -> Array:
    """Return the covariance of scores as the module's docstring writes it, one at a time."""
    c, g, h, o, p, _, scale = np.exp(kernel.theta[:TERMS])
    lengths = np.exp(kernel.theta[TERMS:])[kernel.genes]
    k = np.empty((len(a), len(b)))
    for i, (one, s, x) in enumerate(a):
        for j, (other, t, y) in enumerate(b):
            r = np.sqrt(5 * np.sum(((x - y) / lengths) ** 2))
            genome = (1 + r + r * r / 3) * np.exp(-r)
            time = np.exp(-((s - t) ** 2) / (2 * scale**2))
            own = (o + p * time) if one is not None and one == other else 0.0
            k[i, j] = 1 + c * time + (g + h * time) * genome + own
    return k


def points(data: Observations) -> list[tuple[int | None, float, Array]]:
    return [(int(i), float(t), data.rows[i]) for i, t in zip(data.who, data.when, strict=True)]


@pytest.mark.parametrize("seed", range(3))
def test_the_referee_predicts_what_the_textbook_does(seed: int) -> None:
    data, scores = data_of(seed)
    kernel = kernel_of(seed)
    referee = Referee.of(kernel, data, scores)
    known = covariance(kernel, points(data), points(data)) + kernel.noise * np.eye(len(data))
    inverse = np.linalg.inv(known)
    strangers = np.random.default_rng(seed + 100).random((3, len(GENES)))
    some = np.array([1, 4])
    for candidates, people in (
        (referee.unborn(strangers), [(None, row) for row in strangers]),
        (referee.born(some), [(int(i), data.rows[i]) for i in some]),
    ):
        ends = [(id, 1.0, row) for id, row in people]
        cross = covariance(kernel, points(data), ends)
        full = candidates.explained()
        assert np.allclose(candidates.means(), cross.T @ inverse @ scores)
        own = [covariance(kernel, [e], [e])[0, 0] for e in ends]
        if people[0][0] is None:  # a stranger has its own term too
            own = [v + np.exp(kernel.theta[3]) + np.exp(kernel.theta[4]) for v in own]
        posterior = np.array(own) - np.einsum("nk,nm,mk->k", cross, inverse, cross)
        assert np.allclose(candidates.variances(full), posterior)


@pytest.mark.parametrize("when", [0.4, 1.0])
def test_what_an_observation_reveals_is_what_it_takes_off_the_variance(when: float) -> None:
    data, scores = data_of(5)
    referee = Referee.of(kernel_of(5), data, scores)
    alone = int(data.who[-1])
    candidates = referee.born(np.array([alone]))
    full = candidates.explained()
    revealed = candidates.revealed(when, full)[0]
    told = referee.extended(np.array([alone]), np.array([when]), data.rows, np.array([0.7]))
    after = told.born(np.array([alone]))
    left = after.variances(after.explained())[0]
    assert revealed == pytest.approx(candidates.variances(full)[0] - left)
    assert revealed > 0


def test_extension_by_blocks_equals_factorisation_at_once() -> None:
    data, scores = data_of(2)
    kernel = kernel_of(2)
    whole = Referee.of(kernel, data, scores)
    start = int(np.flatnonzero(data.who == 5)[0])
    part = Observations(data.who[:start], data.when[:start], data.rows[:5])
    grown = Referee.of(kernel, part, scores[:start])
    for place in range(start, len(data)):
        one = slice(place, place + 1)
        grown = grown.extended(data.who[one], data.when[one], data.rows, scores[one])
    block = Referee.of(kernel, part, scores[:start]).extended(
        data.who[start:], data.when[start:], data.rows, scores[start:]
    )
    for other in (grown, block):
        assert np.allclose(other.factor, whole.factor)
        assert np.allclose(other.weights, whole.weights)
    again = grown.given(2.0 * scores)
    assert np.allclose(again.weights, 2.0 * whole.weights)


def test_twins_do_not_break_the_factor() -> None:
    rows = np.zeros((40, len(GENES)))
    who = np.repeat(np.arange(40), 3)
    data = Observations(who, np.tile(TIMES, 40), rows)
    kernel = Kernel(np.append(np.full(TERMS, -30.0), np.zeros(4)), GENES)
    referee = Referee.of(kernel, data, np.ones(len(who)))
    assert np.isfinite(referee.unborn(rows[:1]).means()).all()


@pytest.mark.parametrize("seed", range(3))
def test_the_evidence_has_the_textbook_value_and_gradient(seed: int) -> None:
    data, scores = data_of(seed)
    priors = Priors.of(4)
    evidence = Evidence.of(data, scores, GENES, priors)
    kernel = kernel_of(seed)
    value, gradient = evidence(kernel.theta)

    known = covariance(kernel, points(data), points(data)) + kernel.noise * np.eye(len(data))
    likelihood = multivariate_normal(np.zeros(len(data)), known).logpdf(scores)
    offset = (kernel.theta - priors.medians) / priors.deviations
    constant = 0.5 * len(data) * np.log(2 * np.pi)
    assert value == pytest.approx(-likelihood - constant + 0.5 * offset @ offset)

    step = 1e-5
    for place, slope in enumerate(gradient):
        nudge = np.zeros_like(kernel.theta)
        nudge[place] = step
        above, below = evidence(kernel.theta + nudge)[0], evidence(kernel.theta - nudge)[0]
        assert slope == pytest.approx((above - below) / (2 * step), rel=1e-4, abs=1e-5)


def test_a_fitted_kernel_knows_which_gene_matters() -> None:
    rng = np.random.default_rng(4)
    rows = rng.random((40, 3))
    data = Observations(np.arange(40), np.ones(40), rows)
    scores = np.sin(6 * rows[:, 0])
    kernel = fit(data, (scores - scores.mean()) / scores.std(), np.arange(3), Priors.of(3))
    scales = np.exp(kernel.theta[TERMS:])
    assert scales[0] < scales[1]
    assert scales[0] < scales[2]
    unseen = rng.random((50, 3))
    predicted = Referee.of(kernel, data, scores).unborn(unseen).means()
    assert np.corrcoef(predicted, np.sin(6 * unseen[:, 0]))[0, 1] > 0.9
