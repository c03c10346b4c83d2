"""Linear heads that train together: alone to the bit, the ordinary way but for rounding."""

import operator
import os
import signal
import weakref
from dataclasses import replace
from types import SimpleNamespace

import pytest
import timm
import torch
from safetensors.torch import load_file
from trials import same_but_for_cost, shared_with

from evoft.ladder import Ladder
from evoft.outcome import Status
from evoft.search.space import SearchSpace
from evoft.settings import TrainingSettings
from evoft.training.commons import Commons
from evoft.training.default_space import DEFAULT_GENES
from evoft.training.features import placing
from evoft.training.fine_tuner import FineTuner, checkpoint_path
from evoft.training.heads import beginning
from evoft.training.heads import inputs as head_inputs
from evoft.training.heads import together as heads
from evoft.training.heads.inputs import Bank, Dropout
from evoft.training.paused_folder import paused_path
from evoft.trial import Trial

CLEAN = {"augment": 0.0, "hflip": 0.0, "reprob": 0.0, "mixup": 0.0, "cutmix": 0.0}
HEAD = {"freeze_depth": 1.0, "batch_size": 8, "epochs": 3, **CLEAN}

#: Heads that differ in all that may differ in one company.
COMPANY = [
    {"opt": "adamw", "lr": 1e-2, "weight_decay": 0.2, "l1": 1e-3},
    {"opt": "sgd", "momentum": 0.9, "drop": 0.3, "sched": "linear"},
    {"opt": "rmsprop", "momentum": 0.5, "lr": 1e-3, "epochs": 2, "smoothing": 0.1},
    {"opt": "adam", "model_ema": 0.9, "drop": 0.5, "warmup": 0.4, "weight_decay": 0.1},
    {"opt": "adamw", "epochs": 6, "patience": 1, "lr": 0.1},
    {"opt": "sgd", "momentum": 0.0, "lr": 0.1, "head_lr_factor": 3.0, "sched": "step"},
    {"opt": "rmsprop", "momentum": 0.0, "sched": "constant", "epochs": 4, "weight_decay": 0.01},
    {"opt": "sgd", "lr": 0.1, "clip_grad": 0.5, "l1": 1e-3, "weight_decay": 0.1},
    {"opt": "adam", "lr": 1e-2, "clip_grad": 0.02},
]


def asked(space, number, **genes):
    return Trial(number, space.complete({**HEAD, **genes}), 100 + number)


def whole_way(monkeypatch):
    """Make every trial go the ordinary way."""
    monkeypatch.setattr(FineTuner, "company", lambda self, trial: None)


def weights(folder, trial):
    return load_file(checkpoint_path(folder, trial.key))


@pytest.fixture(scope="module")
def alone(make_tuner, space, tmp_path_factory):
    """Trials of a company, their outcomes one by one, and where their weights are."""
    folder = tmp_path_factory.mktemp("alone")
    tuner = make_tuner(TrainingSettings(), folder)
    trials = [asked(space, number, **genes) for number, genes in enumerate(COMPANY)]
    return trials, [tuner.evaluate(trial) for trial in trials], folder


@pytest.mark.parametrize(
    "order", [range(9), [6, 3, 0, 5, 1, 8, 2, 7, 4], [4, 2], [3, 3, 1], [7], [8, 0]]
)
def test_a_head_is_the_same_to_the_bit_whoever_trains_beside_it(make_tuner, alone, tmp_path, order):
    trials, outcomes, folder = alone
    tuner = make_tuner(TrainingSettings(), tmp_path)
    together = tuner.evaluate_together([trials[place] for place in order])
    for place, outcome in zip(order, together, strict=True):
        assert outcome.status is Status.OK
        assert same_but_for_cost(outcome, outcomes[place])
        ours, theirs = weights(tmp_path, trials[place]), weights(folder, trials[place])
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("genes", COMPANY)
def test_a_head_trains_as_the_ordinary_way_does(make_tuner, space, tmp_path, monkeypatch, genes):
    trial = asked(space, 1, **{**genes, "drop": 0.0})
    here = make_tuner(TrainingSettings(), tmp_path / "heads")
    assert here.company(trial) is not None
    outcome = here.evaluate(trial)
    whole_way(monkeypatch)
    ordinary = make_tuner(TrainingSettings(), tmp_path / "whole").evaluate(trial)
    assert len(outcome.curve) == len(ordinary.curve)
    for point, wanted in zip(outcome.curve, ordinary.curve, strict=True):
        assert point.epoch == wanted.epoch
        assert point.metrics == pytest.approx(wanted.metrics, rel=2e-4, abs=2e-5)
    assert outcome.fitness == ordinary.fitness
    ours, theirs = weights(tmp_path / "heads", trial), weights(tmp_path / "whole", trial)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-3, atol=1e-4)


