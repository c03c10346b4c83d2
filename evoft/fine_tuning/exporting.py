"""Export of any individual of a population, alone or in a soup."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from evoft.errors import NoResultError, PopulationDamagedError, PopulationMismatchError
from evoft.fine_tuning.checks import check_same
from evoft.fine_tuning.outputs import (
    require_apart_from_population,
    require_free,
    require_model_apart_from_images,
)
from evoft.fine_tuning.plan import checkpoints_of
from evoft.fine_tuning.preparation import PRELOAD, Preparation, expression_of
from evoft.fine_tuning.repeating import repeated
from evoft.fine_tuning.sources import check_sources_again
from evoft.fine_tuning.standing import best_run
from evoft.header import Header
from evoft.lineage import Population
from evoft.search.space import SearchSpace
from evoft.settings import Settings
from evoft.soup import Soup
from evoft.training.facts import BackboneFacts
from evoft.training.fine_tuner import FineTuner, Left, checkpoint_path
from evoft.training.pixels import Pixels
from evoft.trial import Stage, TrialKey
from evoft.workers.local import LocalWorkers

#: Gives the model card and the metrics of a run, and of its repetition by its validation accuracy.
Describe = Callable[[TrialKey, float | None], tuple[str, Mapping[str, Any]]]


def export_individual(
    population: Population,
    id: int,
    folder: Path,
    describe: Describe,
    data: str | None = None,
) -> bool:
    """Write an individual's model to a folder that plain timm loads.

    Args:
        population: Read from its file.
        id: Whose model.
        folder: Where to; it must not be there, or be empty, and lie neither among the images nor
            where the population has its files.
        describe: Gives the model card and the metrics of a run; it is also told the validation
            accuracy when the run was made again.
        data: Where the images are now; None: where they were.

    Returns:
        Whether it was trained again, because its weights had not been kept or cannot be read.

    Raises:
        PopulationMismatchError: Not a fine-tuning run, or the data or weights have changed.
        NoResultError: The individual's latest trial did not end well.
        StorageError: The folder is not empty, cannot be written, or has no place there.
        DataError: The folder of images that it would lie in cannot be read.
    """
    _, path = _exportable(population, id, folder, data)
    keys = runs_of(population, id)
    kept = (key for key in keys if checkpoint_path(checkpoints_of(path), key).is_file())
    key = next(kept, None)
    if key is None or not _export_kept(population, key, folder, describe):
        _train_again(population, keys[0] if key is None else key, folder, describe, data)
        return True
    return False


def _export_kept(population: Population, key: TrialKey, folder: Path, describe: Describe) -> bool:
    """Write a run's model from its checkpoint; return whether that could be read."""
    header, path = population.header, population.path
    assert path is not None
    workers = LocalWorkers(_tuner(header, path), devices=["cpu"], preload=PRELOAD)
    try:
        classes = tuple(header.data["classes"])
        genome, (card, metrics) = population[key[1]].genome, describe(key, None)
        workers.call("export", [(genome, key)], folder.absolute(), classes, card, dict(metrics))
    except PopulationDamagedError:
        return False
    finally:
        workers.close()
    return True


def export_soup(
    population: Population,
    id: int,
    folder: Path,
    describe: Callable[[Soup], tuple[str, Mapping[str, Any]]],
    data: str | None = None,
) -> Soup:
    """Write the mean of an individual's weights and others' of its basin to a folder for timm.

    Others are all runs of its backbone whose weights are kept: finalists, the default recipe, and
    further runs of its own.  Where none of them makes it better, it is the individual's alone.

    Args:
        population: As in ``export_individual``, as are the others.
        id: With whose best kept run the soup begins.
        folder: Where to.
        describe: Gives the model card and the metrics of a soup.
        data: Where the images are now; None: where they were.

    Returns:
        Who was taken, and who was not.

    Raises:
        NoResultError: The individual's latest trial did not end well, or its weights are not kept.
        PopulationMismatchError, StorageError, DataError: As in ``export_individual``.
        WorkerError: There is too little memory to judge the validation images.
    """
    _, path = _exportable(population, id, folder, data)
    kept = [key for key in population.records if _is_kept(population, path, key)]
    base = next((key for key in runs_of(population, id) if key in kept), None)
    if base is None:
        raise NoResultError(
            f"individual {id} can begin no soup, for its weights were not kept: leave out --soup, "
            "and it is trained again"
        )
    with _at_work(population, data) as (tuner, workers):

        def left(key: TrialKey) -> Left:
            return population[key[1]].genome, key

        def backbone(key: TrialKey) -> str:
            return tuner.express(population[key[1]].genome).model

        alike = [key for key in kept if key != base and backbone(key) == backbone(base)]
        alike.sort(key=lambda key: (-population.records[key].outcome.score, key))
        soup: Soup = workers.call("soup", left(base), [left(key) for key in alike])
        card, metrics = describe(soup)
        classes, runs = tuple(population.header.data["classes"]), [base, *soup.taken]
        place = folder.absolute()
        workers.call("export", [*map(left, runs)], place, classes, card, dict(metrics))
    return soup


