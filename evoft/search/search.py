"""The search: which stint of training comes next, as a pure function of the records so far.

A strategy decides; here is the bookkeeping that all of them share.  A decision is made from the
outcomes of exactly those stints that have ended on the search's own clock, whatever else has
finished by then.  So the lineage does not depend on how many workers there are, on who finishes
first, or on how often the run was killed (docs/design.md, rules 1 and 2).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from evoft.errors import PopulationMismatchError
from evoft.genome import Genome
from evoft.individual import Individual
from evoft.ladder import EQUAL, Ladder, generation_at, pays_for_more
from evoft.outcome import Outcome
from evoft.search.chronicle import Chronicle, Express, Founders
from evoft.search.clock import Clock
from evoft.search.pricing import Price, same_price
from evoft.search.space import SearchSpace
from evoft.search.stint import Decision, Offspring, Promotion, Stint
from evoft.search.strategies import strategy_of
from evoft.search.strategy import Strategy
from evoft.seeds import derive
from evoft.settings import SearchSettings


class Search:
    """The fold over all stints and outcomes, and the decisions that follow from it.

    ``ask`` gives the next stint, ``tell`` takes an outcome; outcomes may come in any order.  Every
    state in here follows from the settings, the seed and the outcomes told.

    Args:
        space: The genes.
        settings: How to search.
        seed: Of every random stream.
        ladder: The budgets at which individuals are judged; None: one alone.
        named: Founders by name.
        express: What a genome means; None: its genes that count.
        price: What an epoch of training a genome costs; None: of all the same.
        strategy: Makes what decides; None: the one that the settings name.
    """

    def __init__(
        self,
        space: SearchSpace,
        settings: SearchSettings,
        seed: int,
        *,
        ladder: Ladder | None = None,
        named: Founders | None = None,
        express: Express | None = None,
        price: Price | None = None,
        strategy: Callable[[Chronicle], Strategy] | None = None,
    ) -> None:
        self.space = space
        self.settings = settings
        self.seed = seed
        self.ladder = ladder or Ladder()
        self.named = named or {}
        self._express = express
        self._price = price
        self._make = strategy or strategy_of
        self._begin()

    def _begin(self) -> None:
        self._chronicle = Chronicle(
            self.space,
            self.settings,
            self.seed,
            ladder=self.ladder,
            named=self.named,
            express=self._express,
            price=self._price,
        )
        self._strategy = self._make(self._chronicle)
        self._clock = Clock(self.settings.births_ahead + 1)
        self._outcomes: list[Outcome | None] = []
        self._rungs: list[int] = []  # of each individual, where its latest stint ends
        #: Stints that have ended on the clock and are not learned yet.
        self._due: deque[int] = deque()
        self._open = 0  # no stint before this one waits for its outcome
        self._untold = 0  # how many stints wait for their outcomes
        self._none_left = False
        self._none_fits = False

    @property
    def born(self) -> list[Individual]:
        """Every individual in order of birth, with its outcomes once they are told."""
        return self._chronicle.born

    @property
    def stints(self) -> list[Stint]:
        """Every stint in the order in which it was decided."""
        return self._chronicle.stints

    @property
    def spent(self) -> float:
        """Cost of all stints so far, in full trainings."""
        return self._chronicle.spent

    @property
    def is_priced(self) -> bool:
        """Whether genomes differ in what an epoch of them costs."""
        return self._price is not None

    @property
    def generation(self) -> int:
        """The generation that the next stint belongs to."""
        return generation_at(self.spent, self.settings.population_size)

    @property
    def ended(self) -> bool:
        """Whether no further stint will ever be decided."""
        return self.exhausted or not self.pays_for_more

    @property
    def pays_for_more(self) -> bool:
        """Whether what is left to spend pays for any stint at all."""
        return pays_for_more(self.spent, self.settings.births, self.ladder)

    @property
    def exhausted(self) -> bool:
        """Whether nothing is left to train, or what would be next exceeds what is left to spend."""
        return self._none_left or self._none_fits

    @property
    def none_left(self) -> bool:
        """Whether nothing is left to train, however much there is to spend."""
        return self._none_left

    @property
    def waits_for(self) -> int | None:
        """The individual whose outcome is needed first; None if every stint has one."""
        needed = next((number for number in self._due if not self.told(number)), None)
        if needed is not None:
            return self.stints[needed].individual
        return self.stints[self.open].individual if self.open < len(self.stints) else None

    @property
    def open(self) -> int:
        """The number of the first stint without an outcome, or of the next one to be decided."""
        while self._open < len(self.stints) and self.told(self._open):
            self._open += 1
        return self._open

    def told(self, number: int) -> bool:
        """Tell whether a stint's outcome has been told."""
        return self._outcomes[number] is not None

    def ask(self) -> Stint | None:
        """Return the next stint, or None when the search has ended or must wait.

        Raises:
            ValueError: The strategy continues someone who was not judged yet, or is at the top.
        """
        while not self.ended and self._ready():
            decision = self._strategy.decide()
            if decision is not None:
                return self._decided(decision)
            if self.ladder.top and self._clock.running:
                self._due.append(self._clock.wait())  # for who is in flight may be continued then
            else:
                self._none_left = True
        return None

    def _decided(self, decision: Decision) -> Stint | None:
        """Return the stint of a decision; None where what is left does not pay for it."""
        rung = self._rung_of(decision)
        child = None if isinstance(decision, Promotion) else self._individual(decision)
        one = self.born[decision.individual] if isinstance(decision, Promotion) else child
        assert one is not None
        if not self._fits(rung, one.price):
            self._none_fits = True
            return None
        return self._take(self._stint(one, rung), child)

    def tell(self, number: int, outcome: Outcome) -> None:
        """Take the outcome of stint ``number``.

        Raises:
            ValueError: It was never decided, or its outcome has been told already.
        """
        if not 0 <= number < len(self.stints):
            raise ValueError(f"trial {number} was never asked for")
        if self._outcomes[number] is not None:
            raise ValueError(f"the outcome of trial {number} has been told already")
        self._outcomes[number] = outcome
        self._untold -= 1
        id = self.stints[number].individual
        self.born[id] = self.born[id].judged(outcome)

    def restore(self, individual: Individual, rung: int = 0) -> None:
        """Take the next stint from the records, without deciding it again.

        Args:
            individual: Whose stint it is, as it was born.
            rung: Where the stint ends.

        Raises:
            PopulationMismatchError: It cannot be the next one.
        """
        id, count = individual.id, len(self.born)
        if id > count or (rung == 0 and id != count):
            raise PopulationMismatchError(
                f"the records go from individual {count - 1} to {id}: run `evoft fsck` on the file"
            )
        above = self._rungs[id] + 1 if id < count else 0
        if rung != above or rung > self.ladder.top:
            raise PopulationMismatchError(
                f"the records take individual {id} to rung {rung}, but the next that it can be "
                f"judged on is {above} of 0 to {self.ladder.top}: run `evoft fsck` on the file"
            )
        self._ready()
        # Nobody is continued in flight: if it was, on the clock, then the search waited for it.
        while rung and any(self.stints[n].individual == id for n in self._clock.running):
            self._due.append(self._clock.wait())
        if rung == 0 and not same_price(self._price_of(individual.genome), individual.price):
            raise PopulationMismatchError(
                f"individual {id} was born at a price of {individual.price:.10g}, but `price` now "
                f"says {self._price_of(individual.genome):.10g}: go on with the function that the "
                "population was made with"
            )
        self._take(self._stint(individual, rung), None if rung else individual.unjudged)

    def withdraw(self) -> None:
        """Take back the youngest stints, as long as they have no outcome, as if never asked for."""
        keep = len(self.stints)
        while keep and self._outcomes[keep - 1] is None:
            keep -= 1
        if keep == len(self.stints):
            return
        records = self._records(keep)
        self._begin()
        self._go_over(records)

    def twin(self) -> Search:
        """Return another search that stands where this one does and goes its own way from here."""
        twin = Search(
            self.space,
            self.settings,
            self.seed,
            ladder=self.ladder,
            named=self.named,
            express=self._express,
            price=self._price,
            strategy=self._make,
        )
        twin._go_over(self._records(len(self.stints)))
        return twin

    def _records(self, count: int) -> list[tuple[Individual, Stint, Outcome | None]]:
        return [(self.born[s.individual], s, self._outcomes[s.number]) for s in self.stints[:count]]

    def _go_over(self, records: list[tuple[Individual, Stint, Outcome | None]]) -> None:
        for individual, stint, outcome in records:
            self.restore(individual.unjudged, stint.rung)
            if outcome is not None:
                self.tell(stint.number, outcome)

    def _trial_seed(self, id: int) -> int:
        return derive(self.seed, "trial", 0 if self.settings.common_seed else id)

    def _ready(self) -> bool:
        """Learn what the next decision stands on; tell whether all of it has been told."""
        self._due.extend(self._clock.ended())
        if self._strategy.blind:  # how far ahead it is asked changes nothing but the wait
            return self._untold < self.settings.population_size
        while self._due:
            outcome = self._outcomes[self._due[0]]
            if outcome is None:
                return False
            self._strategy.learn(self.stints[self._due.popleft()], outcome)
        return True

    def _rung_of(self, decision: Decision) -> int:
        """Return where the stint of a decision ends."""
        if not isinstance(decision, Promotion):
            return 0
        id = decision.individual
        rung = self._rungs[id] + 1
        if rung > self.ladder.top or self.born[id].rung != rung - 1:
            raise ValueError(f"individual {id} cannot be continued to rung {rung}")
        return rung

    def _fits(self, rung: int, price: float) -> bool:
        """Tell whether what a stint to this rung costs is left to spend."""
        most = self.settings.births
        return most is None or self.spent + price * self.ladder.cost(rung) <= most + EQUAL

    def _individual(self, child: Offspring) -> Individual:
        return Individual(
            id=len(self.born),
            generation=self.generation,
            parents=child.parents,
            operator=child.operator,
            genome=child.genome,
            seed=self._trial_seed(len(self.born)),
            step=child.step,
            price=self._price_of(child.genome),
        )

    def _price_of(self, genome: Genome) -> float:
        return 1.0 if self._chronicle.price is None else self._chronicle.price(genome)

    def _stint(self, individual: Individual, rung: int) -> Stint:
        cost = individual.price * self.ladder.cost(rung)
        return Stint(len(self.stints), individual.id, rung, cost, self.generation)

    def _take(self, stint: Stint, individual: Individual | None) -> Stint:
        self._chronicle.add(stint, individual)
        self._outcomes.append(None)
        self._untold += 1
        if individual is not None:
            self._rungs.append(0)
        self._rungs[stint.individual] = stint.rung
        self._clock.start(stint)
        self._strategy.take(stint)
        return stint
