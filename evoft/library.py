"""evoft as a library: evolve any fitness function of one's own.

``evolve`` and ``resume`` run the loop with workers; ``new`` and ``reopen`` give an ``Evolution`` to
``ask`` and ``tell`` for those who own their loop.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

from evoft.arguments import (
    FitnessFunction,
    SearchSettings,
    check_fitness,
    check_migrant,
    check_price,
    check_prices,
    check_space,
    named,
    place_of_new,
    run_settings,
    search_settings,
)
from evoft.elders import with_elders
from evoft.environment import versions
from evoft.errors import PopulationMismatchError
from evoft.evolution import Evolution
from evoft.fitness_loop import generations_of
from evoft.header import Header
from evoft.individual import Generation
from evoft.ledger import Memory
from evoft.lineage import Population, Store
from evoft.migration import migrate, space_from_here
from evoft.places import place
from evoft.search.chronicle import Founders
from evoft.search.pricing import Price, relative
from evoft.search.search import Search
from evoft.search.space import SearchSpace
from evoft.settings import Settings

_logger = logging.getLogger(__name__)


def evolve(  # noqa: PLR0913  # each is a setting that users name at this one call
    fitness: FitnessFunction,
    space: SearchSpace,
    *,
    strategy: str | None = None,
    objectives: Sequence[str] | None = None,
    epochs: float | None = None,
    generations: int | None = 20,
    population_size: int | None = None,
    file: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    seed: int = 0,
    budget: float | str | None = None,
    trial_timeout: float | str | None = None,
    founders: Founders | None = None,
    elders: Sequence[str | os.PathLike[str]] = (),
    search: SearchSettings | None = None,
    price: Price | None = None,
) -> Iterator[Generation]:
    """Evolve genomes of ``space`` that maximise ``fitness``; yield each generation when judged.

    With ``epochs``, strategies such as ``evolution`` and ``asha`` judge individuals on rungs: first
    after few epochs, and those that are worth it again after more.  The fitness function is then
    called once a rung, with the same ``trial.individual`` and ``trial.seed``, the next
    ``trial.rung``, and in ``trial.epochs`` the epochs of training in all.  It may go on from what
    it saved itself on the rung below, under a name made of ``trial.stage``, ``trial.individual``
    and ``trial.rung``; where that is missing it must train from the start, and either way the
    fitness must come out the same, for a seed to give one lineage.  See ``examples/rungs.py``.

    Args:
        fitness: What to maximise, called as ``fitness(genome, trial)``: ``genome`` maps the genes'
            names to values, ``trial.seed`` makes it repeatable, and ``trial.report(epoch,
            loss=0.3)`` records a learning curve.  It returns a number, the higher the better, or an
            ``Outcome``; what it raises is recorded, and the run goes on.  It runs in worker
            processes: it must be picklable; a function of the script or notebook itself will do.
        space: The genes.
        strategy: Who decides what is evaluated next; None: what ``search`` says.
        objectives: What to be after: the fitness, called ``fitness`` or, where it is one,
            ``accuracy`` or ``balanced_accuracy``, and metrics of the outcomes by name and
            direction, as in ``energy:min`` or ``f1:max``; ``evoft.front_of`` then has the best.
            None: what ``search`` says, which is by itself the fitness alone.
        epochs: Of a full evaluation; None: what ``search`` says, which is by itself that an
            evaluation has no epochs and everybody is judged once.
        generations: How many, the founders included; None: until the budget ends.
        population_size: Full evaluations in a generation; without rungs, births in it.  None: what
            ``search`` says, which is by itself 16.
        file: Population file ``*.h5`` to make; None: keep everything in memory only.
        workers: Processes, of one thread each unless ``fitness`` sets more; 0 evaluates in this
            one, without limits or isolation.  None: 1; or with an ``executor``, to which it is how
            many trials it has at a time, as many as the search keeps in the open.
        executor: Who evaluates instead of processes of evoft's own: a ``concurrent.futures``
            executor, such as dask's ``client.get_executor()`` for many machines.
        seed: The same seed gives the same lineage on any number of workers.
        budget: Running time over the life of the population, in seconds or as ``"30m"``.
        trial_timeout: Seconds that one evaluation may take, or ``"30m"``; not with 0 workers.
        founders: Genes that differ from the defaults, for individuals of generation 0, by name.
        elders: Population files whose best are founders, too, as far as ``space`` has their genes.
        search: Further settings of the search, such as ``finalists``: how many of the best are
            evaluated again at the end with fresh seeds, 0 unless given.  ``generations`` above
            takes the place of its own, ``strategy``, ``objectives``, ``epochs`` and
            ``population_size`` where they are given.
        price: What an epoch of training a genome, or evaluating it, costs, as ``price(genome)``, in
            any unit, such as operations: above 0, and the same for a genome at all times.  It
            counts by how many times the default's it is.  A generation then has as much training as
            ``population_size`` full ones of the default, of dear genomes fewer and of cheap ones
            more, and ``evolution`` asks of each genome what it may bring for its price.  None: all
            cost the same.

    Raises:
        PopulationExistsError: There is such a file: go on with it by ``resume``.
        EvoftError: Whatever else is wrong, before anything is evaluated.
    """
    how = search_settings(search, generations, population_size, strategy, epochs, objectives)
    settings = Settings(
        seed=seed,
        search=how,
        run=run_settings(workers, budget, trial_timeout, executor, how),
        founders=named(founders),
    )
    check_fitness(fitness)
    check_space(space, settings)
    check_price(price)
    path = place_of_new(file)
    settings = with_elders(settings, space, elders)
    check_prices(price, space, settings)
    # The loop may begin somewhere else.
    here = None if path is None else path.absolute()
    return generations_of(lambda: _new(space, settings, here, price), fitness, settings, executor)


def resume(  # noqa: PLR0913  # those of ``evolve``
    fitness: FitnessFunction,
    file: str | os.PathLike[str],
    *,
    space: SearchSpace | None = None,
    generations: int | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    budget: float | str | None = None,
    trial_timeout: float | str | None = None,
    price: Price | None = None,
) -> Iterator[Generation]:
    """Go on with a population; yield the generations that are still to come.

    Seed and search settings come from the file, and so does the space unless one is given.  A
    generation of which every trial was on disk when the run was stopped is not yielded again,
    whether or not the caller had seen it: all of them are in ``Population.open(file).generations``.

    Args:
        fitness: The function that the population was made with.
        file: Its population file.
        space: The space to go on in, with other bounds, values or defaults of the same genes;
            whoever was born must be of it.  What is different is told in warnings.
        generations: How many over the life of the population; None: as many as it was made for.
        workers: As in ``evolve``.
        executor: As in ``evolve``.
        budget: As in ``evolve``; None: no limit.
        trial_timeout: As in ``evolve``.
        price: The one that the population was made with.

    Raises:
        PopulationFileError: There is no such file, or it cannot be used.
        PopulationMismatchError: It was made with another price.
        SpaceError: It cannot go on in that space.
    """
    check_fitness(fitness)
    check_price(price)
    check_migrant(space, price)
    settings = _reopened(file, generations)
    run = run_settings(workers, budget, trial_timeout, executor, settings.search)
    settings = replace(settings, run=run)
    before = Population.open(file)
    space_from_here(space, before.header, before.records)
    had = 0 if generations is None else _had(before)
    if generations is not None and generations <= had:
        _logger.warning(
            "`generations` is a total over the life of the population, which has had %d, so %d "
            "adds none: for as many more give generations=%d",
            had,
            generations,
            had + generations,
        )
    here = place(file).absolute()  # the loop may begin somewhere else
    return generations_of(
        lambda: reopen(here, space=space, generations=generations, price=price),
        fitness,
        settings,
        executor,
    )


def new(  # noqa: PLR0913  # those of ``evolve``
    space: SearchSpace,
    *,
    strategy: str | None = None,
    objectives: Sequence[str] | None = None,
    epochs: float | None = None,
    generations: int | None = None,
    population_size: int | None = None,
    file: str | os.PathLike[str] | None = None,
    seed: int = 0,
    founders: Founders | None = None,
    elders: Sequence[str | os.PathLike[str]] = (),
    search: SearchSettings | None = None,
    price: Price | None = None,
) -> Evolution:
    """Return a new evolution to ``ask`` and ``tell``; the arguments are those of ``evolve``.

    There are no final runs: where ``search`` asks for some, ``resume`` makes them at the end.
    """
    settings = Settings(
        seed=seed,
        search=search_settings(search, generations, population_size, strategy, epochs, objectives),
        founders=named(founders),
    )
    check_space(space, settings)
    check_price(price)
    path = place_of_new(file)
    settings = with_elders(settings, space, elders)
    check_prices(price, space, settings)
    return _new(space, settings, path, price)


def reopen(
    file: str | os.PathLike[str],
    *,
    space: SearchSpace | None = None,
    generations: int | None = None,
    price: Price | None = None,
) -> Evolution:
    """Return the evolution of a population file, to go on with by ``ask`` and ``tell``.

    What had been asked for and not told is asked for again.  The price is the one that the
    population was made with.  Another ``space`` is as in ``resume``.

    Raises:
        PopulationFileError: There is no such file, or it cannot be used.
        PopulationMismatchError: It was made with another price.
        SpaceError: It cannot go on in that space.
    """
    check_price(price)
    check_migrant(space, price)
    settings = _reopened(file, generations)
    store = Store.open(place(file))
    try:
        space = space_from_here(space, store.header, store.records)
        migrate(store, space)
        evolution = Evolution(_search(space, settings, price), store)
        # Not before the price is known to be the one that the population was made with.
        if settings.to_dict() != Settings.of_file(store.header.settings).to_dict():
            store.amend_settings(settings.to_dict())
        return evolution
    except BaseException:
        store.close()
        raise


def _had(population: Population) -> int:
    """Return how many generations a population has had, those in which nothing began among them."""
    return population.generations[-1].index + 1 if population.generations else 0


def _reopened(file: str | os.PathLike[str], generations: int | None) -> Settings:
    header = Population.open(file).header
    if header.data:
        raise PopulationMismatchError(
            f"{file} holds fine-tuning recipes: go on with it by `evoft resume {file}`"
        )
    settings = Settings.of_file(header.settings)
    if generations is None:
        return settings
    return replace(settings, search=replace(settings.search, generations=generations))


def _new(
    space: SearchSpace, settings: Settings, file: Path | None, price: Price | None
) -> Evolution:
    search = _search(space, settings, price)
    header = Header.new(settings, space=space.to_dict(), environment=versions())
    if file is None:
        return Evolution(search, Memory(header))
    return Evolution(search, Store.create(file, header))


def _search(space: SearchSpace, settings: Settings, price: Price | None) -> Search:
    ladder, named = settings.ladder(fine_tuning=False), settings.founders
    prices = relative(price, space) if price else None
    return Search(space, settings.search, settings.seed, ladder=ladder, named=named, price=prices)