def _is_kept(population: Population, path: Path, key: TrialKey) -> bool:
    ended_well = population.records[key].outcome.score > -math.inf
    return ended_well and checkpoint_path(checkpoints_of(path), key).is_file()


def _exportable(
    population: Population, id: int, folder: Path, data: str | None
) -> tuple[Header, Path]:
    """Check that an individual has a model and the folder is fit; return header and path."""
    header, path = population.header, population.path
    require_fine_tuned(population)
    assert path is not None
    if population[id].score == -math.inf:
        outcome = population[id].outcome
        reason = f" ({outcome.status}: {outcome.reason})" if outcome else ""
        raise NoResultError(
            f"individual {id} has no model: its latest trial did not end well{reason}"
        )
    require_free(folder)
    require_apart_from_population(folder, path)
    require_model_apart_from_images(folder, data or header.settings["training"]["data"])
    return header, path


def require_fine_tuned(population: Population) -> None:
    """Refuse a population of a fitness function of one's own.

    Raises:
        PopulationMismatchError: There are no models in it.
    """
    if population.path is None or not population.header.data:
        raise PopulationMismatchError(
            f"{population.path} holds no fine-tuned models, so none can be exported"
        )


def runs_of(population: Population, id: int) -> list[TrialKey]:
    """Return the runs of an individual that ended well, the one to export first.

    That is the one that was tested, else the best final run, else the one of the search.
    """
    verdict = population.verdicts[-1] if population.verdicts else None
    judged = [verdict.winner_run, verdict.default_run] if verdict else []
    runs = [*(run for run in judged if run and run[1] == id), best_run(population, [id])]
    return [*(run for run in runs if run), (Stage.SEARCH, id, population[id].rung)]


def _tuner(header: Header, path: Path) -> FineTuner:
    settings = Settings.of_file(header.settings)
    backbones = tuple(BackboneFacts.from_dict(facts) for facts in header.backbones)
    express = expression_of(settings, backbones, SearchSpace.from_dict(header.space))
    pixels = Pixels({}, np.empty(0, np.int64), {}, len(header.data["classes"]))
    return FineTuner(settings.training, express, pixels, checkpoints_of(path))


@contextlib.contextmanager
def _at_work(population: Population, data: str | None) -> Iterator[tuple[FineTuner, LocalWorkers]]:
    """Give a worker with the run's images, once they are known to be the same."""
    assert population.path is not None
    header = population.header
    settings = Settings.of_file(header.settings)
    if data is not None:
        settings = replace(settings, training=replace(settings.training, data=data))
    check_sources_again(settings.training, population.path)
    space = SearchSpace.from_dict(header.space)
    with Preparation(settings) as preparation:
        plan = preparation.plan(population.path, space, header)
        check_same(header, plan)
        tuner = FineTuner(
            settings.training,
            expression_of(settings, plan.backbones, space),
            preparation.decode(plan, None),
            checkpoints_of(population.path),
        )
        preparation.workers.retarget(tuner, plan.devices[:1])
        yield tuner, preparation.workers


def _train_again(
    population: Population, key: TrialKey, folder: Path, describe: Describe, data: str | None
) -> None:
    """Repeat a run, to the bit on a CPU, and export what it gives."""
    assert population.path is not None
    recorded = population.records[key].trial
    with _at_work(population, data) as (_, workers):
        outcome = repeated(workers, recorded)
        if outcome.score == -math.inf:
            raise NoResultError(
                f"individual {key[1]} could not be trained again "
                f"({outcome.status}: {outcome.reason})"
            )
        card, metrics = describe(key, outcome.fitness)
        classes = tuple(population.header.data["classes"])
        left = [(recorded.genome, key)]
        arguments = (left, folder.absolute(), classes, card, dict(metrics))
        workers.call("export", *arguments)
        checkpoint_path(checkpoints_of(population.path), key).unlink(missing_ok=True)