def test_a_head_that_diverges_stops_alone(make_tuner, alone, space, tmp_path):
    trials, outcomes, _folder = alone
    tuner = make_tuner(TrainingSettings(), tmp_path / "heads")
    lost = replace(trials[0], individual=8, genome=trials[0].genome.replace(lr=1e38, opt="sgd"))
    together = tuner.evaluate_together([trials[0], lost, trials[4]])
    assert same_but_for_cost(together[0], outcomes[0])
    assert same_but_for_cost(together[2], outcomes[4])
    diverged = together[1]
    assert diverged.status is Status.DIVERGED
    assert len(diverged.curve) == 1
    assert diverged.reason == "the loss was not finite in epoch 1"
    assert not checkpoint_path(tmp_path / "heads", lost.key).exists()


@pytest.mark.parametrize("most", [len(COMPANY), 1, 0])
def test_each_trial_is_told_of_its_own_epochs(make_tuner, space, monkeypatch, most):
    """Also where memory does for so many heads, and what was begun with more is begun anew."""
    told, real = {}, heads.train_heads

    def scarce(many):
        done = real(many)
        if len(many) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return done

    def heard(number, trial):
        points = told.setdefault(number, [])

        def report(epoch, **metrics):
            if metrics:
                points.append((epoch, metrics))

        return replace(trial, report=report, begin_anew=points.clear)

    monkeypatch.setattr(heads, "train_heads", scarce)
    tuner = make_tuner(TrainingSettings())
    trials = [heard(n, asked(space, n, **genes)) for n, genes in enumerate(COMPANY)]
    for number, outcome in enumerate(tuner.evaluate_together(trials)):
        assert told[number] == [(p.epoch, p.metrics) for p in outcome.curve]


def test_dropout_drops_its_share_and_scales_up_the_rest():
    inputs = torch.ones(200, 301)
    Dropout(0.3, 7).apply(inputs)
    kept = inputs != 0
    assert float(kept.float().mean()) == pytest.approx(0.7, abs=0.01)
    assert inputs[kept].unique().tolist() == pytest.approx([1 / 0.7], rel=1e-4)
    again = torch.ones(200, 301)
    Dropout(0.3, 7).apply(again)
    assert torch.equal(again, inputs)
    Dropout(0.3, 8).apply(again)
    assert not torch.equal(again != 0, kept)
    assert not Dropout(0.0, 7).active


class TestCompany:
    @pytest.mark.parametrize(
        "genes",
        [
            {"lr": 0.05},
            {"opt": "sgd"},
            {"epochs": 9},
            {"drop": 0.5, "model_ema": 0.5},
            {"augment": 0.5, "mixup": 0.2},
        ],
    )
    def test_heads_that_have_steps_in_common_train_together(self, make_tuner, space, genes):
        tuner = make_tuner(TrainingSettings())
        one = tuner.company(asked(space, 1))
        assert one is not None
        assert tuner.company(asked(space, 2, **genes)) == one

    @pytest.mark.parametrize("genes", [{"freeze_depth": 0.75}, {"freeze_depth": 0.0}])
    def test_what_trains_more_than_its_head_trains_alone(self, make_tuner, space, genes):
        assert make_tuner(TrainingSettings()).company(asked(space, 1, **genes)) is None

    def test_batches_of_another_size_are_another_company(self, make_tuner, space):
        tuner = make_tuner(TrainingSettings())
        small, large, all_images, more = (
            tuner.company(asked(space, 1, batch_size=size)) for size in (8, 16, 64, 128)
        )
        assert len({small, large, all_images}) == 3
        assert all_images == more

    def test_without_views_images_that_change_pass_through_the_whole_model(self, make_tuner, space):
        tuner = make_tuner(TrainingSettings(views=0))
        assert tuner.company(asked(space, 1, augment=0.3)) is None
        assert tuner.company(asked(space, 1)) is not None

    def test_frozen_layers_that_are_random_are_shared_by_nobody(self, make_tuner, space):
        tuner = make_tuner(TrainingSettings(pretrained=False))
        assert tuner.company(asked(space, 1)) is None


