"""What callers of the library give, checked, and as settings."""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path

import evoft.settings
from evoft.errors import PopulationExistsError, SettingsError
from evoft.genome import Genome
from evoft.ladder import is_too_dear
from evoft.outcome import Outcome
from evoft.places import place
from evoft.quantities import seconds
from evoft.rules import plain
from evoft.search.checks import check_epochs, idle, in_vain, kept_busy
from evoft.search.chronicle import Founders
from evoft.search.compatible import check_unpriced
from evoft.search.pricing import Price, relative
from evoft.search.sobol import sobol_points
from evoft.search.space import SearchSpace
from evoft.settings import RunSettings, Settings
from evoft.trial import Trial

_logger = logging.getLogger(__name__)

#: Genomes, evenly spread, by which it is told how much of a space is too dear.
_LOOKED_AT = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings(evoft.settings.SearchSettings):
    """How the search goes, for a fitness function of one's own.

    There are no final runs unless they are asked for, so that the function is called as often as
    generations and their size say.
    """

    #: Full evaluations in a generation; without rungs, births in it.
    population_size: int = 16
    #: How many of the best are run again with fresh seeds at the end.
    finalists: int = 0


#: What is to be maximised.  It gets a genome and its trial, whose ``seed`` makes it repeatable and
#: whose ``report(epoch, name=number)`` records a learning curve and tells the watchdog it lives.
#: Where ``epochs`` is set, ``trial.epochs`` says how many to train in all: see ``evolve``.
FitnessFunction = Callable[[Genome, Trial], Outcome | float]


def check_migrant(space: SearchSpace | None, price: Price | None) -> None:
    """Refuse another space to go on in that is none, or that prices were not made for.

    Raises:
        SpaceError: Everybody's price is told by what is likely in the space.
        TypeError: It is no space.
    """
    if space is None:
        return
    if not isinstance(space, SearchSpace):
        raise TypeError(f"`space` must be a SearchSpace, but is {space!r:.80}")
    check_unpriced(price is not None)


def run_settings(
    workers: int | None,
    budget: float | str | None,
    trial_timeout: float | str | None,
    executor: Executor | None,
    search: evoft.settings.SearchSettings,
) -> RunSettings:
    """Return how a run goes."""
    if executor is None:
        count = 1 if workers is None else _count(workers)
    else:
        count = _places_of(executor, workers, trial_timeout, search)
    return RunSettings(
        workers=count, budget=_seconds(budget), trial_timeout=_seconds(trial_timeout)
    )


def _places_of(
    executor: Executor,
    workers: int | None,
    trial_timeout: float | str | None,
    search: evoft.settings.SearchSettings,
) -> int:
    """Return how many trials an executor is given at a time at most."""
    if not isinstance(executor, Executor):
        raise SettingsError(
            f"`executor` must be a concurrent.futures.Executor, but is {executor!r:.80}: of a dask "
            "client it is client.get_executor()"
        )
    if trial_timeout is not None:
        raise SettingsError(
            "`trial_timeout` must be left out with an executor, whose trials nobody here can kill: "
            "set a limit in the fitness function, or where the executor is made"
        )
    if workers is None:
        return kept_busy(search, search.population_size)
    count = _count(workers)
    if count is None:
        raise SettingsError(
            "`workers` must be >= 1 with an executor, but is 0: give how many trials it is to have "
            "at a time, or leave it out for as many as the search keeps in the open"
        )
    return count


def _count(workers: int) -> int | None:
    """Return how many worker processes there are to be; None: this one evaluates."""
    number = plain(workers)
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise SettingsError(
            f"`workers` must be a whole number >= 0, but is {workers!r}: give how many processes "
            "are to evaluate, as in workers=4, or 0 to evaluate in this one"
        )
    return number or None


def _seconds(length: float | str | None) -> float | None:
    return seconds(length) if isinstance(length, str) else length


