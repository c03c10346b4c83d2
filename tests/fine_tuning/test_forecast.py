"""The forecast of a run: its trials' costs, and the time that is left."""

import math
from dataclasses import replace

import pytest
from climbing import Climber

from evoft.fine_tuning import forecast as forecasting
from evoft.fine_tuning.forecast import Forecast
from evoft.genome import Genome
from evoft.ladder import Ladder
from evoft.outcome import Outcome, Status
from evoft.recipe import Recipe
from evoft.search.founders import founders
from evoft.search.genes import Choice, Float, Integer, Ordinal
from evoft.search.search import Search
from evoft.search.space import SearchSpace
from evoft.settings import SearchSettings
from evoft.training.costs import Costs
from evoft.training.data import Preprocessing
from evoft.training.facts import BackboneFacts, Probe, Probes
from evoft.trial import Stage, Trial

LOOK = Preprocessing((8, 8), (0.5,) * 3, (0.5,) * 3, "bicubic", 1.0, "center")
SPACE = SearchSpace(freeze_depth=Integer(0, 3), batch_size=Ordinal([8, 16, 32, 64, 128, 256]))


def settings_of(**changes):
    return SearchSettings(**{"population_size": 8, "generations": 3, **changes})


def probed(name, width=1.0):
    """Return what is known of a backbone whose images take so many times as long."""
    facts = BackboneFacts(name, 4, 10, LOOK, True, True, "abc")
    image = width * 1e-3
    steps = [Probe(d, b, 0.01 + b * image * (2 - d / 4), 0) for d in (0, 4) for b in (8, 32)]
    return facts, Probes(name, tuple(steps), 1e-3, 0, 0.1)


class Run:
    """A run whose trials take what the forecast knows of, times a factor."""

    def __init__(self, settings, workers=1):
        self.costs = Costs({"net": probed("net")}, 640, 100)
        self.truth = Costs({"net": probed("net")}, 640, 100)
        self.forecast = Forecast(self.costs, self.recipe)
        self.settings = settings
        self.search = Search(SPACE, settings, seed=3)

    def recipe(self, genome):
        return Recipe("net", 2, **genome)

    def left(self, workers=1, **more):
        return self.forecast.left(self.search, workers, **more)

    def fitness(self, genome):
        return -float(genome["freeze_depth"])

    def seconds(self, genome):
        return 3 * self.truth.seconds(self.recipe(genome))

    def judge(self, count):
        """Judge so many trials more; return what they took."""
        took = 0.0
        for _ in range(count):
            stint = self.search.ask()
            born = self.search.born[stint.individual]
            took += self.seconds(born.genome)
            fitness = self.fitness(born.genome)
            outcome = Outcome.of_fitness(fitness, seconds=self.seconds(born.genome))
            self.search.tell(stint.number, outcome)
            trial = Trial(born.id, born.genome, born.seed)
            self.forecast.learn(trial, outcome)
        return took


def test_after_a_generation_the_rest_is_known_to_a_quarter():
    run = Run(settings_of())
    run.judge(8)
    left = run.left()
    rest = run.judge(16)
    best = sorted(run.search.born, key=lambda i: (-i.score, i.id))[:3]
    finals = [*(i.genome for i in best), SPACE.default()]
    finals_take = 2 * sum(run.seconds(genome) for genome in finals)
    assert left == pytest.approx(rest + finals_take, rel=0.25)
    # And it knows the finals at the end.
    assert run.left() == pytest.approx(finals_take, rel=0.1)
    assert run.left(finals_done=8) == 0.0
    assert 0 < run.left(finals_done=5) < finals_take


def test_more_workers_take_less_time_but_no_less_than_births_allow():
    run = Run(settings_of())
    run.judge(8)
    times = [run.left(workers) for workers in (1, 2, 4, 64)]
    assert times == sorted(times, reverse=True)
    assert times[1] == pytest.approx(times[0] / 2, rel=0.2)
    assert times[3] > times[0] / 64


def test_the_first_generation_is_foreseen_before_the_first_trial():
    run = Run(settings_of(generations=1, finalists=1, repeats=1))
    assert run.left() * 3 == pytest.approx(run.judge(8), rel=0.4)


def test_before_the_first_trial_a_search_that_learns_is_taken_to_come_to_the_default():
    space = SearchSpace(
        model=Choice(["net", "wide"]),
        freeze_depth=Integer(0, 3, default=0),
        batch_size=Ordinal([8, 16, 32, 64, 128, 256], default=8),
    )

    def seconds(run, model):
        return run.forecast.cost(Trial(0, space.default().replace(model=model), 1))

    def run_of(strategy):
        run = Run(settings_of(strategy=strategy, generations=100, finalists=0))
        run.search = Search(space, run.settings, seed=3)
        run.forecast = Forecast(
            Costs({"net": probed("net"), "wide": probed("wide", 3.0)}, 640, 100),
            lambda genome: Recipe(epochs=2, **genome),
        )
        return run

    learning, blind = run_of("evolution"), run_of("random")
    models = [c.genome["model"] for c in founders(space, {}, 8, 3)]
    assert set(models) == {"net", "wide"}
    like_the_default = sum(seconds(learning, model) for model in models) / len(models)
    assert learning.left() == pytest.approx(800 * like_the_default, rel=0.01)
    assert blind.left() < 0.8 * learning.left()