@pytest.mark.parametrize(
    "genes",
    [
        {"augment": 0.7, "hflip": 0.5, "reprob": 0.25},
        {"mixup": 0.4, "cutmix": 0.5, "augment": 0.3},
        {"cutmix": 1.0, "smoothing": 0.2, "epochs": 4},
    ],
)
def test_views_and_mixing_are_those_of_the_ordinary_way(
    make_tuner, alone, space, tmp_path, monkeypatch, genes
):
    trial = asked(space, 20, **genes)
    tuner = make_tuner(TrainingSettings(), tmp_path)
    outcome = tuner.evaluate(trial)
    ours = weights(tmp_path, trial)
    beside = tuner.evaluate_together([*alone[0], trial, *alone[0]])
    assert same_but_for_cost(beside[len(COMPANY)], outcome)
    assert all(torch.equal(ours[n], w) for n, w in weights(tmp_path, trial).items())
    whole_way(monkeypatch)
    ordinary = make_tuner(TrainingSettings(), tmp_path / "whole").evaluate(trial)
    for point, wanted in zip(outcome.curve, ordinary.curve, strict=True):
        assert point.metrics == pytest.approx(wanted.metrics, rel=2e-4, abs=2e-5)


@pytest.mark.parametrize("name", ["test_vit", "test_resnet"])
def test_a_model_of_timm_trains_as_the_ordinary_way_does(
    make_tuner, space, tmp_path, monkeypatch, name
):
    torch.manual_seed(4)
    file = tmp_path / "weights.pth"
    torch.save(timm.create_model(name).state_dict(), file)
    settings = TrainingSettings(models=(name,), checkpoint=str(file), img_size=None)
    genes = {**DEFAULT_GENES, "epochs": {"type": "integer", "low": 1, "high": 9}}
    trial = Trial(1, SearchSpace.from_dict(genes).complete({**HEAD, "opt": "adam", "lr": 0.01}), 3)
    tuner = make_tuner(settings, tmp_path / "heads", genes=genes)
    outcome = tuner.evaluate(trial)
    (parts,) = (kept for key, kept in tuner.commons.kept.items() if key[0] == "linear")
    assert parts is not None
    right = tuner.right(trial.genome, trial.key)
    whole_way(monkeypatch)
    other = make_tuner(settings, tmp_path / "whole", genes=genes)
    ordinary = other.evaluate(trial)
    for point, wanted in zip(outcome.curve, ordinary.curve, strict=True):
        assert point.metrics == pytest.approx(wanted.metrics, rel=2e-4, abs=2e-5)
    assert (right == other.right(trial.genome, trial.key)).all()


def test_a_classifier_that_is_not_linear_trains_the_ordinary_way(
    make_tuner, space, tmp_path, monkeypatch
):
    trials = [asked(space, 1), asked(space, 2, lr=0.05)]
    with monkeypatch.context() as patch:
        patch.setattr(beginning, "linear_head", lambda features, drop: None)
        found = make_tuner(TrainingSettings(), tmp_path).evaluate_together(trials)
    whole_way(monkeypatch)
    ordinary = make_tuner(TrainingSettings(), tmp_path / "whole")
    assert all(
        same_but_for_cost(f, ordinary.evaluate(t)) for f, t in zip(found, trials, strict=True)
    )


def test_features_that_are_not_on_the_device_go_the_ordinary_way(
    make_tuner, space, tmp_path, monkeypatch
):
    trial, seen = asked(space, 1), []
    tuner = make_tuner(TrainingSettings(), tmp_path)
    whole_way(monkeypatch)
    ordinary = tuner.evaluate(trial)
    monkeypatch.undo()
    for split in (0, 1):
        with monkeypatch.context() as patch:

            def elsewhere(self, *given, split=split, real=Commons.with_features, **named):
                both = list(real(self, *given, **named))
                seen.append(one := both[split].features)
                if len(seen) == 1:
                    apart = SimpleNamespace(
                        device=torch.device("meta"), values=one.values, suffix=one.suffix
                    )
                    both[split] = replace(both[split], features=apart)
                return tuple(both)

            patch.setattr(Commons, "with_features", elsewhere)
            assert same_but_for_cost(tuner.evaluate(trial), ordinary)
        assert len(seen) == 2  # asked for as a head, then as any other
        seen.clear()


def test_where_all_do_not_fit_in_the_memory_each_trains_alone(
    make_tuner, alone, tmp_path, monkeypatch
):
    trials, outcomes, _folder = alone
    real = heads.train_heads

    def small(many):
        if len(many) > 1:
            raise RuntimeError("CUDA out of memory, it seems")
        return real(many)

    monkeypatch.setattr(heads, "train_heads", small)
    tuner = make_tuner(TrainingSettings(), tmp_path)
    together = tuner.evaluate_together(trials)
    assert all(same_but_for_cost(one, other) for one, other in zip(together, outcomes, strict=True))


