"""What answers trials, as bytes for another process or machine."""

from __future__ import annotations

import sys

import cloudpickle

from evoft.errors import WorkerError


def packed(target: object) -> bytes:
    """Return a target as bytes that ``cloudpickle.loads`` undoes.

    Raises:
        WorkerError: The target cannot be pickled.
    """
    main = sys.modules.get("__mp_main__")
    if main is not None:
        # In a process that was spawned, the script goes by this name, which no worker knows.
        cloudpickle.register_pickle_by_value(main)
    try:
        return bytes(cloudpickle.dumps(target))
    except Exception as error:
        raise WorkerError(
            f"the fitness function cannot be sent to a worker process ({error}): define it at "
            "the top of a module, or keep open files and locks out of it"
        ) from error
