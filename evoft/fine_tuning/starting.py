"""How a run of fine-tuning begins: from settings, or where its population stopped."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from evoft.elders import with_elders
from evoft.errors import (
    EvoftError,
    PopulationExistsError,
    PopulationMismatchError,
    SettingsError,
    SpaceError,
)
from evoft.fine_tuning.checks import (
    check_channels,
    check_lineage,
    check_objectives,
    check_recipes,
    check_rungs,
    check_same,
    check_search,
    searched_space,
    shortened_founders,
    shortened_warmup,
    unseen,
    with_fitness_named,
)
from evoft.fine_tuning.lasting_facts import amended
from evoft.fine_tuning.outputs import require_writable
from evoft.fine_tuning.plan import Plan, header_of
from evoft.fine_tuning.preparation import Preparation, Progress, expression_of
from evoft.fine_tuning.session import FineTuning
from evoft.fine_tuning.sources import (
    check_sources,
    check_sources_again,
    with_whole_names,
    with_whole_paths,
)
from evoft.genome import Value
from evoft.lineage import Paths, Population, Store
from evoft.migration import migrate, space_from_here
from evoft.search.checks import in_vain
from evoft.search.space import SearchSpace
from evoft.settings import Settings
from evoft.training.expression import Expression
from evoft.trial import Stage

_logger = logging.getLogger(__name__)


def start(
    settings: Settings,
    space: SearchSpace | None,
    file: Path,
    progress: Progress | None = None,
    elders: Sequence[Path] = (),
) -> FineTuning:
    """Look at the data and the backbones, plan the run and make its population file.

    Args:
        settings: Everything that was set.
        space: What to search; None: the default space.
        file: Where the population goes.
        progress: Told how far the reading of all images is, and their decoding.
        elders: Earlier populations, whose best are founders, too.

    Raises:
        EvoftError: Whatever is wrong with data, backbones, settings or file, before any training.
    """
    if file.suffix != ".h5":
        raise SettingsError(f"a population file is named *.h5, but the name given is {file}")
    if os.path.exists(file):
        raise PopulationExistsError(_already(file, with_whole_paths(settings).training.data))
    require_writable(Paths.of(file).file, "no population can be made there")
    settings, space = with_whole_names(with_whole_paths(settings), space)
    settings = with_fitness_named(settings)
    searched = searched_space(space, settings)
    check_search(settings)
    check_channels(settings.training)
    check_objectives(settings, searched)
    check_rungs(settings, searched)
    own = settings.founders
    settings = replace(settings, founders={**_linear_probe(searched), **own})
    settings = with_elders(settings, searched, elders)
    assumed = expression_of(settings, tuple(map(unseen, settings.training.models)), searched)
    check_recipes(assumed, searched, settings.founders)
    check_sources(settings.training)
    shortened = (shortened_warmup(settings), *shortened_founders(settings, own))
    for said in (*in_vain(searched, settings, fine_tuning=True), *shortened):
        if said:
            _logger.warning("%s", said)
    with Preparation(settings) as preparation:
        plan = preparation.plan(file, searched, progress=progress, new=True)
        expression = expression_of(settings, plan.backbones, searched)
        _check_trainable(preparation, expression, plan)
        pixels = preparation.decode(plan, progress)
        with contextlib.ExitStack() as unless_all_is_well:
            store = unless_all_is_well.enter_context(Store.create(file, header_of(plan)))
            run = preparation.run(plan, expression, pixels, store)
            unless_all_is_well.pop_all()
        return run


def _already(file: Path, data: str) -> str:
    """Return that there is a population, and of which images where these are others."""
    try:
        header = Population.open(file).header
        theirs = header.settings["training"]["data"] if header.data else data
    except (EvoftError, KeyError):
        theirs = data
    if theirs != data:
        return f"{file} is there already, of the images of {theirs}: give another name with --file"
    return (
        f"{file} is there already: go on with it by `evoft resume {file}`, or give another "
        "name with --file"
    )


def resume(
    file: Path,
    *,
    space: SearchSpace | None = None,
    change: Callable[[Settings], Settings] = lambda settings: settings,
    progress: Progress | None = None,
) -> FineTuning:
    """Go on with a population where it stopped.

    Args:
        file: The population file.
        space: What to search from here on, less what is fixed; None: as it was.
        change: Gives the settings to go on with from those in the file: other budgets, workers,
            limits, or another place of the same data.
        progress: Told how far the reading of all images is, and their decoding.

    Raises:
        PopulationMismatchError: The data or the weights are not those of the file.
        SettingsError: A setting that settles the lineage was changed, or the population cannot go
            on in the space.
        EvoftError: Whatever else is wrong, before any training.
    """
    population = Population.open(file)
    header = population.header
    if not header.data:
        raise PopulationMismatchError(
            f"{file} was made with a fitness function of its own: go on with it in Python by "
            "`evoft.resume(fitness, file)`"
        )
    before = Settings.of_file(header.settings)
    settings = with_whole_paths(change(before))
    check_lineage(before, settings)
    check_search(settings)
    check_sources_again(settings.training, file)
    searched = (
        SearchSpace.from_dict(header.space)
        if space is None
        else _from_here(space, population, settings)
    )
    with Preparation(settings) as preparation:
        plan = preparation.plan(file, searched, header, progress=progress)
        check_same(header, plan)
        expression = expression_of(settings, plan.backbones, searched)
        if space is not None:
            _check_trainable(preparation, expression, plan)
        with contextlib.ExitStack() as unless_all_is_well:
            store = unless_all_is_well.enter_context(Store.open(file))
            migrate(store, searched)
            if (backbones := amended(header, plan.backbones)) != header.backbones:
                store.amend_backbones(backbones)
            judged = sum(stage is Stage.SEARCH for stage, _, _ in store.records)
            plan = replace(plan, judged=judged, finals=len(store.records) - judged)
            if settings.to_dict() != before.to_dict():
                store.amend_settings(settings.to_dict())
            pixels = preparation.decode(plan, progress)
            run = preparation.run(plan, expression, pixels, store)
            unless_all_is_well.pop_all()
        return run


def _check_trainable(preparation: Preparation, expression: Expression, plan: Plan) -> None:
    """Refuse recipes that these backbones, or the optimizers that are installed, do not allow."""
    recipes = check_recipes(expression, plan.space, plan.settings.founders)
    preparation.workers.call("check_optimizers", sorted({recipe.opt for recipe in recipes}))


def _from_here(space: SearchSpace, population: Population, settings: Settings) -> SearchSpace:
    """Return the space to go on in; refuse one whose recipes no backbone would take."""
    asked = searched_space(with_whole_names(settings, space)[1], settings)
    searched = space_from_here(asked, population.header, population.records)
    before = SearchSpace.from_dict(population.header.space)
    if searched.get("model") != before.get("model"):
        raise SpaceError(
            "model: the backbones stay those that the population was made with: leave the gene as "
            "it was, or make a new population that begins with the best of this one (--founders)"
        )
    check_rungs(settings, searched)
    assumed = expression_of(settings, tuple(map(unseen, settings.training.models)), searched)
    check_recipes(assumed, searched, settings.founders)
    return searched


def _linear_probe(space: SearchSpace) -> dict[str, dict[str, Value]]:
    """Return the founder that trains the classifier alone, where depth is a gene."""
    if "freeze_depth" not in space:
        return {}
    return {"linear probe": {"freeze_depth": space["freeze_depth"].at(1.0)}}
