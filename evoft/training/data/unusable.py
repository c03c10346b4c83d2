"""Images that cannot be used, told in one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evoft.errors import DataError

#: How many files that cannot be used are named beside the first; of more, the number is told.
_NAMED = 5


def told_of_all(unusable: Mapping[int, DataError], paths: Sequence[str]) -> DataError:
    """Return the first file's error, with the names of the others: all are mended at once.

    Args:
        unusable: What is wrong with which files, by index into the paths; one at least.
        paths: Of all files.
    """
    first, *others = sorted(unusable)
    if not others:
        return unusable[first]
    named = ", ".join(paths[index] for index in others[:_NAMED])
    more = len(others) - _NAMED
    return DataError(
        f"{unusable[first]}; nor can these be used: {named}{f' and {more} more' * (more > 0)}"
    )
