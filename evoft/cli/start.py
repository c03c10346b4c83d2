"""The command's first step: imports the rest where a Ctrl-C is heard already."""

from __future__ import annotations

import sys

#: As a shell has it; `evoft.cli.main` is not there yet to ask.
_INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit with the documented code."""
    try:
        from evoft.cli.main import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
