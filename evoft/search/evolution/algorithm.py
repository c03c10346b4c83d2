"""The evolution: a genetic algorithm whose broods are judged by a referee, on rungs.

A default recipe that is stated is trained in full, the other founders to a modest rung.  From then
on each decision judges all that is known, breeds a brood from the best, and either lets one child
of it be born or continues one of the paused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from evoft.genome import Genome
from evoft.ladder import EQUAL, left_in_generation
from evoft.objectives import objectives_of
from evoft.outcome import Outcome
from evoft.search.chronicle import Chronicle
from evoft.search.evolution.brood import Brood, Parent, breed, toolbox
from evoft.search.evolution.compromise import compromise, undominated
from evoft.search.evolution.decide import Plans, Terms, hopes, plan
from evoft.search.evolution.duties import Audit, audited, gives_up, schooled, ways
from evoft.search.evolution.encoding import Array, Encoding, Indices
from evoft.search.evolution.founding import Founding, unbred
from evoft.search.evolution.judge import Judge, expecting
from evoft.search.evolution.knowledge import Knowledge
from evoft.search.evolution.niches import cleared
from evoft.search.evolution.one_thread import one_thread
from evoft.search.evolution.promotion import undominated_paused
from evoft.search.evolution.referee import Referee
from evoft.search.evolution.trust import Faith
from evoft.search.evolution.tuning import Tuning
from evoft.search.evolution.twins import twins
from evoft.search.prior import Prior
from evoft.search.stint import Decision, Offspring, Promotion, Stint
from evoft.search.variation import Fitness
from evoft.seeds import generator


@dataclass(frozen=True, slots=True)
class _Field:
    """Who stands before the referee at a decision."""

    brood: Brood
    #: Ids of the paused, and the rung at which each was judged last.
    paused: Indices
    rungs: Indices


class Evolution:
    """A genetic algorithm with DEAP's operators, a Gaussian process as its referee, and rungs.

    Args:
        chronicle: What has happened in the search.
        tuning: The constants.
        prior: What the user believes of good genomes; None: what the chronicle's space says.
    """

    def __init__(
        self, chronicle: Chronicle, *, tuning: Tuning | None = None, prior: Prior | None = None
    ) -> None:
        self._chronicle = chronicle
        self._tuning = tuning or Tuning()
        self._faith = Faith(prior or chronicle.prior)
        self._encoding = Encoding.of(chronicle.space)
        genes = self._encoding.genes
        self._knowledge = Knowledge(
            chronicle.ladder,
            len(chronicle.space),
            len(genes),
            chronicle.seed,
            objectives_of(chronicle.settings.objectives),
        )
        self._judge = Judge(self._knowledge, genes, self._tuning.reach)
        self._box = toolbox(self._encoding, chronicle.settings.tournsize, self._strangers)
        self._costs = np.array(ways(chronicle.ladder))
        tuned = self._tuning
        self._founding = Founding(chronicle, self._knowledge, least=tuned.founders, lead=tuned.lead)
        self._audit = Audit(chronicle.seed)

    @property
    def blind(self) -> bool:
        """Whether the next is a founder to be born, whatever was learned."""
        return self._founding.is_on and not self._founding.is_led

    def take(self, stint: Stint) -> None:
        """Note who is in flight, and the genome of who is born."""
        if stint.rung == 0:
            genome = self._chronicle.born[stint.individual].genome
            units = self._encoding.units(genome)
            self._knowledge.bear(units, self._encoding.rows(units[None, :])[0])
            self._faith.bear(genome)
        self._audit.take(stint)
        self._knowledge.take(stint)

    def learn(self, stint: Stint, outcome: Outcome) -> None:
        """Take what a stint gave."""
        self._knowledge.learn(stint, outcome)

    def decide(self) -> Decision | None:
        """Return the next founder, who climbs whatever its score, or whom the referee chooses."""
        founding = self._founding
        if founding.is_led and self._knowledge.is_waiting(0) and self._price(0) <= self._purse:
            return Promotion(0)
        if founding.is_on:
            return founding.next()
        with one_thread():
            return self._chosen()

    def _chosen(self) -> Decision | None:
        """Return who is to climb or to be born when there is something to judge by."""
        given_up = gives_up(self._knowledge, self._audit.sample)
        id = self._obliged(given_up)
        if id is not None and self._price(id) <= self._purse:
            return Promotion(id)
        rng = generator(self._chronicle.seed, "brood", len(self._chronicle.stints))
        scores = self._scores()
        alive = self._knowledge.alive(self._tuning.living, scores)
        if not len(alive):
            return self._stranger(rng)
        if self._tuning.referee:
            order, field = self._judged(alive, scores, given_up, rng)
        else:
            latest = scores[self._knowledge.latest_of(alive)]
            field = self._field(alive, latest, latest, rng)
            order = rng.permutation(len(field.brood) + len(field.paused)).tolist()
        return self._carried_out(order, field) or self._stranger(rng) or self._left_over()

    # --- who needs no referee

    def _stranger(self, rng: Generator) -> Offspring | None:
        child = Offspring(self._chronicle.space.sample(rng), (), "immigrant")
        return unbred(self._chronicle, child, "immigrant", rng)

    def _obliged(self, given_up: bool) -> int | None:
        """Return who climbs whatever its score."""
        known, chronicle, purse = self._knowledge, self._chronicle, self._purse

        def can_pay(id: int) -> bool:
            # Whom no generation may ever pay for must not keep the others waiting.
            return chronicle.born[id].price <= 1.0 or self._price(id) <= purse

        latest = known.latest
        # Of those born before the rung was given up, the referee chooses: only the latest climbs.
        if given_up and latest and latest.rung == 0 and known.is_waiting(latest.individual):
            return latest.individual
        count = min(self._founding.count, len(chronicle.born))
        id = schooled(known, count, self._costs, self._tuning.schooling, can_pay)
        if id is not None:
            return id
        audit, ladder = self._audit, chronicle.ladder
        return audited(
            known,
            audit.sample,
            ladder,
            chronicle.spent,
            audit,
            can_pay,
            lambda id: chronicle.born[id].price,
        )

    def _left_over(self) -> Promotion | None:
        """Return anybody who can be continued: for when nobody can be born."""
        waiting = (id for id in self._knowledge.curves if self._knowledge.is_waiting(id))
        return next((Promotion(id) for id in waiting if self._price(id) <= self._purse), None)

    def _price(self, id: int) -> float:
        chronicle = self._chronicle
        return chronicle.born[id].price * chronicle.ladder.cost(self._knowledge.rung(id) + 1)

    @property
    def _purse(self) -> float:
        """What plans may cost, in full trainings: what is left in the generation."""
        return self._purse_for(1.0)

    def _purse_for(self, price: float) -> float:
        """Return what plans may cost, of candidates the cheapest of whom has this price.

        Where the last generation ends, the search does.  Were it what is left in all, a search
        would not begin like one of more generations.
        """
        chronicle = self._chronicle
        if chronicle.settings.births is None:
            return np.inf
        size = chronicle.settings.population_size
        return left_in_generation(chronicle.spent, size, chronicle.ladder, price) + EQUAL

    # --- the referee's choice

    def _scores(self) -> Array:
        """Return how good all observations are at this decision, ``(n,)``."""
        known, chronicle = self._knowledge, self._chronicle
        if not known.several:
            return known.scores
        rng = generator(chronicle.seed, "weights", len(chronicle.stints))
        return compromise(known.values, rng)

    def _judged(
        self, alive: Indices, scores: Array, given_up: bool, rng: Generator
    ) -> tuple[list[int], _Field]:
        """Return who stands before the referee, and its order of them."""
        known, tuning = self._knowledge, self._tuning
        referee, yardstick = self._judge.referee(scores)
        living = referee.born(alive)
        means = living.means()
        best_placed = means[undominated(known, alive)] if known.several else means
        incumbents = {
            "predicted": float(best_placed.max()),
            "observed": float(yardstick(scores).max()),
        }
        best = incumbents.get(tuning.incumbent, max(incumbents.values()))
        field = self._field(alive, means, hopes(living, means, best), rng)
        running = {id: float(known.times[rung]) for id, rung in known.running.items()}
        plans = self._plans(
            expecting(referee, running), field, best, incumbents["observed"], given_up
        )
        return plans.in_order(within=tuning.tie), field

    def _field(self, alive: Indices, scores: Array, promises: Array, rng: Generator) -> _Field:
        """Return a brood of the best of the living and the most promising of the paused.

        Args:
            alive: Ids of the living, ``(k,)``.
            scores: What they are chosen as parents by, ``(k,)``.
            promises: What those of them who are paused are chosen by, ``(k,)``: by their scores
                whoever is uncertain would be born and then forgotten.
            rng: Breeds the brood.
        """
        known, tuning, born = self._knowledge, self._tuning, self._chronicle.born
        breeding, step = tuning.breeding, self._chronicle.settings.sigma
        self._faith.weigh(alive, scores, len(self._chronicle.stints))
        order = np.argsort(-scores, kind="stable")
        order = order[
            cleared(known.rows[alive[order]], radius=breeding.niche, most=breeding.parents)
        ]
        parents = [
            Parent(id, known.units[id], born[id].step, Fitness((score,)))
            for id, score in zip(alive[order].tolist(), scores[order].tolist(), strict=True)
        ]
        brood = breed(self._box, breeding, parents, step, rng)
        promising = alive[np.argsort(-promises, kind="stable")].tolist()
        paused = [id for id in promising if known.is_waiting(id)]
        if known.several and tuning.referee:
            paused = undominated_paused(known, self._judge, paused)
        paused = paused[: tuning.paused]
        rungs = [known.rung(id) for id in paused]
        return _Field(brood, np.array(paused, dtype=np.intp), np.array(rungs, dtype=np.intp))

    def _plans(
        self,
        referee: Referee,
        field: _Field,
        best: float,
        observed: float,
        given_up: bool,
    ) -> Plans:
        tuning, brood = self._tuning, field.brood
        prices = self._prices(self._genomes(brood))
        elders = [self._chronicle.born[id].genome for id in field.paused.tolist()]
        their_prices = self._prices(elders)
        least = min(np.min(prices), np.min(their_prices, initial=np.inf))
        terms = Terms(
            self._knowledge.times,
            self._costs,
            self._purse_for(float(least)),
            tuning.thrift,
            tuning.closely,
            lowest=int(given_up),
            plain=tuning.worth == "plain",
            # Where nobody is paused, what is predicted best was trained in full.
            observed=observed if tuning.worth == "gained" and len(self._costs) > 1 else np.inf,
        )
        rows = self._encoding.rows(brood.units)
        unjudged = np.full(len(brood), -1, dtype=np.intp)
        bonus = self._faith.bonus(self._genomes(brood))
        bonus = np.where(twins(rows, self._knowledge.rows), -np.inf, bonus)
        plans = plan(referee.unborn(rows), unjudged, best, terms, bonus, prices)
        if not len(field.paused):
            return plans
        latest = self._knowledge.latest
        loyal = tuning.loyalty * (field.paused == (latest.individual if latest else -1))
        bonus = loyal + self._faith.bonus(elders)
        born = referee.born(field.paused)
        return plans.then(plan(born, field.rungs, best, terms, bonus, their_prices))

    def _genomes(self, brood: Brood) -> Iterator[Genome]:
        return (self._encoding.genome(units) for units in brood.units)

    def _prices(self, genomes: Iterable[Genome]) -> Array | float:
        """Return what an epoch of each genome costs, ``(k,)``, in epochs of the default's."""
        price = self._chronicle.price
        return 1.0 if price is None else np.array([price(genome) for genome in genomes])

    def _carried_out(self, order: Iterable[int], field: _Field) -> Decision | None:
        """Return the first that can be: it is paused, or nobody like it has been born."""
        born, brood = self._chronicle.born, field.brood
        for chosen in order:
            if chosen >= len(brood):
                return Promotion(int(field.paused[chosen - len(brood)]))
            parents = brood.parents[chosen]
            genome = self._encoding.genome(brood.units[chosen], [born[id].genome for id in parents])
            if self._chronicle.may_be_born(genome):
                return Offspring(
                    genome, parents, brood.operators[chosen], float(brood.steps[chosen])
                )
        return None

    def _strangers(self, count: int, rng: Generator) -> Array:
        """Return units of immigrants, ``(count, genes)``; those from the prior fade with it."""
        units = self._encoding.snap(rng.random((count, len(self._chronicle.space))))
        for place, genome in enumerate(self._faith.sample(count, rng)):
            units[place] = self._encoding.units(genome)
        return units
