"""Best-so-far curves as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evoft.analysis.compare import Comparison, Reading, readings_of
from evoft.errors import SettingsError, StorageError

#: Costs at which a curve is drawn.
_POINTS = 200
#: What a picture's file name may end in.
FORMS = (".svg", ".png")


def check_plot(path: Path) -> None:
    """Refuse what no picture can be drawn to.

    Raises:
        SettingsError: The file is of another form, or matplotlib is not installed.
    """
    if path.suffix not in FORMS:
        raise SettingsError(f"a plot is named *{' or *'.join(FORMS)}, but the name given is {path}")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise SettingsError(
            "a plot is drawn by matplotlib, which is not installed: pip install 'evoft[plot]'"
        ) from None


def plot(comparison: Comparison, path: Path) -> None:
    """Draw each group's mean curve within its 95 % interval, against training and seconds.

    Raises:
        StorageError: The file cannot be written.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    # The same populations give the same file.
    with rc_context({"svg.hashsalt": "evoft", "svg.fonttype": "none"}):
        costs = comparison.costs
        figure = Figure(figsize=(5.0 * len(costs), 4.0), layout="constrained")
        panels = figure.subplots(1, len(costs), squeeze=False)
        for axes, cost in zip(panels[0], costs, strict=True):
            readings = readings_of(comparison.groups, cost, comparison.merit, _POINTS)
            _draw(axes, readings, comparison.merit.title)
        try:
            figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else {})
        except OSError as error:
            raise StorageError(f"the plot {path} cannot be written ({error})") from error


def _draw(axes: Any, readings: Sequence[tuple[Reading, ...]], title: str) -> None:
    for own in zip(*readings, strict=True):
        spent = np.array([reading.spent for reading in own])
        (line,) = axes.step(spent, [r.mean for r in own], where="post", label=own[0].label)
        bounds = [reading.interval for reading in own]
        if all(bounds):
            low, high = ([getattr(b, side) for b in bounds] for side in ("low", "high"))
            axes.fill_between(spent, low, high, step="post", alpha=0.2, color=line.get_color())
    axes.set_xscale("log")
    axes.set_xlabel(str(readings[0][0].cost))
    axes.set_ylabel(title)
    axes.legend()
