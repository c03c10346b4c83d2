"""Two peers without a model: random search, and asynchronous successive halving."""

import math

from search_clock import Task
from search_problems import Problem

from evoft.genome import Genome
from evoft.ladder import Ladder
from evoft.seeds import generator

#: Members that a rung needs before it has a say in who breeds, and how many of its best do.
_ENOUGH, _PARENTS = 5, 12
#: Share of newcomers that are not bred.
_STRANGERS = 0.1


class Random:
    """Full trainings of random genomes."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self._problem, self._seed, self._asked = problem, seed, 0

    def ask(self) -> Task | None:
        genome = self._problem.space.sample(generator(self._seed, "random", self._asked))
        self._asked += 1
        return Task(self._asked, genome, 0, self._problem.epochs, self._asked)

    def tell(self, task: Task, scores: list[float]) -> None:
        """Learn nothing."""


class Asha:
    """Asynchronous successive halving (Li and others 2020, algorithm 2); the paused are continued.

    With ``evolve`` newcomers are bred, by uniform crossover and mutation, from the best on the
    highest rung that has enough members: the evolution without its referee.
    """

    def __init__(self, problem: Problem, seed: int, *, eta: int = 3, evolve: bool = False) -> None:
        self._space, self._seed, self._eta, self._evolve = problem.space, seed, eta, evolve
        self._rungs = [int(r) for r in Ladder.of(problem.epochs, factor=eta).rungs]
        self._scores: list[dict[int, float]] = [{} for _ in self._rungs]
        self._promoted: list[set[int]] = [set() for _ in self._rungs]
        self._genomes: list[Genome] = []
        self._asked = 0

    def ask(self) -> Task | None:
        self._asked += 1
        for rung in reversed(range(len(self._rungs) - 1)):
            if (run := self._promotable(rung)) is not None:
                self._promoted[rung].add(run)
                start, stop = self._rungs[rung : rung + 2]
                return Task(run, self._genomes[run], start, stop, self._asked)
        self._genomes.append(self._newcomer())
        run = len(self._genomes) - 1
        return Task(run, self._genomes[run], 0, self._rungs[0], self._asked)

    def tell(self, task: Task, scores: list[float]) -> None:
        whole = len(scores) == task.stop - task.start
        score = scores[-1] if whole else -math.inf
        self._scores[self._rungs.index(task.stop)][task.run] = score

    def _promotable(self, rung: int) -> int | None:
        members = self._scores[rung]
        ranked = sorted(members, key=lambda run: -members[run])
        for run in ranked[: len(ranked) // self._eta]:
            if run not in self._promoted[rung] and members[run] > -math.inf:
                return run
        return None

    def _newcomer(self) -> Genome:
        rng = generator(self._seed, "asha", self._asked)
        pools = [members for members in reversed(self._scores) if len(members) >= _ENOUGH]
        if not self._evolve or not pools or rng.random() < _STRANGERS:
            return self._space.sample(rng)
        ranked = sorted(pools[0], key=lambda run: -pools[0][run])[:_PARENTS]
        a, b = (self._genomes[ranked[min(rng.integers(len(ranked), size=3))]] for _ in range(2))
        values = {}
        for name, gene in self._space.items():
            value = (a if rng.random() < 0.5 else b)[name]
            values[name] = gene.mutate(value, rng, 0.15) if rng.random() < 0.3 else value
        return Genome(values)