def search_settings(
    search: SearchSettings | None,
    generations: int | None,
    population_size: int | None,
    strategy: str | None,
    epochs: float | None,
    objectives: Sequence[str] | None,
) -> SearchSettings:
    """Return how the search goes: what ``search`` says, but for what is given beside it."""
    base = SearchSettings() if search is None else search
    if not isinstance(base, evoft.settings.SearchSettings):
        raise SettingsError(f"`search` must be evoft.SearchSettings, but is {search!r:.80}")
    if base.generations not in (SearchSettings().generations, generations):
        _logger.warning(
            "`generations` of `search`, %s, is not heeded: give it as an argument beside `search`",
            base.generations,
        )
    return replace(
        base,
        strategy=base.strategy if strategy is None else strategy,
        objectives=base.objectives if objectives is None else objectives,
        epochs=base.epochs if epochs is None else epochs,
        generations=generations,
        population_size=base.population_size if population_size is None else population_size,
    )


def named(founders: Founders | None) -> Founders:
    """Return genes that differ from the defaults by the name of the founder."""
    if founders is not None and not isinstance(founders, Mapping):
        raise SettingsError(
            "`founders` must give each its name, as in {'mine': {'lr': 0.1}}, but is "
            f"{founders!r:.80}"
        )
    return {str(name): genes for name, genes in (founders or {}).items()}


def check_fitness(fitness: FitnessFunction) -> None:
    """Refuse what cannot be called with a genome and its trial."""
    if not callable(fitness):
        raise SettingsError(f"`fitness` must be a function, but is {fitness!r:.80}")
    try:
        inspect.signature(fitness).bind(None, None)
    except ValueError:  # some that are written in C do not say what they take
        return
    except TypeError as error:
        raise SettingsError(
            f"`fitness` must take a genome and its trial, but is {fitness!r:.80} ({error}): give "
            "it two arguments, fitness(genome, trial)"
        ) from None


def check_price(price: Price | None) -> None:
    """Refuse what cannot be called with a genome."""
    if price is not None and not callable(price):
        raise SettingsError(
            f"`price` must be a function of a genome, but is {price!r:.80}: give one that returns "
            "what an epoch of it costs, or None where all cost the same"
        )


def check_prices(price: Price | None, space: SearchSpace, settings: Settings) -> None:
    """Refuse a price that a default or founder does not have; say who is too dear to be born."""
    if price is None:
        return
    size, ladder = settings.search.population_size, settings.ladder(fine_tuning=False)
    of_genome = relative(price, space)

    def costs(found: float) -> str:
        first = f"{found * ladder.cost(0):,.1f}"
        return (
            f"a first training costs {first} full ones of the default, and a generation has {size}"
        )

    for name, part in settings.founders.items():
        if is_too_dear(found := of_genome(space.complete(part)), size, ladder):
            raise SettingsError(
                f"founder {name!r} is too dear: {costs(found)}; leave it out, or give a larger "
                "`population_size`"
            )
    points = sobol_points(len(space), settings.seed, first=0, count=_LOOKED_AT)
    dear = [p for p in map(of_genome, map(space.at, points)) if is_too_dear(p, size, ladder)]
    if dear:
        _logger.warning(
            "about %.0f %% of the space is too dear to be born (where it is dearest, %s): a larger "
            "`population_size` lets more of it in",
            100 * len(dear) / _LOOKED_AT,
            costs(max(dear)),
        )


def check_space(space: SearchSpace, settings: Settings) -> None:
    """Refuse a space that the settings do not go with; say which of them are in vain."""
    if not isinstance(space, SearchSpace):
        raise SettingsError(f"`space` must be an evoft.SearchSpace, but is {space!r:.80}")
    check_epochs(space, settings.search)
    settings.ladder(fine_tuning=False)
    for part in settings.founders.values():
        space.complete(part)
    for said in (*in_vain(space, settings, fine_tuning=False), idle(settings)):
        if said:
            _logger.warning("%s", said)


def place_of_new(file: str | os.PathLike[str] | None) -> Path | None:
    """Return where a new population goes; None: nowhere.

    Raises:
        SettingsError: It is no name of a population file.
        PopulationExistsError: There is one already.
    """
    if file is None:
        return None
    if not isinstance(file, str | os.PathLike):
        raise SettingsError(f"`file` must be the path of a population file, but is {file!r:.80}")
    path = place(file)
    if path.suffix != ".h5":
        raise SettingsError(f"a population file is named *.h5, but the name given is {file}")
    if os.path.exists(path):
        raise PopulationExistsError(
            f"{file} is there already: go on with it by `evoft.resume(fitness, {str(file)!r})`, or "
            "choose another name"
        )
    return path
