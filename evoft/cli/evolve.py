"""``evoft evolve``: make a population and run it to its end."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from evoft.cli.configuration import configuration, overlaid, space_of
from evoft.cli.flags import (
    EVOLVE_FLAGS,
    OUTPUT_HELP,
    RECIPE_FLAGS,
    RUN_FLAGS,
    parameter,
    with_flags,
)
from evoft.cli.plan_text import plan_text
from evoft.cli.progress import at_a_stop, images_bars, require_output, run_to_the_end
from evoft.cli.settling import Settling, with_settling
from evoft.cli.spreading import Spreading
from evoft.cli.values import PATH
from evoft.fine_tuning import FineTuning
from evoft.places import place
from evoft.search.space import SearchSpace

#: What `evoft evolve` does without DATA and without a configuration: an example that ends in
#: minutes on two CPU cores, for two epochs are enough for digits.
EXAMPLE = {"training": {"data": "digits", "epochs": 2}}


#: The help's sections: what most runs need first, then who decides, then the fine print.
SECTIONS = {
    "Where": ("file", "output", "config", "space", "elders", "dry_run"),
    "The backbone": (
        "training__models", "training__pretrained", "training__checkpoint", "training__img_size",
        "training__crop_pct", "training__interpolation", "training__mean", "training__std",
        "model_kwargs",
    ),
    "How long": (
        "run__budget", "search__generations", "search__population_size", "training__epochs",
    ),
    "The search": (
        "training__metric", "objectives", "search__strategy", "search__finalists",
        "search__repeats", "top__seed",
    ),
    "The machine": (
        "run__workers", "run__workers_per_device", "run__devices", "run__trial_timeout",
        "run__stall_timeout", "run__max_disk", "training__cache_size", "training__amp",
    ),
    "The data": ("training__val_share", "training__test_share", "training__max_train_images"),
    "The genes: each flag fixes one of them to a value and takes it out of the search": (
        *map(parameter, RECIPE_FLAGS),
    ),
    "All trials' training": (
        "warmup_epochs", "training__patience", "training__cooldown", "training__views",
    ),
    "Strategies' own": (
        "search__first_rung", "search__rung_factor", "search__lookahead", "search__common_seed",
        "search__points", "search__sampler",
    ),
    "Of the strategies evolution and ga": ("search__sigma", "search__tournsize"),
    "Of the strategy ga": ("search__cxpb", "search__mutpb", "search__indpb", "search__elite"),
}  # fmt: skip


@click.command("evolve", cls=Spreading, sections=SECTIONS,
               short_help="Search for the best recipe for DATA, export its model.")  # fmt: skip
@click.argument("data", required=False)
@click.option("--file", type=PATH, help="Population file; populations/NAME.h5 unless given.")
@click.option("--output", type=PATH, help=OUTPUT_HELP)
@click.option("-c", "--config", type=PATH, help="TOML file of settings; flags win over it.")
@click.option("--space", type=PATH, help="TOML file of genes; `evoft space` prints the default.")
@click.option(
    "--founders",
    "elders",
    multiple=True,
    type=PATH,
    help="Population file whose best are founders, too; may be given again.",
)
@click.option(
    "--dry-run", is_flag=True, help="Say what would be done and how long it takes; leave nothing."
)
@with_settling()
@with_flags(EVOLVE_FLAGS, RUN_FLAGS, RECIPE_FLAGS, defaults=True)
def evolve_command(  # noqa: PLR0913, PLR0917  # each is a flag of its own
    data: str | None,
    file: Path | None,
    output: Path | None,
    config: Path | None,
    space: Path | None,
    elders: tuple[Path, ...],
    dry_run: bool,
    model_kwargs: tuple[str, ...],
    warmup_epochs: float | None,
    objectives: tuple[str, ...],
    **flags: Any,
) -> None:
    """Evolve fine-tuning recipes for DATA and export the best model.

    DATA is a folder of {train,val,test}/CLASS/IMAGE or of CLASS/IMAGE, a CSV of
    filepath,label[,split], an npz of images and labels, or `digits`; how many classes there are
    follows from it. Without DATA and -c it runs an example of a few minutes: digits, two epochs a
    trial.

    What you give of --lr, --opt, -b and timm's other flags for a recipe is fixed; the rest is
    searched, in the ranges that `evoft space --format table` shows.

    \b
    Examples:
      evoft evolve photos --model resnet50.a1_in1k --budget 2h
      evoft evolve labels.csv --model resnet18,mobilenetv3_small_100 --epochs 9
      evoft evolve photos --opt sgd -b 64 --lr 0.01 --generations 8
      evoft evolve photos --model resnet18,resnet50 \\
          --objective accuracy --objective latency

    With --budget and without --generations there are as many of them as the time allows. Whatever
    was finished is on disk: stop it when you like, and go on by `evoft resume FILE`.
    """
    from evoft.fine_tuning import start

    base = configuration(config) if config or data else {k: dict(v) for k, v in EXAMPLE.items()}
    genes = _space(base, space)
    if data is not None:
        flags["training__data"] = data
    budgeted = flags["run__budget"] is not None or "budget" in base.get("run", {})
    if budgeted and flags["search__generations"] is None:
        # One budget is enough: without a number of generations the time alone decides.
        base.setdefault("search", {}).setdefault("generations", None)
    given = Settling(model_kwargs, warmup_epochs, objectives)
    settings = given.over(overlaid(base, flags))
    file = file or Path("populations") / f"{_name(settings.training.data)}.h5"
    require_output(file, output, settings.training.data, new=True)
    begin = partial(start, settings, genes, elders=elders)
    if dry_run:
        _tell(begin, file)
        return
    with at_a_stop("Stopped before any trial; nothing was written"), images_bars() as progress:
        run = begin(file, progress)
    run_to_the_end(run, output)


def _tell(begin: Callable[..., FineTuning], file: Path) -> None:
    """Print what a run is going to do, whose file lies where nobody finds it meanwhile."""
    with TemporaryDirectory() as folder:
        if os.path.exists(file):
            begin(file)  # which refuses it
        with images_bars() as progress:
            run = begin(Path(folder) / file.name, progress)
        with run:
            click.echo(plan_text(replace(run.plan, file=file), run.seconds_left()).rstrip())


def _space(base: dict[str, Any], path: Path | None) -> SearchSpace | None:
    """Return the space of the file, or of the configuration's own tables; None: the default."""
    table = base.pop("space", None)
    if path is not None:
        return space_of(path)
    return None if table is None else SearchSpace.from_dict(table)


def _name(data: str) -> str:
    """Return what data's population is called; a dot in a folder's name is no file's ending."""
    path = Path(os.path.abspath(place(data)))
    is_file = path.suffix.lower() in (".csv", ".npz")
    return (path.stem if is_file else path.name) or "population"
