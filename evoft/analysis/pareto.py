"""The Pareto front of a population, and the best individual within limits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evoft.errors import NoResultError, SettingsError
from evoft.individual import Individual
from evoft.lineage import Population, nobody_left
from evoft.objectives import LATENCY, PARAMETERS, Objective, objectives_of, scores_of
from evoft.settings import objectives_in_file

_BOUNDED = {objective.name: objective for objective in (LATENCY, PARAMETERS)}


@dataclass(frozen=True, slots=True)
class Front:
    """Those whom no other dominates."""

    objectives: tuple[Objective, ...]
    #: Of equals the eldest; by the first objective, the best first.
    individuals: tuple[Individual, ...]

    def values(self, individual: Individual) -> dict[str, float]:
        """Return what an individual measured, by the objectives' names."""
        assert individual.outcome is not None
        return {one.name: one.value(individual.outcome) for one in self.objectives}


def objectives_in(population: Population) -> tuple[Objective, ...]:
    """Return what a population was bred for; the fitness alone where its file names nothing."""
    return objectives_of(objectives_in_file(population.header.settings))


def front_of(population: Population, objectives: Sequence[Objective | str] | None = None) -> Front:
    """Return the individuals of a population that no other dominates.

    Args:
        population: In which everybody counts who ended well.
        objectives: By which, as `evolve` takes them; None: those that it was bred for.

    Raises:
        SettingsError: A text names no objective, or one that no trial has reported.
    """
    # numba, which the kernels need, takes a moment to import.
    from evoft.kernels.ranking import crowding_of, ranks_of

    chosen = objectives_of(objectives) if objectives else objectives_in(population)
    scored = [(scores_of(chosen, i.outcome), i) for i in population]
    scored = [(scores, i) for scores, i in scored if scores[0] > -math.inf]
    if not scored:
        _require_reported(chosen, population)
        return Front(chosen, ())
    matrix = [scores for scores, _ in scored]
    ranks = ranks_of(matrix)
    # Copies of someone elder are not crowded: their distance is 0, which nobody else's is.
    eldest = crowding_of(matrix, ranks) > 0
    front = [scored[place] for place in (eldest & (ranks == 0)).nonzero()[0]]
    front.sort(key=lambda one: ([-score for score in one[0]], one[1].id))
    return Front(chosen, tuple(individual for _, individual in front))


def _require_reported(objectives: Sequence[Objective], population: Population) -> None:
    """Refuse objectives that nobody has reported who ended well."""
    reported = [i.outcome.metrics for i in population if i.outcome and i.score > -math.inf]
    for one in objectives:
        if reported and not one.fitness and not any(one.name in names for names in reported):
            there = ", ".join(sorted({name for names in reported for name in names}))
            raise SettingsError(
                f"no trial has reported `{one.name}`: {f'there is {there}' if there else 'none is'}"
            )


def pick(population: Population, limits: Mapping[str, float]) -> Individual:
    """Return the individual of the highest fitness that keeps to limits, the elder of equals.

    Args:
        population: Where to look.
        limits: The most of ``latency``, in seconds, or ``parameters`` that is allowed.

    Raises:
        SettingsError: No trial has measured what is limited.
        NoResultError: There is nobody whose latest trial ended well, or who keeps to the limits.
    """
    good = [i for i in population if i.score > -math.inf]
    if not good:
        raise NoResultError(f"{nobody_left(population)}: nothing to pick; let the search go on")
    for name in limits:
        if not any(math.isfinite(_measured(population, i, name)) for i in good):
            raise SettingsError(
                f"no trial in {population.path} has measured its {name}: it can be limited in a "
                f"population that was evolved with `--objective {name}`"
            )
    within = [individual for individual in good if keeps_to(population, individual, limits)]
    if not within:
        known = {i.id: {name: _measured(population, i, name) for name in limits} for i in good}
        raise NoResultError(_nobody(known, limits))
    return max(within, key=lambda i: (i.score, -i.id))


def keeps_to(population: Population, individual: Individual, limits: Mapping[str, float]) -> bool:
    """Tell whether an individual was measured to keep to limits; they are as in ``pick``."""
    return all(_measured(population, individual, n) <= most for n, most in limits.items())


def _measured(population: Population, individual: Individual, name: str) -> float:
    """Return what an individual has of what is limited; NaN where that is not known."""
    assert individual.outcome is not None
    value = _BOUNDED[name].value(individual.outcome)
    if name != PARAMETERS.name or math.isfinite(value):
        return value
    # Whatever a population was bred for, its file says how large its backbones are.
    model = (population.recipe(individual.id) or {}).get("model")
    sizes = {facts["model"]: facts["parameters"] for facts in population.header.backbones}
    return float(sizes.get(model, math.nan))


def _nobody(known: Mapping[int, Mapping[str, float]], limits: Mapping[str, float]) -> str:
    """Return what is wrong with limits that nobody keeps to."""
    for name, most in limits.items():
        least = min(known, key=lambda id: (_or_infinite(known[id][name]), id))
        if _or_infinite(known[least][name]) > most:
            return (
                f"nobody has {name} <= {_told(name, most)}: the least is "
                f"{_told(name, known[least][name])}, of individual {least}"
            )
    told = " and ".join(f"{name} <= {_told(name, most)}" for name, most in limits.items())
    return f"nobody has {told} at once: raise one of them"


def _told(name: str, value: float) -> str:
    return f"{1e3 * value:g}ms" if name == LATENCY.name else f"{value:g}"


def _or_infinite(value: float) -> float:
    return value if math.isfinite(value) else math.inf
