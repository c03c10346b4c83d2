"""How the search goes: who decides, by what numbers, and on which rungs it judges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from evoft.errors import SettingsError
from evoft.ladder import Ladder
from evoft.objectives import FITNESS, objectives_of
from evoft.rules import plain_fields, require, require_kinds, require_known, require_whole

#: Who can decide what is trained next, those of them that judge on rungs, and those of these that
#: are nothing without them.
STRATEGIES = ("evolution", "ga", "random", "grid", "hyperband", "asha", "bayes")
CLIMBING = frozenset({"evolution", "hyperband", "asha"})
RUNGS_ONLY = frozenset({"hyperband", "asha"})
#: Those that let some climb whatever their score, to hear how the rungs agree (``evoft.audit``).
AUDITING = frozenset({"evolution"})
#: Those that wait for no outcome, so that as many workers are busy as there are.
BLIND = frozenset({"random", "grid"})

#: Whom the strategy ``bayes`` asks: a tree-structured Parzen estimator or a Gaussian process.
SAMPLERS = ("tpe", "gp")


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """How the search goes.  Probabilities have DEAP's names."""

    #: Who decides what is trained next: ``evolution``, ``ga``, ``random``, ...
    strategy: str = "evolution"
    #: What the search is after: the fitness, by the name of the metric that it is, as
    #: ``accuracy``, or as ``fitness``; ``latency`` and ``parameters``, which evoft measures when it
    #: trains; metrics of one's own as in ``energy:min`` or ``f1:max``.
    objectives: Sequence[str] = (FITNESS.name,)
    #: Full trainings in a generation; without rungs, births in it and individuals that live at a
    #: time.
    population_size: int = 12
    #: Generations over the life of the population, founders included; None: until the budget ends.
    generations: int | None = 4
    #: Epochs of a full evaluation by a fitness function of one's own; None: it has no epochs.  A
    #: fine-tuning trial has its own ``epochs``.
    epochs: float | None = None
    #: Epochs of the lowest rung, for strategies that judge on rungs.
    first_rung: float = 1.0
    #: What each rung multiplies the epochs of the one below it by, about.
    rung_factor: float = 3.0
    #: Values of each gene on a grid, at most; None: 3, then 9, and so on while the budget lasts.
    points: int | None = None
    #: Which of Optuna's samplers the strategy ``bayes`` asks: ``tpe`` or ``gp``.
    sampler: str = "tpe"
    #: Probability that an offspring comes from two parents.
    cxpb: float = 0.7
    #: Probability that an offspring of two parents is mutated; one of one parent always is.
    mutpb: float = 0.7
    #: Probability that a mutated offspring's gene is mutated; at least one always is.
    indpb: float = 0.2
    #: Standard deviation of a mutation's step, as a share of the gene's range.
    sigma: float = 0.2
    #: Crowding of simulated binary crossover: the higher, the closer to the parents.
    eta: float = 10.0
    #: Individuals in a selection tournament.
    tournsize: int = 3
    #: How many of the best ever stay alive; the other places go to the youngest.  None: half.
    elite: int | None = None
    #: How many births may be in the open at a birth; None: half of the population's size, or a
    #: quarter of it for the evolution, which every trial in the open leaves knowing less.
    lookahead: int | None = None
    #: Whether all individuals are evaluated with one seed: the same order of images, the same first
    #: weights of the classifier, so that what is luck for one may be luck for another.
    common_seed: bool = False
    #: How many of the best are run again with fresh seeds before one is named.
    finalists: int = 3
    #: How often each finalist is run again.
    repeats: int = 2

    def __post_init__(self) -> None:
        plain_fields(self)
        values = asdict(self)
        require(values, _SEARCH_RULES)
        require_kinds(values, {"common_seed": (bool, "true or false")})
        require_known(values, {"strategy": STRATEGIES, "sampler": SAMPLERS})
        self._check_objectives()
        require_whole(
            values,
            ("population_size", "generations", "points", "tournsize", "elite", "lookahead",
             "finalists", "repeats"),
        )  # fmt: skip
        for name in ("elite", "lookahead"):
            if values[name] is not None and values[name] >= self.population_size:
                raise SettingsError(
                    f"`{name} < population_size` must hold, but got ({name}={values[name]}, "
                    f"population_size={self.population_size})"
                )

    def _check_objectives(self) -> None:
        objectives = objectives_of(self.objectives)
        object.__setattr__(self, "objectives", tuple(map(str, self.objectives)))
        if not any(one.fitness for one in objectives):
            raise SettingsError(
                f"`objectives` must have {FITNESS.name}, the fitness, among them, but are "
                f"{', '.join(self.objectives)}: it goes by the name of the metric that it is"
            )

    @property
    def elite_places(self) -> int:
        """``elite``, or half of the population's size."""
        return max(1, self.population_size // 2) if self.elite is None else self.elite

    @property
    def births_ahead(self) -> int:
        """``lookahead``, or half or a quarter of the population's size, at least 1."""
        if self.lookahead is not None:
            return self.lookahead
        return max(1, self.population_size // (4 if self.strategy == "evolution" else 2))

    @property
    def births(self) -> int | None:
        """Full trainings over the life of the population; None: as many as the budget allows."""
        return None if self.generations is None else self.generations * self.population_size

    def ladder(self, epochs: float | None, cooldown: float = 0.0) -> Ladder:
        """Return the rungs on which the strategy judges individuals.

        Args:
            epochs: Epochs of a full training; None: it has none, and so there is one rung.
            cooldown: Share of a rung's epochs that serve its judgement alone, ``[0, 1)``.

        Raises:
            SettingsError: The strategy is nothing without rungs and there are no epochs, or the
                lowest rung is longer than a full training.
        """
        if epochs is None:
            if self.strategy in RUNGS_ONLY:
                raise SettingsError(
                    f"`epochs` must be given, for the strategy {self.strategy!r} judges after "
                    "parts of a full evaluation: say how many epochs that has, or take another "
                    "strategy"
                )
            return Ladder()
        if self.strategy not in CLIMBING:
            return Ladder((float(epochs),))
        if self.first_rung > epochs:
            raise SettingsError(
                f"`first_rung <= epochs` must hold, but got (first_rung={self.first_rung:g}, "
                f"epochs={epochs:g}): individuals are first judged within a full training"
            )
        return Ladder.of(epochs, first=self.first_rung, factor=self.rung_factor, cooldown=cooldown)


_SEARCH_RULES = {
    ">= 2": ("population_size", "points"),
    ">= 1": ("generations", "tournsize", "repeats"),
    ">= 0": ("elite", "lookahead", "finalists"),
    "> 0": ("sigma", "eta", "epochs", "first_rung"),
    "> 1": ("rung_factor",),
    "in [0, 1]": ("cxpb", "mutpb", "indpb"),
}
