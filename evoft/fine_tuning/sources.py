"""Where images, models and weights come from: whole paths, and what is not there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from evoft.errors import BackboneError, DataError, SettingsError
from evoft.places import place
from evoft.search.space import SearchSpace
from evoft.settings import Settings, TrainingSettings

#: What timm puts in front of a folder that holds a model.
_FOLDER = "local-dir:"


def with_whole_paths(settings: Settings) -> Settings:
    """Return the settings with whole paths, so that a run can be resumed from any folder.

    The names of models stay, for they are values of a gene: see ``with_whole_names``.
    """
    training = settings.training
    paths: dict[str, Any] = {}
    if training.data != "digits":
        paths["data"] = os.path.abspath(place(training.data))
    if training.checkpoint is not None:
        paths["checkpoint"] = os.path.abspath(place(training.checkpoint))
    return replace(settings, training=replace(training, **paths))


def with_whole_names(
    settings: Settings, space: SearchSpace | None
) -> tuple[Settings, SearchSpace | None]:
    """Return settings and space in which models that are folders have whole paths in their names.

    Raises:
        SettingsError: Two names are of one folder.
    """
    training = replace(settings.training, models=_named(settings.training.models))
    named = replace(
        settings,
        training=training,
        fixed=_named(settings.fixed),
        founders=_named(settings.founders),
    )
    if space is not None and (genes := _named(space.to_dict())) != space.to_dict():
        space = SearchSpace.from_dict(genes)
    return named, space


def _named(value: Any) -> Any:
    """Return plain data in which each name of a folder's model has a whole path."""
    if isinstance(value, str) and value.startswith(_FOLDER):
        folder = value.removeprefix(_FOLDER)
        return f"{_FOLDER}{os.path.abspath(place(folder))}" if folder else value
    if isinstance(value, Mapping):
        return {key: _named(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_named, value))
    return value


def check_sources(training: TrainingSettings) -> None:
    """Refuse models and weights that are not there, before a worker is needed to read them.

    Raises:
        BackboneError: There is no such folder or file.
        SettingsError: Weights are given that would never be read.
    """
    for model, config in _configs(training):
        if not os.path.isfile(config):
            raise BackboneError(
                f"{model} names no model, for there is no file {config}: give the path of a folder "
                "that a model was exported to"
            )
    if training.checkpoint is None:
        return
    if not training.pretrained:
        raise SettingsError(
            f"`checkpoint` is {training.checkpoint}, but `pretrained` is false, so its weights "
            "would never be read: leave --no-pretrained out, or --checkpoint"
        )
    if not os.path.isfile(training.checkpoint):
        raise BackboneError(
            f"there is no file of weights {training.checkpoint}: give the file's path with "
            "--checkpoint"
        )


def check_sources_again(training: TrainingSettings, file: str | os.PathLike[str]) -> None:
    """Refuse to go on with a population whose images, models or weights are no longer there.

    Args:
        training: The population's, with the place of the images as it is now said to be.
        file: Where it is.

    Raises:
        DataError: The images are gone.
        BackboneError: A folder or file of a model is gone.
    """
    check_weights_again(training, file)
    images = os.path.abspath(place(training.data))
    if training.data != "digits" and not os.path.exists(images):
        raise DataError(
            f"{images} does not exist, where the images of {file} were: say where they are now "
            "with --data"
        )


def check_weights_again(training: TrainingSettings, file: str | os.PathLike[str]) -> None:
    """Refuse to train with weights that are no longer there.

    Args:
        training: As in ``check_sources_again``.
        file: Likewise.

    Raises:
        BackboneError: A folder or file of a model is gone.
    """
    paths = [config for _, config in _configs(training)]
    if training.checkpoint is not None:
        paths.append(training.checkpoint)
    for path in paths:
        if not os.path.isfile(path):
            raise BackboneError(
                f"{file} was made with weights of which there is no file {os.path.abspath(path)} "
                "now: bring it back, or start a new population"
            )


def _configs(training: TrainingSettings) -> list[tuple[str, str]]:
    """Return the models that are folders, each with the file that says what it is."""
    folders = [
        (model, model.removeprefix(_FOLDER))
        for model in training.models
        if model.startswith(_FOLDER)
    ]
    return [(model, os.path.join(folder, "config.json")) for model, folder in folders]
