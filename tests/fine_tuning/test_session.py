"""What a run with a budget keeps back for its final runs."""

from types import SimpleNamespace

import pytest

import evoft
from evoft.fine_tuning.session import FineTuning
from evoft.settings import RunSettings, SearchSettings, Settings

SPACE = evoft.SearchSpace(x=evoft.Float(0.0, 1.0))


@pytest.mark.parametrize(
    ("budget", "workers", "judged", "kept"),
    [
        # Of three finalists, the default among them, and a fourth of their mean: twice each.
        (1e3, 1, 4, 2 * (10 + 12 + 13) + 2 * 35 / 3),
        (1e3, 2, 4, 10 + 12 + 13 + 35 / 3),
        (1e3, 1, 1, 8 * 10),
        (60.0, 1, 4, 20.0),
        (60.0, 1, 0, 0.0),
    ],
)
def test_it_is_what_todays_finalists_take_and_a_third_of_the_budget_at_most(
    budget, workers, judged, kept
):
    search = SearchSettings(population_size=6, finalists=3, repeats=2)
    settings = Settings(search=search, run=RunSettings(budget=budget))
    forecast = SimpleNamespace(cost=lambda trial: 10.0 + trial.individual)
    plan = SimpleNamespace(settings=settings, forecast=forecast, final_runs=8)
    with evoft.new(SPACE, search=search) as evolution:
        for trial in [evolution.ask() for _ in range(judged)]:
            evolution.tell(trial, 0.0 if trial.individual == 1 else 1.0)
        run = FineTuning(plan, evolution, SimpleNamespace(most=workers), None)
        assert run._kept_back() == pytest.approx(kept)
