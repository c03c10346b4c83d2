"""The flags of ``evolve`` and ``resume``, and the settings that they make.

A flag stands for one field of one settings record; a recipe flag fixes a gene to one value and
takes it out of the search.  Flags win over the configuration file, which wins over the defaults.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click

from evoft.errors import SettingsError
from evoft.quantities import seconds, size, size_text
from evoft.settings import (
    INTERPOLATIONS,
    METRICS,
    SAMPLERS,
    STRATEGIES,
    RunSettings,
    SearchSettings,
    Settings,
    TrainingSettings,
)
from evoft.training.default_space import MEANINGS


@dataclass(frozen=True, slots=True)
class Flag:
    """One option of the command line."""

    names: tuple[str, ...]
    #: Where the value goes: ``search``, ``training``, ``run``, ``fixed``, or empty for the top.
    table: str
    field: str
    type: Any
    help: str
    nargs: int = 1


#: A path on the command line.
PATH: click.Path = click.Path(path_type=Path)
OUTPUT_HELP = "Folder for the best model; beside the population file unless given."


def _models(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _auto(text: str) -> int | str:
    if text == "auto":
        return text
    try:
        return int(text)
    except ValueError:
        raise SettingsError(
            f"a number of workers is a whole number or auto, not {text!r}"
        ) from None


def _strength(text: str) -> float:
    """Return the strength of augmentation, given as such or as timm's RandAugment, ``rand-m9``."""
    magnitude = re.fullmatch(r"rand(?:-.+)?-m(\d+(?:\.\d+)?)(?:-.+)?", text)
    try:
        return float(magnitude[1]) / 10 if magnitude else float(text)
    except ValueError:
        raise SettingsError(
            f"the strength is a number from 0 to 1, or rand-m0 to rand-m10, but is {text!r}"
        ) from None


#: What can be changed over the life of a population.
RUN_FLAGS = (
    Flag(("--generations",), "search", "generations", int,
         "Generations over the life of the population, the founders included."),
    Flag(("--budget",), "run", "budget", seconds,
         "Running time over the life of the population: 90s, 30m, 1h30m."),
    Flag(("-j", "--workers"), "run", "workers", int,
         "Worker processes in all, each at one trial at a time; unless given, as many as "
         "--workers-per-device says."),
    Flag(("--workers-per-device",), "run", "workers_per_device", _auto,
         "Workers on each GPU, or on the CPU; auto: as many as fit its memory and the cores."),
    Flag(("--devices", "--device"), "run", "devices", str,
         "auto, cpu, or numbers of GPUs as in 0,1."),
    Flag(("--trial-timeout",), "run", "trial_timeout", seconds, "Most time for one trial."),
    Flag(("--stall-timeout",), "run", "stall_timeout", seconds,
         "Time without a step after which a worker is taken for hung; 10m unless given."),
    Flag(("--max-disk",), "run", "max_disk", size,
         "Most room for checkpoints and for trainings that may be gone on with: 2G, 500M."),
)  # fmt: skip

