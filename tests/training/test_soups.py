"""Whose weights make a better mean, by the rule and on real networks."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy
from trials import CLEAN, trial

from evoft.errors import PopulationDamagedError, WorkerError
from evoft.settings import TrainingSettings
from evoft.soup import Fate, Soup
from evoft.training import judging
from evoft.training.fine_tuner import checkpoint_path
from evoft.training.soups import Taste, greedy_soup, mean_of, mixed
from evoft.trial import Stage


def state(value, batches=3):
    return {"w": torch.tensor([float(value)]), "batches": torch.tensor(batches)}


def near(goal):
    """Judge by the distance from a goal: there is one basin."""

    def judge(weights):
        distance = abs(float(weights["w"]) - goal)
        return Taste(-distance, distance)

    return judge


def test_who_brings_the_mean_nearer_is_taken():
    found = greedy_soup(state(0.0), [state(2.0), state(9.0), state(1.5)], near(1.2))
    # Means: 1, then (1 + 1 + 9) / 3, then (0 + 2 + 1.5) / 3.
    assert found.fates == (Fate.TAKEN, Fate.LEFT, Fate.TAKEN)
    assert found.alone.loss == pytest.approx(1.2)
    assert found.taste.loss == pytest.approx(1.2 - 3.5 / 3, abs=1e-6)


def test_two_sides_of_a_barrier_have_no_mean():
    def judge(weights):
        height = math.cos(2 * math.pi * float(weights["w"]))
        return Taste(height, -height)

    # At 0 and 1 there are tops, halfway between them the bottom; 0.02 is of the first one's.
    found = greedy_soup(state(0.01), [state(1.0), state(-0.02)], judge)
    assert found.fates == (Fate.APART, Fate.TAKEN)


def test_with_no_other_the_base_is_alone():
    found = greedy_soup(state(1.0), [], near(3.0))
    assert found.fates == ()
    assert found.alone == found.taste


@pytest.mark.parametrize(
    ("fitness", "loss", "fate"),
    [
        (0.5, 0.9, Fate.TAKEN),
        (0.6, 0.9, Fate.TAKEN),
        (0.6, 1.0, Fate.LEFT),
        (0.6, 1.1, Fate.LEFT),
    ],
)
def test_the_fitness_must_not_fall_and_the_loss_must(fitness, loss, fate):
    tastes = {0.0: Taste(0.5, 1.0), 2.0: Taste(0.5, 1.0), 1.0: Taste(fitness, loss)}
    found = greedy_soup(state(0), [state(2)], lambda weights: tastes[float(weights["w"])])
    assert found.fates == (fate,)


def test_who_costs_fitness_is_left_however_low_the_loss():
    tastes = {0.0: Taste(0.5, 1.0), 2.0: Taste(0.4, 1.0), 1.0: Taste(0.45, 0.1)}
    found = greedy_soup(state(0), [state(2)], lambda weights: tastes[float(weights["w"])])
    assert found.fates == (Fate.LEFT,)
    assert found.taste == found.alone


@given(st.lists(st.floats(-9, 9), min_size=1, max_size=8), st.floats(-9, 9))
def test_the_soup_is_the_mean_of_who_was_taken_and_no_worse_than_the_base(values, goal):
    states = [state(value) for value in values]
    found = greedy_soup(states[0], states[1:], near(goal))
    taken = [one for one, fate in zip(states[1:], found.fates, strict=True) if fate is Fate.TAKEN]
    mean = mean_of([states[0], *taken])
    assert near(goal)(mean) == found.taste
    exact = math.fsum(float(one["w"]) for one in (states[0], *taken)) / (1 + len(taken))
    assert float(mean["w"]) == pytest.approx(exact, abs=1e-5)
    assert found.taste.fitness >= found.alone.fitness


def test_what_is_counted_is_not_averaged():
    assert mixed(state(0, batches=3), state(1, batches=8), 0.5)["batches"] == 3


def trained(start, seed):
    """Return a small network that was trained on half of the digits from a start."""
    x, y = digits()
    model = network()
    model.load_state_dict(start)
    dice = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(30):
        for rows in torch.randperm(800, generator=dice).split(50):
            optimizer.zero_grad()
            cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
    return model.state_dict()


def network():
    return nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10))


def digits():
    x, y = load_digits(return_X_y=True)
    return torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)


def on_digits(weights):
    x, y = digits()
    model = network()
    model.load_state_dict(weights)
    with torch.no_grad():
        logits = model(x[800:])
    right = (logits.argmax(1) == y[800:]).float().mean()
    return Taste(float(right), float(cross_entropy(logits, y[800:])))


def test_networks_of_one_start_lie_in_one_basin_and_the_same_one_turned_in_another():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        start = trained(network().state_dict(), 0)
    base, other = (trained(start, seed) for seed in (1, 2))
    order = torch.randperm(48, generator=torch.Generator().manual_seed(0))
    # The same function, its hidden units in another order.
    turned = {
        "0.weight": other["0.weight"][order],
        "0.bias": other["0.bias"][order],
        "2.weight": other["2.weight"][:, order],
        "2.bias": other["2.bias"],
    }
    assert on_digits(turned).loss == pytest.approx(on_digits(other).loss, rel=1e-4)
    found = greedy_soup(base, [other, turned], on_digits)
    assert found.fates[0] is not Fate.APART
    assert found.fates[1] is Fate.APART


class TestOfTrials:
    """Real backbones that real trainings left behind."""

    @pytest.fixture
    def left(self, make_tuner, space, tmp_path):
        """A tuner, and what three trials left: of one start, and the second of them twice."""
        tuner = make_tuner(TrainingSettings(epochs=2), tmp_path)
        trials = [trial(space, number, **CLEAN) for number in (1, 2)]
        for one in trials:
            assert tuner.evaluate(one).fitness > 0
        return tuner, [(one.genome, one.key) for one in trials]

    def test_what_is_exported_is_what_was_judged(self, left, tmp_path):
        tuner, (base, other) = left
        soup = tuner.soup(base, [other])
        assert isinstance(soup, Soup)
        assert soup.base == base[1]
        assert [key for key, _ in soup.fates] == [other[1]]
        found = judging.evaluate(tuner.trained(*base), tuner.commons.examples("embedded", "val"))
        assert soup.alone == found["val_accuracy"]
        # Whoever was taken: the mean of both goes to the folder.
        tuner.export([base, other], tmp_path / "mean", list("0123456789"), "", {})
        tuner.export([base], tmp_path / "alone", list("0123456789"), "", {})

        def weights(name):
            return load_file(tmp_path / name / "model.safetensors")

        one, two = (tuner.trained(*run).state_dict() for run in (base, other))
        for name, tensor in weights("mean").items():
            torch.testing.assert_close(tensor, mixed(one, two, 0.5)[name], rtol=0, atol=0)
        for name, tensor in weights("alone").items():
            torch.testing.assert_close(tensor, one[name], rtol=0, atol=0)

    def test_it_is_judged_by_the_metric_that_the_fitness_is(self, make_tuner, space, tmp_path):
        tuner = make_tuner(TrainingSettings(metric="balanced_accuracy"), tmp_path)
        asked = trial(space, 1, **CLEAN)
        outcome = tuner.evaluate(asked)
        soup = tuner.soup((asked.genome, asked.key), [])
        assert soup.alone == outcome.fitness
        val = tuner.commons.examples("embedded", "val")
        found = judging.evaluate(tuner.trained(asked.genome, asked.key), val)
        assert soup.alone != found["val_accuracy"]

    def test_the_same_weights_are_no_better(self, left):
        tuner, (base, _) = left
        soup = tuner.soup(base, [base])
        assert soup.fates == ((base[1], Fate.LEFT),)
        assert soup.fitness == soup.alone
        assert soup.taken == ()

    def test_damaged_checkpoints_are_left_out_and_that_of_the_base_is_told(self, left):
        tuner, (base, other) = left
        path = checkpoint_path(tuner.checkpoints, other[1])
        path.write_bytes(path.read_bytes()[:-100])
        soup = tuner.soup(base, [other, base])
        assert [fate for _, fate in soup.fates] == [Fate.DAMAGED, Fate.LEFT]
        assert soup.damaged == (other[1],)
        for use in (lambda: tuner.soup(other, [base]), lambda: tuner.trained(*other)):
            with pytest.raises(PopulationDamagedError, match=r"cannot be read .*: remove it, and"):
                use()
        save_file({"weight": torch.zeros(1)}, path)
        with pytest.raises(PopulationDamagedError, match=r"cannot be read \('seed'\): remove it"):
            tuner.trained(*other)

    @pytest.mark.parametrize(
        "error", [RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), MemoryError()]
    )
    def test_too_little_memory_is_told_in_a_sentence(self, left, monkeypatch, error):
        tuner, (base, other) = left

        def scarce(*_):
            raise error

        monkeypatch.setattr(judging, "in_halves", scarce)
        with pytest.raises(
            WorkerError, match=r"to judge the validation images .* or leave out --soup"
        ):
            tuner.soup(base, [other])


def test_fates_are_counted_and_the_taken_named_in_order():
    keys = [(Stage.FINAL, 1, turn) for turn in range(5)]
    fates = (Fate.TAKEN, Fate.APART, Fate.LEFT, Fate.TAKEN, Fate.DAMAGED)
    soup = Soup((Stage.SEARCH, 0, 0), 0.5, 0.6, tuple(zip(keys, fates, strict=True)))
    assert soup.taken == (keys[0], keys[3])
    assert [soup.count(fate) for fate in Fate] == [2, 1, 1, 1]
    assert soup.damaged == (keys[4],)
