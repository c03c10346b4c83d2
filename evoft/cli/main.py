"""``evoft``: the group of commands, and how errors and signals leave it."""

from __future__ import annotations

import errno
import os
import signal
import sys
from types import FrameType
from typing import Any, NoReturn

import click

from evoft.cli.compare import compare_command
from evoft.cli.evaluate import evaluate_command
from evoft.cli.evolve import evolve_command
from evoft.cli.export import export_command
from evoft.cli.fsck import fsck_command
from evoft.cli.help import InOrder
from evoft.cli.lineage import lineage_command
from evoft.cli.pick import pick_command
from evoft.cli.predict import predict_command
from evoft.cli.refit import refit_command
from evoft.cli.resume import resume_command
from evoft.cli.show import show_command
from evoft.cli.space import space_command
from evoft.environment import evoft_version
from evoft.errors import EvoftError, StorageError

#: Exit codes of a run that was stopped from outside, as a shell has them.
INTERRUPTED, TERMINATED = 130, 143
#: How a disk refuses what is printed.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG)


@click.group(cls=InOrder, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(evoft_version(), prog_name="evoft")
def group() -> None:
    """Evolve fine-tuning recipes: a folder of images in, the best fine-tuned model out.

    \b
    Start with:
      evoft evolve                           an example of a few minutes
      evoft evolve FOLDER --model NAME --budget 2h
      evoft resume populations/FOLDER.h5     after a stop, or for more
      evoft show populations/FOLDER.h5       what was found

    \b
    Exit codes: 0 done, 2 a setting is wrong, 3 data, 4 backbone, 5 population file, 6 disk,
    7 workers, 8 no trial ended well, 130 Ctrl-C, 143 SIGTERM.
    """


for command in (
    evolve_command,
    resume_command,
    show_command,
    compare_command,
    lineage_command,
    pick_command,
    export_command,
    refit_command,
    predict_command,
    evaluate_command,
    space_command,
    fsck_command,
):
    group.add_command(command)


class Terminated(BaseException):
    """SIGTERM came."""


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated


def _again(lost: sys.UnraisableHookArgs) -> None:
    """Raise a stop again, in a moment, that came where Python drops what is raised.

    A weak reference's callback is such a place, and h5py makes many: without this, one Ctrl-C in
    a hundred would be lost.
    """
    stop = lost.exc_type
    if not issubclass(stop, KeyboardInterrupt | Terminated):
        sys.__unraisablehook__(lost)
        return

    def raise_stop(number: int, frame: FrameType | None) -> NoReturn:
        raise stop

    signal.signal(signal.SIGALRM, raise_stop)
    signal.setitimer(signal.ITIMER_REAL, 0.01)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with the documented code."""
    signal.signal(signal.SIGTERM, _terminate)
    sys.unraisablehook = _again
    sys.exit(_run(arguments))


def _run(arguments: list[str] | None) -> int:
    try:
        _require_somewhere()
        result: Any = group.main(arguments, standalone_mode=False)
    except EvoftError as error:
        click.echo(f"evoft: {error}", err=True)
        return error.exit_code
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, Terminated) as stop:
        return INTERRUPTED if isinstance(stop, KeyboardInterrupt) else TERMINATED
    except OSError as error:
        if error.errno not in _FULL:
            raise
        _drop_output()
        click.echo(f"evoft: what it prints cannot be written ({error.strerror})", err=True)
        return StorageError.exit_code
    return result if isinstance(result, int) else 0


def _require_somewhere() -> None:
    """Refuse to work in a folder that was removed, which no path is then found from.

    Raises:
        StorageError: It was.
    """
    try:
        os.getcwd()
    except OSError as error:
        raise StorageError(
            f"the folder that you are in cannot be found ({error.strerror}): cd to another"
        ) from None


def _drop_output() -> None:
    """Have nothing more written where the output went: Python would try once more at its exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
