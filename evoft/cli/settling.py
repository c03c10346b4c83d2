"""Flags that settle the lineage and take more than a value of a setting to read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import click

from evoft.cli.values import toml_value
from evoft.errors import SettingsError
from evoft.settings import Settings


@dataclass(frozen=True, slots=True)
class Settling:
    """What was given of these flags; empty or None: nothing."""

    model_kwargs: tuple[str, ...]
    warmup_epochs: float | None
    objectives: tuple[str, ...]

    def over(self, settings: Settings) -> Settings:
        """Return the settings with what was given laid over them.

        Raises:
            SettingsError: A value that cannot be set.
        """
        if self.model_kwargs:
            model_kwargs = _pairs(self.model_kwargs)
            settings = replace(
                settings, training=replace(settings.training, model_kwargs=model_kwargs)
            )
        if self.objectives:
            settings = replace(
                settings, search=replace(settings.search, objectives=self.objectives)
            )
        if self.warmup_epochs is not None:
            warmup = _share(self.warmup_epochs, settings.training.epochs)
            settings = replace(settings, fixed={**settings.fixed, "warmup": warmup})
        return settings


def with_settling(*, hidden: bool = False) -> Callable[[Any], Any]:
    """Return a decorator that gives a command these options.

    Args:
        hidden: Whether its help passes over them.
    """
    options = (
        click.option(
            "--model-kwargs",
            multiple=True,
            metavar="NAME=VALUE",
            help="Argument for timm's create_model; several may follow, or it may be given again.",
            hidden=hidden,
        ),
        click.option(
            "--warmup-epochs",
            type=float,
            help="--warmup in epochs, as timm has it; cut short by a short --first-rung.",
            hidden=hidden,
        ),
        click.option(
            "--objective",
            "objectives",
            multiple=True,
            metavar="NAME",
            help="The --metric, latency or parameters; may be given again: then the best are a "
            "Pareto front.  [default: the metric]",
            hidden=hidden,
        ),
    )

    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def _share(warmup_epochs: float, epochs: int) -> float:
    share = warmup_epochs / epochs
    if not 0 <= share < 1:
        raise SettingsError(
            f"`--warmup-epochs` must be in [0, {epochs}), the epochs of a trial, but is "
            f"{warmup_epochs:g}"
        )
    return share


def _pairs(texts: tuple[str, ...]) -> dict[str, Any]:
    pairs: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise SettingsError(f"--model-kwargs takes NAME=VALUE, but got {text!r}")
        pairs[name] = toml_value(value)
    return pairs
