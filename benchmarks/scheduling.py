"""How long a search takes by the rule that says which trial goes next: a simulation.

The births are the search's own, in the default space, with a made-up fitness; a trial costs what
its depth, batch size, changes of images and backbone make of it, known to the rule to a tenth.
Each makespan is divided by the lower bound: the work shared by all workers, or the longest chain of
births that wait for each other, whichever is longer.

    python benchmarks/scheduling.py        # writes benchmarks/results/scheduling.md
"""

from __future__ import annotations

import heapq
import math
import statistics
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from evoft.genome import Genome
from evoft.outcome import Outcome
from evoft.scheduling import in_order, span
from evoft.search.search import Search
from evoft.search.space import SearchSpace
from evoft.seeds import generator
from evoft.settings import SearchSettings
from evoft.training.default_space import default_genes
from evoft.trial import Trial

SEEDS = range(10)
WORKERS = (1, 2, 4, 8)
#: Seconds of a trial that trains everything, for each backbone.
BACKBONES = {"small": 1.0, "middle": 3.0, "large": 8.0}
#: Population size and generations.
SIZES = ((12, 4), (24, 6))

#: Returns the trial that goes next.
Rule = Callable[[Sequence[Trial], "Known", int, bool], Trial]


@dataclass
class Known:
    """What the rule knows of trials."""

    costs: dict[int, float] = field(default_factory=dict)
    in_turn: bool = False

    def cost(self, trial: Trial) -> float:
        return self.costs[trial.individual]

    def company(self, trial: Trial) -> Hashable:
        return None

    def kin(self, trial: Trial) -> Hashable:
        return None


def cost_of(genome: Genome, noise: float) -> float:
    """Return the seconds of a trial: forward through all that changes, backward above the cut."""
    above = 1.0 - float(genome["freeze_depth"])
    changing = any(genome[name] for name in ("mixup", "cutmix", "augment", "hflip", "reprob"))
    images = 0.35 * (1.0 if changing else above) + 0.65 * above + 0.02
    steps = 2.8 / float(genome["batch_size"])
    whole = BACKBONES[str(genome["model"]) if "model" in genome else "small"]
    return 0.1 + whole * (images + steps + 0.1) * math.exp(0.08 * noise)


def fitness_of(genome: Genome, noise: float) -> float:
    """Return a fitness that has the search settle on middling rates and shallow freezing."""
    rate = abs(math.log10(float(genome["lr"])) + 3)
    return -rate - 0.8 * float(genome["freeze_depth"]) + 0.2 * noise


def simulate(
    rule: Rule, workers: int, seed: int, size: int, generations: int, models: Sequence[str]
) -> float:
    """Return a search's makespan as a multiple of the lower bound."""
    space = SearchSpace.from_dict(default_genes(models))
    settings = SearchSettings(strategy="ga", population_size=size, generations=generations)
    search, known = Search(space, settings, seed), Known()
    costs: list[float] = []
    fitness: list[float] = []
    waiting: list[Trial] = []
    running: list[tuple[float, int]] = []
    now = 0.0
    while True:
        while (stint := search.ask()) is not None:
            born = search.born[stint.individual]
            dice = generator(seed, "simulation", born.id).standard_normal(3)
            costs.append(cost_of(born.genome, dice[0]))
            fitness.append(fitness_of(born.genome, dice[1]))
            known.costs[born.id] = costs[-1] * math.exp(0.1 * dice[2])
            waiting.append(Trial(born.id, born.genome, born.seed, number=stint.number))
        while waiting and len(running) < workers:
            trial = rule(waiting, known, workers, search.ended)
            waiting.remove(trial)
            heapq.heappush(running, (now + costs[trial.individual], trial.individual))
        if not running:
            break
        now, ended = heapq.heappop(running)
        search.tell(ended, Outcome.of_fitness(fitness[ended]))
    chain = span(costs, len(costs), population_size=size, lookahead=search.settings.births_ahead)
    return now / max(sum(costs) / workers, chain)


def first_come(waiting: Sequence[Trial], known: Known, workers: int, last: bool) -> Trial:
    return min(waiting, key=lambda trial: trial.individual)


def longest(waiting: Sequence[Trial], known: Known, workers: int, last: bool) -> Trial:
    return in_order(waiting, known, workers, last=True)[0]


def least_slack(waiting: Sequence[Trial], known: Known, workers: int, last: bool) -> Trial:
    return in_order(waiting, known, workers, last=False)[0]


def least_slack_then_longest(
    waiting: Sequence[Trial], known: Known, workers: int, last: bool
) -> Trial:
    return in_order(waiting, known, workers, last=last)[0]


def longest_before_the_search_starves(
    waiting: Sequence[Trial], known: Known, workers: int, last: bool
) -> Trial:
    """Take the longest until the rest takes no longer than the eldest."""
    eldest = first_come(waiting, known, workers, last)
    rest = sum(known.cost(trial) for trial in waiting) - known.cost(eldest)
    if not last and rest / workers <= known.cost(eldest):
        return eldest
    return longest(waiting, known, workers, last)


RULES: dict[str, Rule] = {
    "first come, first served": first_come,
    "longest first": longest,
    "longest first until the search would starve": longest_before_the_search_starves,
    "least slack": least_slack,
    "least slack, then longest first (evoft's)": least_slack_then_longest,
}


def main() -> None:
    """Simulate every rule, and write and print the table."""
    lines = [
        "# Which trial goes next",
        "",
        "Makespan of the search as a multiple of the lower bound (work shared by all workers, or",
        f"the longest chain of births), mean of {len(SEEDS)} seeds, by simulation with",
        "`python benchmarks/scheduling.py`. Nothing here was timed. The lineage is the same in",
        "every cell of a column and for every number of workers; only the time differs.",
    ]
    for models in (("small",), tuple(BACKBONES)):
        for size, generations in SIZES:
            spread = "one backbone" if len(models) == 1 else "three backbones (1 : 3 : 8)"
            lines += [
                "",
                f"## {spread}, {generations} generations of {size}",
                "",
                "| rule | " + " | ".join(f"{w} workers" for w in WORKERS) + " |",
                "|---|" + "---|" * len(WORKERS),
            ]
            for name, rule in RULES.items():
                means = (
                    statistics.fmean(simulate(rule, w, s, size, generations, models) for s in SEEDS)
                    for w in WORKERS
                )
                lines.append(f"| {name} | " + " | ".join(f"{mean:.3f}" for mean in means) + " |")
    text = "\n".join(lines) + "\n"
    Path(__file__).with_name("results").joinpath("scheduling.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
