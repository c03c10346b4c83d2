"""Which GPUs a worker sees: its own, counted among those that this process was left to see."""

from __future__ import annotations

from collections.abc import Mapping

from evoft.errors import WorkerError

#: NVIDIA's GPUs go by the first; AMD's by the second unless it is empty, and then by the first.
_CUDA, _HIP = "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"


def visible(device: str, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return what a worker's environment has instead of ours.

    Args:
        device: ``cpu``, ``any`` (all that we see), or the number of a GPU as we count them: where
            we see but some of the machine's, the first of those is 0.
        inherited: Our own environment.

    Raises:
        WorkerError: The environment leaves us no GPU of that number.
    """
    if device == "any":
        return {}
    if device == "cpu":
        return {_CUDA: ""}
    own, amds = _own(device, inherited), _left(inherited.get(_HIP, ""))
    # Both in any case: on AMD's, torch counts GPUs by the first only where nothing else is set.
    return {_CUDA: own, _HIP: amds[int(device)] if int(device) < len(amds) else own}


def _own(device: str, inherited: Mapping[str, str]) -> str:
    if _CUDA not in inherited:
        return device
    left = _left(inherited[_CUDA])
    if int(device) >= len(left):
        # The bare number would be a GPU that was taken away from us on purpose.
        raise WorkerError(
            f"GPU {device} is not to be seen, for {_CUDA}={inherited[_CUDA]} leaves {len(left)}, "
            "counted from 0: name more of them there, or other devices here"
        )
    return left[int(device)]


def _left(names: str) -> list[str]:
    """Return the numbers and UUIDs that are read in a list: those before the first negative."""
    left: list[str] = []
    for name in map(str.strip, names.split(",")):
        if not name or name.startswith("-"):
            break
        left.append(name)
    return left
