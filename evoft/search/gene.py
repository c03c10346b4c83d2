"""What a gene is: an owner of its sampling, its mutation, its bounds and its written form.

Every gene maps the unit interval onto its values (``at``), so that a space-filling design, a
mutation step or a crossover can be stated once, on one scale, for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from evoft.errors import SpaceError
from evoft.genome import Value

#: How sure a default can be, the least sure first.
CONFIDENCES = ("low", "medium", "high")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gene:
    """What all genes have.  Use one of the four kinds below."""

    #: The value in the default recipe; None takes the middle of the gene.
    default: Any = None
    #: How sure it is that good values are near the default: one of CONFIDENCES; None: not at all.
    confidence: str | None = None
    #: Other genes' names and the values with which this gene counts; None: it always does.
    when: Mapping[str, Sequence[Value]] | None = None

    kind: ClassVar[str] = ""
    #: Whether neighbouring positions on the unit interval are neighbouring values.
    ordered: ClassVar[bool] = True

    @property
    def size(self) -> float:
        """How many values the gene has, possibly infinite."""
        raise NotImplementedError

    def at(self, unit: float) -> Value:
        """Return the value at a position of the unit interval ``[0, 1]``."""
        raise NotImplementedError

    def unit(self, value: Value) -> float:
        """Return a position in ``[0, 1]`` at which ``at`` gives ``value``."""
        raise NotImplementedError

    def holds(self, value: object) -> bool:
        """Tell whether ``value`` is one of the gene's values, of the gene's type."""
        raise NotImplementedError

    def mutate(self, value: Value, rng: np.random.Generator, sigma: float) -> Value:
        """Return another value near ``value``; the same one only where there is no other.

        Args:
            value: One of the gene's values.
            rng: Where the randomness comes from.
            sigma: Standard deviation of the step, as a share of the gene's range.
        """
        raise NotImplementedError

    @property
    def standard(self) -> Value:
        """The default, or the middle of the gene where none was given."""
        return self.at(0.5) if self.default is None else self.default

    def _check_default(self) -> None:
        if self.default is not None and not self.holds(self.default):
            raise SpaceError(
                f"`default` must be one of the gene's values, but {self.default!r} is not in "
                f"{self.describe()}"
            )
        if self.confidence is None:
            return
        if self.confidence not in CONFIDENCES:
            raise SpaceError(
                f"`confidence` must be one of {', '.join(CONFIDENCES)}, but is {self.confidence!r}"
            )
        if self.default is None:
            raise SpaceError(
                "`confidence` says how sure a gene is of its `default`, but there is none: give one"
            )

    def describe(self) -> str:
        """Return the gene's values in a few words."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Return the gene as plain JSON data."""
        data: dict[str, Any] = {"type": self.kind, **self._bounds()}
        if self.default is not None:
            data["default"] = self.default
        if self.confidence is not None:
            data["confidence"] = self.confidence
        if self.when is not None:
            data["when"] = {name: list(values) for name, values in self.when.items()}
        return data

    def _bounds(self) -> dict[str, Any]:
        raise NotImplementedError
