"""``evoft resume``: go on with a population where it stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from evoft.cli.flags import (
    EVOLVE_FLAGS,
    OUTPUT_HELP,
    PATH,
    RECIPE_FLAGS,
    RUN_FLAGS,
    overlaid,
    with_flags,
)
from evoft.cli.progress import decoding_bar, require_output, run_to_the_end
from evoft.settings import Settings


@click.command("resume", short_help="Go on after a stop, or with a larger budget.")
@click.argument("file", type=PATH)
@click.option("--data", help="Where the same images are now, if they have moved.")
@click.option("--output", type=PATH, help=OUTPUT_HELP)
@with_flags(RUN_FLAGS)
# What these set cannot change; whoever gives them all the same is told so.
@with_flags(EVOLVE_FLAGS, RECIPE_FLAGS, hidden=True)
def resume_command(file: Path, data: str | None, output: Path | None, **flags: Any) -> None:
    """Go on with the population in FILE: after a stop, or with a larger budget."""
    from evoft.fine_tuning import resume

    require_output(file, output)
    if data is not None:
        flags["training__data"] = data

    def change(settings: Settings) -> Settings:
        return overlaid(settings.to_dict(), flags)

    with decoding_bar() as progress:
        run = resume(file, change=change, progress=progress)
    run_to_the_end(run, output)