def test_where_not_all_can_begin_at_once_each_trains_alone(
    make_tuner, alone, tmp_path, monkeypatch
):
    trials, outcomes, _folder = alone
    begun, held = [], []
    real = beginning.head_of

    def scarce(*given):
        held.append(sum(feed() is not None for feed in begun))
        if held[-1] == 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        head = real(*given)
        begun.append(weakref.ref(head.feed))
        return head

    monkeypatch.setattr(beginning, "head_of", scarce)
    tuner = make_tuner(TrainingSettings(), tmp_path)
    together = tuner.evaluate_together(trials)
    assert all(same_but_for_cost(one, other) for one, other in zip(together, outcomes, strict=True))
    assert held[-len(trials) :] == [0] * len(trials)  # what they held together is gone by then


def test_a_head_that_does_not_fit_alone_trains_the_ordinary_way(
    make_tuner, space, tmp_path, monkeypatch
):
    trial = asked(space, 1)
    tuner = make_tuner(TrainingSettings(), tmp_path)

    def short_of_memory(many):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    with monkeypatch.context() as patch:
        patch.setattr(heads, "train_heads", short_of_memory)
        outcome = tuner.evaluate(trial)
    whole_way(monkeypatch)
    assert same_but_for_cost(outcome, tuner.evaluate(trial))


VIEWS = [
    {"augment": 0.9, "hflip": 0.5, "drop": 0.2},
    {"augment": 0.3, "reprob": 0.25, "mixup": 0.4},
    {"augment": 0.9, "hflip": 0.5, "lr": 0.01},
]


def test_batches_of_pools_too_large_to_copy_have_the_same_bits(
    make_tuner, space, tmp_path, monkeypatch
):
    trials = [asked(space, number, **genes) for number, genes in enumerate(VIEWS)]
    tuner = make_tuner(TrainingSettings(views=3), tmp_path)
    wanted = tuner.evaluate_together(trials)
    copied = Bank.of([tuner._begin(trial).feed for trial in trials])
    monkeypatch.setattr(head_inputs, "_COPIED", copied.rows.nbytes - 1)
    assert Bank.of([tuner._begin(trial).feed for trial in trials]).rows is None
    assert tuner.evaluate_together(trials) == wanted


class TestOnADevice:
    """As where features are copied to a GPU."""

    @pytest.fixture(autouse=True)
    def _roomy(self, monkeypatch):
        monkeypatch.setattr(placing, "_has_room", lambda device, size: True)

    def test_heads_that_train_together_have_each_view_there_once(self, make_tuner, space):
        tuner = make_tuner(TrainingSettings(views=3))
        first, second, third = (tuner._begin(asked(space, n, **g)) for n, g in enumerate(VIEWS))
        assert all(map(operator.is_, first.feed.pools, third.feed.pools))
        shared = {id(p) for p in first.feed.pools} & {id(p) for p in second.feed.pools}
        assert len(shared) == 2  # of the two lower strengths, neither mirrored nor erased
        assert first.val.features.data_ptr() == second.val.features.data_ptr()
        there = [weakref.ref(pool) for pool in first.feed.pools]
        del first, second, third, shared
        assert not any(pool() is not None for pool in there)

    def test_trials_stay_as_they_are(self, make_tuner, space, tmp_path, monkeypatch):
        trials = [asked(space, number, **genes) for number, genes in enumerate(VIEWS)]
        trials.append(asked(space, 4, freeze_depth=0.5, **VIEWS[0]))
        there = [make_tuner(TrainingSettings(views=3), tmp_path).evaluate_together(trials)]

        def short_of_memory(*_):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

        monkeypatch.setattr(placing, "in_one_piece", short_of_memory)
        monkeypatch.setattr(placing.Placed, "_there", short_of_memory)
        there.append(make_tuner(TrainingSettings(views=3), tmp_path).evaluate_together(trials))
        monkeypatch.undo()
        here = make_tuner(TrainingSettings(views=3), tmp_path).evaluate_together(trials)
        for found in there:
            assert all(map(same_but_for_cost, found, here))


