"""The flags of ``evolve`` and ``resume``.

A flag stands for one field of one settings record; a recipe flag fixes a gene to one value and
takes it out of the search.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import click

from evoft.cli.values import count_or_auto, devices_of, names_of, parsed, strength_of, toml_value
from evoft.quantities import seconds, size, size_text
from evoft.settings import (
    INTERPOLATIONS,
    METRICS,
    SAMPLERS,
    STRATEGIES,
    RunSettings,
    SearchSettings,
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


OUTPUT_HELP = "Folder for the best model; beside the population file unless given."

#: What can be changed over the life of a population.
RUN_FLAGS = (
    Flag(("--generations",), "search", "generations", int,
         "Generations over the life of the population, the founders included."),
    Flag(("--finalists",), "search", "finalists", int,
         "How many of the best are run again before one is named."),
    Flag(("--repeats",), "search", "repeats", int, "How often each finalist is run again."),
    Flag(("--budget",), "run", "budget", seconds,
         "Running time over the life of the population: 90s, 30m, 1h30m."),
    Flag(("-j", "--workers"), "run", "workers", int,
         "Worker processes in all, each at one trial at a time; unless given, as many as "
         "--workers-per-device says."),
    Flag(("--workers-per-device",), "run", "workers_per_device", count_or_auto,
         "Workers on each GPU, or on the CPU; auto: as many as fit its memory and the cores."),
    Flag(("--devices", "--device"), "run", "devices", devices_of,
         "auto, cpu, or numbers of GPUs as in 0,1."),
    Flag(("--trial-timeout",), "run", "trial_timeout", seconds, "Most time for one trial."),
    Flag(("--stall-timeout",), "run", "stall_timeout", seconds,
         "Time without a step after which a worker is taken for hung; 10m unless given."),
    Flag(("--max-disk",), "run", "max_disk", size,
         "Most room for checkpoints and for trainings that may be gone on with: 2G, 500M."),
)  # fmt: skip

EVOLVE_FLAGS = (
    Flag(("--model",), "training", "models", names_of,
         "timm model, or several separated by commas: then the backbone is a gene."),
    Flag(("--checkpoint", "--initial-checkpoint"), "training", "checkpoint", str,
         "File of weights to start from instead of the model's own."),
    Flag(("--pretrained/--no-pretrained",), "training", "pretrained", bool,
         "Start from pretrained weights, as by default, or from random ones."),
    Flag(("--amp/--no-amp",), "training", "amp", bool,
         "Mixed precision where it pays, on by default: on a GPU, and for dense backbones on a CPU "
         "that has bfloat16."),
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
)  # fmt: skip

#: timm's flags for single values; here each fixes the gene of that name.
_RECIPE_TYPES: Mapping[str, Any] = {
    "lr": float, "head_lr_factor": float, "weight_decay": float, "l1": float, "batch_size": int,
    "drop": float, "drop_path": float, "freeze_depth": toml_value, "opt": str, "momentum": float,
    "layer_decay": float, "sched": str, "warmup": float, "smoothing": float, "mixup": float,
    "cutmix": float, "augment": strength_of, "hflip": float, "reprob": float,
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


_NAMES = {
    seconds: "time",
    size: "size",
    names_of: "names",
    toml_value: "value",
    strength_of: "strength",
    devices_of: "text",
    count_or_auto: "number",
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
            kind = parsed(flag.type, _NAMES[flag.type]) if flag.type in _NAMES else flag.type
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