def test_without_an_end_nothing_is_said():
    assert Run(settings_of(generations=None)).left() is None


def test_a_failure_tells_nothing_of_costs():
    run = Run(settings_of())
    genome = SPACE.default()
    trial = Trial(0, genome, 1)
    before = run.forecast.cost(trial)
    run.forecast.learn(trial, Outcome(Status.TIMED_OUT, seconds=1e6))
    assert run.forecast.cost(trial) == before
    run.forecast.learn(trial, Outcome(Status.DIVERGED, seconds=20 * before))
    assert run.forecast.cost(trial) > 5 * before


def test_kin_have_backbone_and_depth_in_common():
    run = Run(settings_of())

    def kin(**genes):
        return run.forecast.kin(Trial(0, Genome(genes), 1))

    assert kin(freeze_depth=2, batch_size=8) == kin(freeze_depth=2, batch_size=64)
    assert kin(freeze_depth=2, batch_size=8) != kin(freeze_depth=1, batch_size=8)


def test_an_exhausted_space_has_no_more_births():
    run = Run(settings_of(generations=100, finalists=1, repeats=1))
    run.judge(24)
    assert run.search.ask() is None
    assert run.left() < 10 * run.seconds(SPACE.default())


class Climbing(Run):
    """A run on rungs, whose trials take a start of their own and a share of a full training."""

    def __init__(self, settings):
        super().__init__(settings)
        ladder = Ladder((1.0, 3.0, 9.0))
        self.forecast = Forecast(self.costs, self.recipe, ladder=ladder)
        self.search = Search(SPACE, settings, seed=3, ladder=ladder, strategy=Climber)

    def recipe(self, genome):
        return Recipe("net", 9, opt="adamw", **genome)

    def judge_rest(self, most=10**6):
        """Judge so many trials more; return what they took."""
        took = 0.0
        for _ in range(most):
            if (stint := self.search.ask()) is None:
                break
            born = self.search.born[stint.individual]
            ladder = self.search.ladder
            start, stop = ladder.begins(stint.rung), ladder.rungs[stint.rung]
            seconds = 3 * self.truth.seconds(self.recipe(born.genome), start, stop)
            took += seconds
            fitness = stint.rung - float(born.genome["freeze_depth"])
            outcome = Outcome.of_fitness(fitness, seconds=seconds)
            self.search.tell(stint.number, outcome)
            trial = Trial(born.id, born.genome, born.seed, rung=stint.rung, epochs=stop)
            self.forecast.learn(trial, outcome)
        return took


def test_with_rungs_a_trial_costs_its_part_of_a_full_training():
    run = Climbing(settings_of())
    genome = SPACE.default()
    trials = [Trial(0, genome, 1, rung=rung, epochs=3.0**rung) for rung in range(3)]
    parts = [run.forecast.cost(trial) for trial in trials]
    full = run.forecast.cost(Trial(0, genome, 1, Stage.FINAL))
    assert parts[0] < parts[1] < parts[2] < full < sum(parts)  # each has a start of its own


def test_with_rungs_what_is_left_is_what_is_left_to_spend():
    run = Climbing(settings_of(generations=4, finalists=1, repeats=1))
    before = run.left()
    run.judge_rest(60)
    left = run.left()
    assert left > 0
    rest = run.judge_rest()
    assert run.search.ended
    finals = run.left()
    assert finals > 0
    assert left == pytest.approx(rest + finals, rel=0.25)
    assert before > 0
    assert run.left(finals_done=2) == 0.0


def test_a_trial_that_goes_on_costs_its_own_epochs():
    run = Run(settings_of())
    ladder = Ladder((1.0, 2.0), cooldown=0.25)
    genome = SPACE.default()
    recipe = replace(run.recipe(genome), opt="adamw")
    forecast = Forecast(run.costs, lambda genome: recipe, ladder=ladder)
    low = Trial(0, genome, 1, rung=0, epochs=1.0)
    high = Trial(0, genome, 1, rung=1)
    final = Trial(0, genome, 2, Stage.FINAL)
    assert forecast.cost(low) == run.costs.seconds(recipe, 0.0, 1.0)
    assert forecast.cost(high) == run.costs.seconds(recipe, 0.75, 2.0)
    assert forecast.cost(final) == run.costs.seconds(recipe)
    before = forecast.cost(final)
    forecast.learn(high, Outcome(Status.OK, 0.5, seconds=3 * forecast.cost(high)))
    assert forecast.cost(final) > 1.5 * before
    # What trains in company goes on too; what cannot be paused begins anew.
    beside = Forecast(run.costs, lambda genome: recipe, lambda trial: "us", ladder)
    assert beside.cost(high) == run.costs.seconds(recipe, 0.75, 2.0)
    other = replace(recipe, opt="lookahead_adam")
    assert Forecast(run.costs, lambda genome: other, ladder=ladder).cost(high) == (
        run.costs.seconds(other)
    )


