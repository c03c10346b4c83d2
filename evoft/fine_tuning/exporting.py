"""Export of any individual of a population, trained again where its weights were not kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from evoft.errors import NoResultError, PopulationMismatchError, StorageError
from evoft.fine_tuning.plan import checkpoints_of
from evoft.fine_tuning.preparation import PRELOAD, Preparation, check_same, expression_of
from evoft.fine_tuning.standing import best_run
from evoft.header import Header
from evoft.lineage import Population
from evoft.outcome import Outcome
from evoft.search.space import SearchSpace
from evoft.settings import Settings
from evoft.training.facts import BackboneFacts
from evoft.training.fine_tuner import FineTuner, Pixels, checkpoint_path
from evoft.trial import Stage, Trial, TrialKey
from evoft.workers.local import LocalWorkers


def export_individual(
    population: Population,
    id: int,
    folder: Path,
    card: str,
    metrics: Mapping[str, Any],
    data: str | None = None,
) -> bool:
    """Write an individual's model to a folder that plain timm loads.

    Args:
        population: Read from its file.
        id: Whose model.
        folder: Where to; it must not be there, or be empty.
        card: Text of the model card.
        metrics: What ``metrics.json`` gets.
        data: Where the images are now; None: where they were.

    Returns:
        Whether it was trained again, because its weights had not been kept.

    Raises:
        PopulationMismatchError: Not a fine-tuning run, or the data or weights have changed.
        NoResultError: The individual's trial did not end well.
        StorageError: The folder is not empty, or cannot be written.
    """
    header, path = population.header, population.path
    require_fine_tuned(population)
    assert path is not None
    if population[id].score == -math.inf:
        outcome = population[id].outcome
        reason = f" ({outcome.status}: {outcome.reason})" if outcome else ""
        raise NoResultError(f"individual {id} has no model: its trial did not end well{reason}")
    require_free(folder)
    key = kept_run(population, id)
    genome, classes = population[id].genome, tuple(header.data["classes"])
    arguments = (genome, key, folder.absolute(), classes, card, dict(metrics))
    if key is not None:
        workers = LocalWorkers(_tuner(header, path), devices=["cpu"], preload=PRELOAD)
        try:
            workers.call("export", *arguments)
        finally:
            workers.close()
        return False
    _train_again(population, Trial(id, genome, population[id].seed), data, arguments)
    return True


def require_fine_tuned(population: Population) -> None:
    """Refuse a population of a fitness function of one's own.

    Raises:
        PopulationMismatchError: There are no models in it.
    """
    if population.path is None or not population.header.data:
        raise PopulationMismatchError(
            f"{population.path} holds no fine-tuned models, so none can be exported"
        )


def is_export(folder: Path) -> bool:
    """Tell whether a folder is what evoft exported earlier."""
    return (folder / "recipe.json").is_file() and (folder / "model.safetensors").is_file()


def require_free(folder: Path) -> None:
    """Refuse to export where something else is.

    Raises:
        StorageError: The folder is there and not empty, or is no folder.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise StorageError(f"{folder} is there already and no folder: name another")
    if any(folder.iterdir()):
        raise StorageError(f"{folder} is there already and not empty: name another folder")


def kept_run(population: Population, id: int) -> TrialKey | None:
    """Return the run of an individual whose weights are there: its best final run, else the search.

    The winner's is the one that was tested.
    """
    assert population.path is not None
    runs = [best_run(population, [id]), (Stage.SEARCH, id, 0)]
    if population.verdicts and population.verdicts[-1].winner == id:
        runs.insert(0, (Stage.FINAL, id, population.verdicts[-1].winner_repeat))
    folder = checkpoints_of(population.path)
    there = (run for run in runs if run is not None and checkpoint_path(folder, run).is_file())
    return next(there, None)


def _tuner(header: Header, path: Path) -> FineTuner:
    settings = Settings.from_dict(header.settings)
    backbones = tuple(BackboneFacts.from_dict(facts) for facts in header.backbones)
    express = expression_of(settings, backbones, SearchSpace.from_dict(header.space))
    pixels = Pixels({}, np.empty(0, np.int64), {}, len(header.data["classes"]))
    return FineTuner(settings.training, express, pixels, checkpoints_of(path))


def _train_again(
    population: Population, trial: Trial, data: str | None, arguments: tuple[Any, ...]
) -> None:
    """Repeat a trial of the search, to the bit on a CPU, and export what it gives."""
    assert population.path is not None
    settings = Settings.from_dict(population.header.settings)
    if data is not None:
        settings = replace(settings, training=replace(settings.training, data=data))
    space = SearchSpace.from_dict(population.header.space)
    with Preparation(settings) as preparation:
        plan = preparation.plan(population.path, space)
        check_same(population.header, plan)
        tuner = FineTuner(
            settings.training,
            expression_of(settings, plan.backbones, space),
            preparation.decode(plan, None),
            checkpoints_of(population.path),
        )
        workers = preparation.workers
        workers.retarget(tuner, plan.devices[:1])
        workers.submit(trial)
        done: list[tuple[Trial, Outcome]] = []
        while not done:
            done = workers.collect()
        outcome = done[0][1]
        if outcome.score == -math.inf:
            raise NoResultError(
                f"individual {trial.individual} could not be trained again "
                f"({outcome.status}: {outcome.reason})"
            )
        genome, _, *rest = arguments
        workers.call("export", genome, trial.key, *rest)
        checkpoint_path(checkpoints_of(population.path), trial.key).unlink(missing_ok=True)
