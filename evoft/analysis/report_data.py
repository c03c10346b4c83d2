"""A report as plain JSON data: what ``metrics.json`` and ``evoft show --format json`` say."""

from __future__ import annotations

import math
from typing import Any

from evoft.analysis.intervals import Interval
from evoft.analysis.largest_class import largest_class_numbers
from evoft.analysis.report import Report, Standing, Tie
from evoft.analysis.rungs import agreement_rows


def metrics_of(report: Report) -> dict[str, Any]:
    """Return a report's numbers as plain JSON data, accuracies from 0 to 1."""
    return {
        "winner": _numbers(report.winner, report.metric),
        "default": _numbers(report.default, report.metric) if report.default else None,
        **largest_class_numbers(report.largest_class, report.metric),
        "test_gain": bounds(report.gain),
        "significant_gain": report.significant,
        "selection_optimism": report.optimism,
        **({"search_epochs": report.epochs} if report.epochs is not None else {}),
        "test_split_readings": report.readings,
        **({"rungs": agreement_rows(report.rungs)} if report.rungs else {}),
        **({"tie": _tie_numbers(report.tie)} if report.tie else {}),
    }


def _tie_numbers(tie: Tie) -> dict[str, Any]:
    leader = tie.leader
    return {"leader": leader.id, "leader_mean": leader.mean, "standard_error": tie.error}


def _numbers(standing: Standing, metric: str) -> dict[str, Any]:
    return {
        "individual": standing.id,
        f"validation_{metric}": bounds(standing.validation),
        f"validation_{metric}_runs": list(standing.validation_runs),
        f"test_{metric}": bounds(standing.test),
        "recipe": dict(standing.recipe),
    }


def bounds(interval: Interval | None) -> dict[str, float] | None:
    """Return an interval as plain JSON data, without bounds that are not known."""
    if interval is None:
        return None
    if math.isnan(interval.low):
        return {"estimate": interval.estimate}
    return {"estimate": interval.estimate, "low": interval.low, "high": interval.high}
