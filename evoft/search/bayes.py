"""Bayesian optimization by Optuna's samplers, everybody trained in full.

The sampler is the tree-structured Parzen estimator, all genes together (Watanabe 2023), or a
Gaussian process with expected improvement; with several objectives, what Optuna makes of these.
Each decision makes Optuna's study anew from what was learned, and a sampler with a seed of its own:
so Optuna keeps no state, and a resumed run goes on as it would have.  See ``docs/strategies.md``
for what that costs.
"""

from __future__ import annotations

import importlib.util
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from evoft.errors import SettingsError
from evoft.genome import Genome, Value
from evoft.objectives import objectives_of, scores_of
from evoft.outcome import Outcome
from evoft.search.chronicle import Chronicle
from evoft.search.gene import Gene
from evoft.search.genes import Choice, Float, Integer, Ordinal
from evoft.search.novelty import make_new
from evoft.search.sampling import Sample
from evoft.search.space import SearchSpace
from evoft.search.stint import Decision, Offspring, Stint
from evoft.seeds import derive, generator

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.study import Study

#: Outcomes that Optuna's samplers want before they model anything.
_STARTUP = 10
#: Whole numbers that a gene may have for Optuna, whose Gaussian process lists them all.
_MOST_WHOLE = 2**16
#: The least and the largest number, and the finest range, whose squares leave a float some digits.
_LEAST, _MOST, _FINEST = 1e-100, 1e100, 1e-9


class Bayes:
    """The default, the named founders and a Sobol sample; then whatever Optuna suggests.

    Raises:
        SettingsError: Optuna is not installed.
    """

    def __init__(self, chronicle: Chronicle) -> None:
        require_optuna()
        self._chronicle = chronicle
        self._sample = Sample(chronicle)
        self._objectives = objectives_of(chronicle.settings.objectives)
        #: Of each objective, by individual, as far as they are known.
        self._scores: dict[int, tuple[float, ...]] = {}

    @property
    def blind(self) -> bool:
        """Whether so few were born that there cannot be outcomes enough."""
        return len(self._chronicle.born) < _STARTUP

    def take(self, stint: Stint) -> None:
        """Note nothing: who was born stands in the chronicle."""

    def learn(self, stint: Stint, outcome: Outcome) -> None:
        """Note the scores."""
        self._scores[stint.individual] = scores_of(self._objectives, outcome)

    def decide(self) -> Decision | None:
        """Return what Optuna suggests, or one of the sample while too little is known."""
        chronicle = self._chronicle
        number, known = len(chronicle.born), self._scores
        good = [scores for scores in known.values() if scores[0] > -math.inf]
        if number < _STARTUP or len(known) < _STARTUP or not good:
            return self._sample.next()
        # Whoever failed is as bad as the worst: that warns, and leaves the scale as it is.
        worst = tuple(map(min, zip(*good, strict=True)))
        scores = {id: own if own[0] > -math.inf else worst for id, own in known.items()}
        seen = [(individual.genome, scores.get(individual.id)) for individual in chronicle.born]
        name, seed = chronicle.settings.sampler, derive(chronicle.seed, "bayes", number)
        genome = _suggest(chronicle.space, name, seen, seed, len(self._objectives))
        rng = generator(chronicle.seed, "sample", number)
        return make_new(chronicle, Offspring(genome, (), name), "sample", rng)


def require_optuna() -> None:
    """Refuse what needs Optuna where it is not installed.

    Raises:
        SettingsError: It is not.
    """
    if importlib.util.find_spec("optuna") is None:
        raise SettingsError(
            "the strategy `bayes` is Optuna's, which is not installed: `pip install evoft[bayes]`"
        )


def _suggest(
    space: SearchSpace,
    name: str,
    seen: Sequence[tuple[Genome, tuple[float, ...] | None]],
    seed: int,
    objectives: int = 1,
) -> Genome:
    """Return the genome that a sampler suggests; the genes that do not count have their default.

    Args:
        space: The genes.
        name: Which sampler.
        seen: Each genome in order of birth with its scores, None while they are not known.
        seed: Of the sampler.
        objectives: How many there are.
    """
    with _quiet():
        distributions = {name: _distribution(gene) for name, gene in space.items()}
        study = _study(space, distributions, seen, _sampler(name, seed), objectives)
        found = study.ask(distributions).params
    genome = Genome({name: _value(gene, found[name]) for name, gene in space.items()})
    return _settled(space, genome)


def _study(
    space: SearchSpace,
    distributions: Mapping[str, BaseDistribution],
    seen: Sequence[tuple[Genome, tuple[float, ...] | None]],
    sampler: BaseSampler,
    objectives: int,
) -> Study:
    import optuna
    from optuna.trial import TrialState

    study = optuna.create_study(directions=["maximize"] * objectives, sampler=sampler)
    for genome, scores in seen:
        settled = _settled(space, genome)
        study.add_trial(
            optuna.trial.create_trial(
                state=TrialState.RUNNING if scores is None else TrialState.COMPLETE,
                values=scores,
                params={name: _parameter(gene, settled[name]) for name, gene in space.items()},
                distributions=dict(distributions),
            )
        )
    return study


def _sampler(name: str, seed: int) -> BaseSampler:
    from optuna.samplers import GPSampler, TPESampler

    seed %= 2**32  # as much as numpy's RandomState takes
    if name == "gp":
        return GPSampler(seed=seed, n_startup_trials=_STARTUP)
    return TPESampler(seed=seed, n_startup_trials=_STARTUP, multivariate=True, constant_liar=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna's log and warnings from the user for a while."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import optuna

        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.CRITICAL)
        try:
            yield
        finally:
            optuna.logging.set_verbosity(verbosity)


def _settled(space: SearchSpace, genome: Genome) -> Genome:
    """Return the genome with the default in every gene that does not count."""
    counts = space.phenotype(genome)
    return genome.replace(**{n: g.standard for n, g in space.items() if n not in counts})


def _distribution(gene: Gene) -> BaseDistribution:
    """Return what Optuna knows a gene as; of listed values it knows the places.

    Of a gene beyond what Optuna reckons with it knows the unit interval.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if _is_extreme(gene):
        return FloatDistribution(0.0, 1.0)
    if isinstance(gene, Float):
        return FloatDistribution(gene.low, gene.high, log=gene.log)
    if isinstance(gene, Integer):
        return IntDistribution(gene.low, gene.high, log=gene.log)
    count = int(gene.size)
    if isinstance(gene, Ordinal):
        return IntDistribution(0, count - 1)
    return CategoricalDistribution(range(count))


def _is_extreme(gene: Gene) -> bool:
    """Tell whether Optuna's samplers would run out of numbers, or of memory, with a gene."""
    if isinstance(gene, Integer):
        return gene.size > _MOST_WHOLE
    if not isinstance(gene, Float):
        return False
    width, farthest = gene.high - gene.low, max(abs(gene.low), abs(gene.high))
    least = gene.low if gene.log else width
    return least < _LEAST or farthest > _MOST or width < _FINEST * farthest


def _parameter(gene: Gene, value: Value) -> Value:
    """Return what Optuna knows a gene's value as."""
    if _is_extreme(gene):
        return gene.unit(value)
    return gene.index(value) if isinstance(gene, Ordinal | Choice) else value


def _value(gene: Gene, parameter: Any) -> Value:
    """Return the gene's value that Optuna means."""
    if _is_extreme(gene):
        return gene.at(float(parameter))
    if isinstance(gene, Ordinal | Choice):
        value: Value = gene.values[parameter]
        return value
    return float(parameter) if isinstance(gene, Float) else int(parameter)
