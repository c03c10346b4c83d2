"""The course of the learning rate, to the end and to a judgement on the way."""

import math
from itertools import pairwise

import pytest

from evoft.recipe import Recipe
from evoft.training.schedule import Schedule, rate_factor

SCHEDULES = ["constant", "linear", "cosine", "step"]


def recipe(**values):
    return Recipe(**{"model": "test_resnet", "epochs": 4, **values})


def rates(schedule):
    return [schedule.rate(step) for step in range(schedule.total)]


class TestFallingAllTheWay:
    @pytest.mark.parametrize("sched", SCHEDULES)
    def test_start_end_of_warm_up_and_end(self, sched):
        settings = recipe(sched=sched, warmup=0.2)
        assert rate_factor(settings, 0.0) == 0.0
        assert rate_factor(settings, 0.1) == pytest.approx(0.5)
        assert rate_factor(settings, 0.2) == pytest.approx(1.0)
        end = {"constant": 1.0, "linear": 0.0, "cosine": 0.0, "step": 0.01}[sched]
        assert rate_factor(settings, 1.0) == pytest.approx(end, abs=1e-12)

    @pytest.mark.parametrize("sched", SCHEDULES)
    def test_without_warm_up_it_starts_at_the_peak(self, sched):
        assert rate_factor(recipe(sched=sched), 0.0) == 1.0

    @pytest.mark.parametrize(
        ("sched", "half"), [("constant", 1.0), ("linear", 0.5), ("cosine", 0.5), ("step", 0.1)]
    )
    def test_half_way(self, sched, half):
        assert rate_factor(recipe(sched=sched, warmup=0.2), 0.6) == pytest.approx(half)

    @pytest.mark.parametrize("sched", SCHEDULES)
    def test_it_rises_and_never_rises_again(self, sched):
        factors = [rate_factor(recipe(sched=sched, warmup=0.3), i / 1000) for i in range(1001)]
        assert factors[:300] == sorted(factors[:300])
        assert factors[300:] == sorted(factors[300:], reverse=True)
        assert min(factors) >= 0.0
        assert max(factors) <= 1.0


class TestCoolDowns:
    def test_without_one_each_step_is_where_it_is_in_its_epoch(self):
        whole = recipe(sched="cosine", warmup=0.3)
        schedule = Schedule.of(whole, 7)
        assert (schedule.total, schedule.fall) == (28, 28)
        for step in range(28):
            done = (step // 7 + (step % 7 + 0.5) / 7) / 4
            assert schedule.rate(step) == rate_factor(whole, done)  # to the bit

    @pytest.mark.parametrize("sched", SCHEDULES[1:])
    def test_it_rises_stands_and_falls(self, sched):
        schedule = Schedule.of(recipe(sched=sched, warmup=0.25, cooldown=0.25), 10)
        assert (schedule.total, schedule.fall) == (40, 30)
        found = rates(schedule)
        assert found[:10] == pytest.approx([(step + 0.5) / 10 for step in range(10)])
        assert found[10:30] == [1.0] * 20
        assert found[30:] == sorted(found[30:], reverse=True)
        assert found[-1] < 0.06

    def test_the_fall_has_the_shape_of_the_whole(self):
        short = Schedule.of(recipe(sched="cosine", cooldown=0.5), 10)
        whole = Schedule.of(recipe(sched="cosine", epochs=2), 10)
        assert rates(short)[20:] == pytest.approx(rates(whole))

    @pytest.mark.parametrize("cooldown", [0.1, 0.25, 0.5])
    @pytest.mark.parametrize("steps", [1, 3, 26, 107])
    def test_rungs_take_the_same_steps_until_they_cool_down(self, cooldown, steps):
        asked = recipe(epochs=9, warmup=0.5 * (1 - cooldown) / 27, cooldown=cooldown)
        rungs = [Schedule.of(asked, steps, epochs) for epochs in (1 / 3, 1.0, 3.0, None)]
        for lower, higher in pairwise(rungs):
            assert lower.fall <= higher.fall
            assert rates(lower)[: lower.fall] == rates(higher)[: lower.fall]
        top = rungs[-1]
        assert rates(top) == rates(Schedule.of(asked, steps))

    def test_what_falls_all_the_way_is_judged_on_the_way(self):
        whole = recipe(epochs=8, sched="linear")
        early, late = Schedule.of(whole, 5, 2.0), Schedule.of(whole, 5)
        assert rates(early) == rates(late)[:10]
        assert early.fall == early.total == 10

    def test_a_warm_up_is_never_cut_short(self):
        schedule = Schedule.of(recipe(warmup=0.4, cooldown=0.59), 10)
        assert schedule.fall == 16
        found = rates(schedule)
        assert found[:16] == sorted(found[:16])
        assert found[16:] == sorted(found[16:], reverse=True)

    def test_a_fraction_of_an_epoch_is_a_step_at_least(self):
        assert Schedule.of(recipe(cooldown=0.25), 3, 0.1).total == 1
        assert Schedule.of(recipe(cooldown=0.25), 3, 0.1).fall == 0


class TestStops:
    def test_measured_are_epochs_before_the_cool_down_and_the_end(self):
        schedule = Schedule.of(recipe(epochs=9, cooldown=0.25), 4)
        assert schedule.fall == 27  # within the seventh epoch
        assert schedule.stops() == [4, 8, 12, 16, 20, 24, 27, 28, 32, 36]
        assert [s for s in schedule.stops() if schedule.measures(s)] == [4, 8, 12, 16, 20, 24, 36]
        assert schedule.stops(27) == [28, 32, 36]

    def test_an_end_within_an_epoch_is_one(self):
        schedule = Schedule.of(recipe(epochs=9, cooldown=0.25), 12, 1 / 3)
        assert (schedule.total, schedule.fall) == (4, 3)
        assert schedule.stops() == [3, 4]
        assert not schedule.measures(3)
        assert schedule.measures(4)

    def test_only_what_has_not_begun_to_cool_down_can_go_on(self):
        schedule = Schedule.of(recipe(epochs=4, cooldown=0.25), 4)
        assert schedule.allows(0)
        assert schedule.allows(schedule.fall)
        assert not schedule.allows(schedule.fall + 1)
        done = Schedule.of(recipe(epochs=4), 4)
        assert not done.allows(done.total)


class TestRecipes:
    def canonical(self, **values):
        return Recipe.of({"model": "net", "epochs": 4, **values}, layer_groups=3)

    def test_a_cool_down_that_changes_nothing_is_none(self):
        assert self.canonical(sched="constant", cooldown=0.3).cooldown == 1.0
        assert self.canonical(warmup=0.4, cooldown=0.7).cooldown == 1.0
        assert self.canonical(warmup=0.4, cooldown=0.5).cooldown == 0.5

    def test_the_fields_of_a_training_to_a_lower_rung_say_the_same_training(self):
        whole = self.canonical(epochs=9, warmup=0.02, cooldown=0.25)
        assert whole.until(None) == whole.until(9.0) == whole.to_dict()
        lower = Recipe(**whole.until(3.0))
        assert lower.epochs == 3.0
        assert rates(Schedule.of(lower, 10)) == pytest.approx(rates(Schedule.of(whole, 10, 3.0)))
        assert math.isclose(lower.warmup * lower.epochs, whole.warmup * whole.epochs)