EVOLVE_FLAGS = (
    Flag(("--model",), "training", "models", _models,
         "timm model, or several separated by commas: then the backbone is a gene."),
    Flag(("--checkpoint",), "training", "checkpoint", str,
         "File of weights to start from instead of the model's own, as timm's "
         "--initial-checkpoint."),
    Flag(("--pretrained/--no-pretrained",), "training", "pretrained", bool,
         "Start from pretrained weights, as by default, or from random ones."),
    Flag(("--amp/--no-amp",), "training", "amp", bool,
         "Mixed precision on a GPU, on by default."),
    Flag(("--cache-size",), "training", "cache_size", size,
         "Most room for what frozen layers make of images: 512M, 4G; 0 keeps none."),
    Flag(("--mean",), "training", "mean", float,
         "Mean of the channels, for pixels from 0 to 1; the backbone's own unless given.", 3),
    Flag(("--std",), "training", "std", float, "Their standard deviation; likewise.", 3),
    Flag(("--img-size",), "training", "img_size", int,
         "Side of the image in pixels; the backbone's own unless given."),
    Flag(("--crop-pct",), "training", "crop_pct", float,
         "Share of the resized image's side that is kept, at its centre; the backbone's own unless "
         "given."),
    Flag(("--interpolation",), "training", "interpolation", click.Choice(INTERPOLATIONS),
         "How images are resized; likewise."),
    Flag(("--metric",), "training", "metric", click.Choice(METRICS),
         "What the fitness is: balanced_accuracy is the mean of the classes' shares."),
    Flag(("--epochs",), "training", "epochs", int, "Most epochs of a trial."),
    Flag(("--patience",), "training", "patience", int,
         "Epochs without a better validation accuracy before a trial ends early; 0: never."),
    Flag(("--cooldown",), "training", "cooldown", float,
         "Share of the epochs over which the rate falls before a judgement, with several rungs."),
    Flag(("--views",), "training", "views", int,
         "Fixed strengths of augmentation before frozen layers, shared by all trials; "
         "0: augment anew in each epoch."),
    Flag(("--val-share",), "training", "val_share", float,
         "Share split off for validation where the data has no such split."),
    Flag(("--test-share",), "training", "test_share", float,
         "Share split off for the test where the data has no such split."),
    Flag(("--max-train-images",), "training", "max_train_images", int,
         "Most images of the training split that are used; all unless given."),
    Flag(("--seed",), "", "seed", int, "The same seed gives the same lineage."),
    Flag(("--strategy",), "search", "strategy", click.Choice(STRATEGIES),
         "Who decides what is trained next."),
    Flag(("--first-rung",), "search", "first_rung", float,
         "Epochs after which an individual is first judged, where the strategy has rungs."),
    Flag(("--rung-factor",), "search", "rung_factor", float,
         "What each rung multiplies the epochs of the one below by, about."),
    Flag(("--population-size",), "search", "population_size", int,
         "Full trainings in a generation; where there is one rung, births in it."),
    Flag(("--points",), "search", "points", int,
         "Values of each gene on the grid of the strategy grid; 3, then finer, unless given."),
    Flag(("--sampler",), "search", "sampler", click.Choice(SAMPLERS),
         "Optuna's sampler, for the strategy bayes."),
    Flag(("--cxpb",), "search", "cxpb", float, "Probability that a child has two parents."),
    Flag(("--mutpb",), "search", "mutpb", float, "Probability that a child is mutated."),
    Flag(("--indpb",), "search", "indpb", float, "Probability that each gene mutates then."),
    Flag(("--sigma",), "search", "sigma", float, "Mutation's step, a share of the gene's range."),
    Flag(("--tournsize",), "search", "tournsize", int, "Individuals in a tournament."),
    Flag(("--elite",), "search", "elite", int,
         "How many of the best ever stay alive; half of the population's size unless given."),
    Flag(("--lookahead",), "search", "lookahead", int,
         "Trials in the open at a decision: more keep more workers busy; half, for evolution a "
         "quarter, of the population's size unless given."),
    Flag(("--common-seed/--no-common-seed",), "search", "common_seed", bool,
         "Evaluate all individuals of the search with one seed, or, as by default, each with its "
         "own."),
    Flag(("--finalists",), "search", "finalists", int,
         "How many of the best are run again before one is named."),
    Flag(("--repeats",), "search", "repeats", int, "How often each finalist is run again."),
)  # fmt: skip

#: timm's flags for single values; here each fixes the gene of that name.
_RECIPE_TYPES: Mapping[str, Any] = {
    "lr": float, "head_lr_factor": float, "weight_decay": float, "l1": float, "batch_size": int,
    "drop": float, "drop_path": float, "freeze_depth": _value, "opt": str, "momentum": float,
    "layer_decay": float, "sched": str, "warmup": float, "smoothing": float, "mixup": float,
    "cutmix": float, "augment": _strength, "hflip": float, "reprob": float,
    "model_ema": float, "class_weights": str, "clip_grad": float,
}  # fmt: skip

#: Names beside those that follow from the field's.
_MORE_NAMES = {"batch_size": ("-b",), "augment": ("--aa",)}

#: How a value is written, where that is not plain from what it means.
_WRITTEN = {
    "freeze_depth": "0.5, or 3 groups",
    "opt": "adamw, sgd or lamb, say",
    "sched": "constant, linear, cosine or step",
    "augment": "0 to 1, or timm's rand-m9",
}