@pytest.mark.parametrize("killed", [pytest.param(False, marks=pytest.mark.slow), True])
def test_worker_processes_give_the_same_bits(make_tuner, alone, two_workers, tmp_path, killed):
    trials, outcomes, folder = alone
    tuner = make_tuner(TrainingSettings(), tmp_path)
    two_workers.retarget(shared_with(two_workers, tuner))
    two_workers.submit(*trials[:4])
    two_workers.submit(*trials[4:])
    if killed:
        os.kill(two_workers.pids[0], signal.SIGKILL)
    done = {}
    while len(done) < len(trials):
        done |= {trial.individual: outcome for trial, outcome in two_workers.collect()}
    for number, trial in enumerate(trials):
        assert done[number].curve == outcomes[number].curve
        assert done[number].fitness == outcomes[number].fitness
        ours, theirs = weights(tmp_path, trial), weights(folder, trial)
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


class TestRungs:
    LADDER = Ladder((0.6, 2.0, 4.0), cooldown=0.25)

    def asked(self, space, number, epochs, **genes):
        return replace(asked(space, number, **{**genes, "epochs": 4}), epochs=epochs)

    @pytest.mark.parametrize("epochs", [0.6, 2.0, None])
    @pytest.mark.parametrize("genes", [COMPANY[1], COMPANY[3]])
    def test_a_head_is_judged_as_the_ordinary_way_is(
        self, make_tuner, space, tmp_path, monkeypatch, genes, epochs
    ):
        trial = self.asked(space, 1, epochs, **{**genes, "drop": 0.0})
        tuner = make_tuner(TrainingSettings(), tmp_path, ladder=self.LADDER, paused=tmp_path)
        outcome = tuner.evaluate(trial)
        # The top has nobody to leave anything for.
        assert paused_path(tmp_path, 1).exists() == (epochs is not None)
        whole_way(monkeypatch)
        other = make_tuner(TrainingSettings(), tmp_path / "whole", ladder=self.LADDER)
        ordinary = other.evaluate(trial)
        assert len(outcome.curve) == len(ordinary.curve)
        assert outcome.curve[-1].epoch == {0.6: 0.6, 2.0: 2.0, None: 4.0}[epochs]
        for point, wanted in zip(outcome.curve, ordinary.curve, strict=True):
            assert point.epoch == wanted.epoch
            assert point.metrics == pytest.approx(wanted.metrics, rel=2e-4, abs=2e-5)

    @pytest.mark.parametrize("first", ["head", "whole"])
    def test_who_trained_in_another_way_begins_anew(
        self, make_tuner, space, tmp_path, monkeypatch, first
    ):
        def trained(trial, folder, *, head):
            tuner = make_tuner(TrainingSettings(), folder, ladder=self.LADDER, paused=folder)
            with monkeypatch.context() as patch:
                if not head:
                    patch.setattr(beginning, "head_of", lambda *given: None)
                return tuner.evaluate(trial)

        low, high = (self.asked(space, 1, epochs) for epochs in (0.6, 2.0))
        straight = trained(high, tmp_path / "straight", head=first != "head")
        trained(low, tmp_path / "climbed", head=first == "head")
        assert paused_path(tmp_path / "climbed", 1).exists()
        climbed = trained(high, tmp_path / "climbed", head=first != "head")
        assert same_but_for_cost(climbed, straight)

    def test_those_of_one_rung_go_together(self, make_tuner, space, tmp_path):
        tuner = make_tuner(TrainingSettings(), tmp_path, ladder=self.LADDER)
        low, lower, top = (self.asked(space, 1, epochs) for epochs in (2.0, 0.6, None))
        also = self.asked(space, 2, 2.0, opt="sgd", lr=0.1)
        assert tuner.company(low) == tuner.company(also)
        assert len({tuner.company(trial) for trial in (low, lower, top)}) == 3

    def test_in_any_company_it_has_the_same_bits(self, make_tuner, space, tmp_path):
        trials = [
            self.asked(space, number, epochs, **genes)
            for number, (genes, epochs) in enumerate(
                zip([COMPANY[at] for at in (0, 1, 3, 5)], (0.6, 2.0, 0.6, None), strict=True)
            )
        ]
        alone = make_tuner(TrainingSettings(), tmp_path / "alone", ladder=self.LADDER)
        outcomes = [alone.evaluate(trial) for trial in trials]
        tuner = make_tuner(TrainingSettings(), tmp_path, ladder=self.LADDER)
        together = tuner.evaluate_together(trials)
        for trial, one, other in zip(trials, together, outcomes, strict=True):
            assert one.status is Status.OK
            assert same_but_for_cost(one, other)
            ours, theirs = weights(tmp_path, trial), weights(tmp_path / "alone", trial)
            assert all(torch.equal(ours[name], theirs[name]) for name in ours)