def test_what_does_not_fit_took_memory_all_the_same():
    run = Run(settings_of())
    facts = BackboneFacts("net", 4, 10, LOOK, True, True, "abc")
    steps = [Probe(d, b, 0.01, b * 100) for d in (0, 4) for b in (8, 32)]
    costs = Costs({"net": (facts, Probes("net", tuple(steps), 1e-3))}, 640, 100)
    forecast = Forecast(costs, run.recipe)
    trial = Trial(0, Genome(freeze_depth=0, batch_size=32), 1)
    assert costs.memory(32) == 3200
    for status in (Status.FAILED, Status.LOST, Status.OUT_OF_MEMORY):  # of the process, or unknown
        forecast.saw(trial, Outcome(status, peak_memory=9000))
    assert costs.memory(32) == 3200
    forecast.saw(trial, Outcome(Status.INFEASIBLE, peak_memory=5000))
    assert costs.memory(32) == 5000


class Drifting(Run):
    """A run whose best recipes take many times as long as its first ones."""

    space = SearchSpace(
        batch_size=Ordinal([8, 16, 32, 64, 128, 256, 512], default=512),
        lr=Float(1e-5, 1e-1, log=True),
        drop=Float(0.0, 0.5),
        smoothing=Float(0.0, 0.2),
    )

    def __init__(self, settings):
        super().__init__(settings)
        facts = BackboneFacts("net", 4, 10, LOOK, True, True, "abc")
        steps = [Probe(d, b, 0.5 + b * 1e-5, 0) for d in (0, 4) for b in (8, 32)]
        probes = Probes("net", tuple(steps), 1e-5, 0, 1e-3)
        self.costs = Costs({"net": (facts, probes)}, 640, 100)
        self.truth = Costs({"net": (facts, probes)}, 640, 100)
        self.forecast = Forecast(self.costs, self.recipe)
        cheap = [512, 256, 256, 128, 128, 64]
        named = {f"cheap {i}": {"batch_size": size, "drop": i / 12} for i, size in enumerate(cheap)}
        self.search = Search(self.space, settings, seed=3, named=named)

    def recipe(self, genome):
        return Recipe("net", 2, freeze_depth=0, **genome)

    def fitness(self, genome):
        luck = abs(math.log10(genome["lr"]) + 3) + abs(genome["drop"] - 0.2)
        return 0.3 * math.log(self.seconds(genome)) - luck


def test_a_search_that_comes_to_like_dear_recipes_is_seen_coming(monkeypatch):
    monkeypatch.setattr(forecasting, "_LONGEST", float("inf"))
    monkeypatch.setattr(forecasting, "_WORTH", float("inf"))
    run = Drifting(settings_of(population_size=10, generations=4))
    run.judge(10)
    first = [run.seconds(one.genome) for one in run.search.born]
    plain, left = run.left(ahead=False), run.left()
    rest = run.judge(30)
    late = [run.seconds(one.genome) for one in run.search.born[-10:]]
    assert sum(late) > 2 * sum(first)
    best = sorted(run.search.born, key=lambda i: (-i.score, i.id))[:3]
    finals = 2 * sum(run.seconds(one.genome) for one in [*best, run.search.born[0]])
    assert left == pytest.approx(rest + finals, rel=0.25)
    assert plain < 0.7 * (rest + finals)


def test_estimates_leave_the_search_as_it_is():
    plain, estimated = Climbing(settings_of()), Climbing(settings_of())
    while (took := plain.judge_rest(7)) > 0:
        assert estimated.left() > 0
        assert estimated.judge_rest(7) == took
    assert list(map(repr, estimated.search.born)) == list(map(repr, plain.search.born))
    assert estimated.search.stints == plain.search.stints


def test_a_default_that_is_among_the_best_runs_again_only_once():
    run = Run(settings_of(generations=1, finalists=8, repeats=1))
    run.judge(8)
    assert run.search.ended
    assert any(one.operator == "default" for one in run.search.born)
    assert run.left() == pytest.approx(
        sum(run.seconds(one.genome) for one in run.search.born), rel=0.2
    )