RECIPE_FLAGS = tuple(
    Flag(
        (*_MORE_NAMES.get(name, ()), f"--{name.replace('_', '-')}"),
        "fixed",
        name,
        kind,
        f"{MEANINGS[name][0].upper()}{MEANINGS[name][1:]}"
        f"{f': {_WRITTEN[name]}' if name in _WRITTEN else ''}.",
    )
    for name, kind in _RECIPE_TYPES.items()
)


class _Parsed(click.ParamType[Any]):
    """A value that a function of ours reads, with its own error."""

    def __init__(self, parse: Callable[[str], Any], name: str) -> None:
        self._parse = parse
        self.name = name

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the value; the error names the flag."""
        try:
            return self._parse(value)
        except SettingsError as error:
            self.fail(str(error), param, ctx)


def parsed(parse: Callable[[str], Any], name: str) -> click.ParamType[Any]:
    """Return the type of an option that a function of ours reads."""
    return _Parsed(parse, name)


_NAMES = {
    seconds: "time",
    size: "size",
    _models: "names",
    _value: "value",
    _strength: "strength",
    _auto: "number",
}


def default_text(flag: Flag) -> str:
    """Return what holds where a flag is not given, as one would write it; empty: nothing."""
    records = {"search": SearchSettings, "training": TrainingSettings, "run": RunSettings}
    if flag.table not in records:
        return "0" if flag.field == "seed" else ""
    value: Any = next(f.default for f in fields(records[flag.table]) if f.name == flag.field)
    if value is None or flag.type is bool:
        return ""
    if flag.type is size:
        return size_text(value)
    if isinstance(value, tuple):
        return ",".join(value)
    return f"{value:g}" if isinstance(value, float) else f"{value}"


def parameter(flag: Flag) -> str:
    """Return the name under which a command's function gets a flag's value."""
    return f"{flag.table or 'top'}__{flag.field}"


def with_flags(
    *groups: tuple[Flag, ...], hidden: bool = False, defaults: bool = False
) -> Callable[[Any], Any]:
    """Return a decorator that gives a command these options.

    Args:
        groups: The flags.
        hidden: Whether its help passes over them.
        defaults: Whether its help says what holds where they are not given.
    """

    def decorate(function: Any) -> Any:
        for flag in reversed([flag for group in groups for flag in group]):
            kind = _Parsed(flag.type, _NAMES[flag.type]) if flag.type in _NAMES else flag.type
            standard = default_text(flag) if defaults else ""
            option = click.option(
                *flag.names,
                parameter(flag),
                type=kind,
                nargs=flag.nargs,
                default=None,
                help=f"{flag.help}  [default: {standard}]" if standard else flag.help,
                hidden=hidden,
            )
            function = option(function)
        return function

    return decorate


def overlaid(base: Mapping[str, Any], flags: Mapping[str, Any]) -> Settings:
    """Return the settings of a configuration with the flags that were given laid over it.

    Raises:
        SettingsError: A name or value that cannot be set.
    """
    data: dict[str, Any] = {k: dict(v) if isinstance(v, Mapping) else v for k, v in base.items()}
    for name, value in flags.items():
        table, _, field = name.partition("__")
        if value is None or not field:
            continue
        if table == "top":
            data[field] = value
        else:
            data.setdefault(table, {})[field] = value
    return Settings.from_dict(data)


def unreadable(what: str, error: OSError | UnicodeDecodeError) -> SettingsError:
    """Return the error that a text file on the command line cannot be read, and why."""
    why = error.strerror if isinstance(error, OSError) else "it is not a text in UTF-8"
    return SettingsError(f"{what} cannot be read ({why}): give the path of a TOML file")


def configuration(path: Path | None) -> dict[str, Any]:
    """Return the tables of a configuration file; none without a file.

    Raises:
        SettingsError: The file cannot be read, or is not TOML.
    """
    if path is None:
        return {}
    try:
        tables = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(f"the configuration {path}", error) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"the configuration {path} is not valid TOML: {error}") from error
    for name in ("search", "training", "run", "fixed", "founders", "space"):
        if not isinstance(tables.get(name, {}), dict):
            raise SettingsError(
                f"the configuration {path}: `{name}` must be a table, but is {tables[name]!r}"
            )
    return tables
