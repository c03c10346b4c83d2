"""Records, headers and verdicts as plain JSON data and back.

Floats keep every bit: Python's JSON writes the shortest text that reads back to the same float,
and NaN and the infinities as ``NaN``, ``Infinity`` and ``-Infinity``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from evoft.genome import Genome
from evoft.header import Header
from evoft.individual import Individual
from evoft.lineage.record import Record
from evoft.outcome import CurvePoint, Outcome, Status
from evoft.trial import Stage, Trial, TrialKey, unheard
from evoft.verdict import Counts, Verdict

#: The newest layout of journal and population file that this evoft reads, and the one it writes.
SCHEMA = 4
#: What a verdict has in any case.
VERDICT_NUMBERS = (
    "winner", "winner_repeat", "default", "default_repeat",
    "both", "only_winner", "only_default", "neither",
)  # fmt: skip
#: The header's fields that are tuples.
LISTS = ("backbones", "spaces_before")
#: The types of a gene's values.
_VALUES = {bool, int, float, str}
#: Made once, for every trial is written by it.
_ENCODER = json.JSONEncoder(separators=(",", ":"))


def to_text(plain: Any) -> str:
    """Return JSON on one line, in ASCII.

    Raises:
        ValueError: It is not plain JSON data.
    """
    try:
        return _ENCODER.encode(plain)
    except TypeError as error:
        raise ValueError(f"only plain JSON data can be kept: {error}") from None


def plain_header(header: Header) -> dict[str, Any]:
    """Return a header as JSON data, marked with the schema."""
    return {"kind": "header", "schema": SCHEMA, **asdict(header)}


def header_of(plain: Mapping[str, Any]) -> Header:
    """Return the header that ``plain_header`` gave."""
    plain = {"spaces_before": (), **plain}  # an earlier evoft's space never changed
    facts = {name: plain[name] for name in Header.__dataclass_fields__}
    return Header(**{**facts, **{name: tuple(facts[name]) for name in LISTS}})


def plain_withdrawal(keys: Iterable[TrialKey]) -> dict[str, Any]:
    """Return that trials are as if they had never been judged, as JSON data."""
    return {"kind": "withdrawal", "trials": [list(key) for key in keys]}


def withdrawn_by(plain: Mapping[str, Any]) -> list[TrialKey]:
    """Return the trials that ``plain_withdrawal`` was given."""
    return [(Stage(stage), int(id), int(turn)) for stage, id, turn in plain["trials"]]


def plain_verdict(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as JSON data."""
    plain = {"kind": "verdict", **asdict(verdict)}
    if not verdict.by_class:
        del plain["by_class"]
    return plain


def verdict_of(plain: Mapping[str, Any]) -> Verdict:
    """Return the verdict that ``plain_verdict`` gave."""
    numbers = {name: int(plain[name]) for name in VERDICT_NUMBERS}
    return Verdict(**numbers, by_class=counts_of(plain.get("by_class", ())))


def counts_of(plain: Iterable[Sequence[int]]) -> tuple[Counts, ...]:
    """Return a verdict's counts by class from JSON data."""
    return tuple((int(a), int(b), int(c), int(d)) for a, b, c, d in plain)


def plain_record(record: Record) -> dict[str, Any]:
    """Return a finished trial as JSON data, its birth included if it has one."""
    trial, birth = record.trial, record.birth
    plain: dict[str, Any] = {
        "kind": "trial",
        "stage": trial.stage.value,
        "individual": trial.individual,
        "repeat": trial.repeat,
        "rung": trial.rung,
        "epochs": None if trial.epochs is None else float(trial.epochs),
        "number": trial.number,
        "generation": trial.generation,
        "seed": trial.seed,
        "genome": dict(trial.genome.items()),
    }
    if birth is not None:
        plain["birth"] = {
            "generation": birth.generation,
            "parents": list(birth.parents),
            "operator": birth.operator,
            "step": float(birth.step),
            "price": float(birth.price),
        }
    plain["recipe"] = None if record.recipe is None else dict(record.recipe)
    plain["outcome"] = _plain_outcome(record.outcome)
    plain["elapsed"] = float(record.elapsed)
    return plain


def reads_back_as_it_is(record: Record) -> bool:
    """Tell whether ``record_of(plain_record(record))`` is the record, the types in it included.

    Only what is plain to see at once is True, as of a trial of the search without recipe, curve and
    metrics, in which there may be anything that JSON takes.
    """
    trial, outcome, birth = record.trial, record.outcome, record.birth
    if birth is None or record.recipe is not None or outcome.curve or outcome.metrics:
        return False
    texts = (*trial.genome, birth.operator, outcome.reason)
    whole = (
        *(trial.individual, trial.seed, trial.repeat, trial.rung, trial.number, trial.generation),
        *(birth.id, birth.seed, birth.generation, *birth.parents, outcome.peak_memory),
    )
    real = (
        *(birth.step, birth.price, outcome.fitness, outcome.seconds),
        *(record.elapsed, trial.epochs or 1.0),
    )
    return (
        {*map(type, texts)} == {str}
        and {*map(type, whole)} == {int}
        and {*map(type, real)} == {float}
        and {*map(type, trial.genome.values())} <= _VALUES
        and trial.genome is birth.genome
        and trial.report is unheard
        and type(birth.parents) is tuple
        and birth.outcome is None
        and not birth.earlier
    )


def record_of(plain: Mapping[str, Any]) -> Record:
    """Return the finished trial that ``plain_record`` gave, in this schema or an older one."""
    genome = Genome(plain["genome"])
    stage, individual, seed = Stage(plain["stage"]), plain["individual"], plain["seed"]
    searched = stage is Stage.SEARCH
    trial = Trial(
        individual,
        genome,
        seed,
        stage,
        plain["repeat"],
        # In schema 1 there was one rung, and whoever was asked for was born.
        rung=plain.get("rung", 0),
        epochs=plain.get("epochs"),
        number=plain.get("number", individual if searched else 0),
        generation=plain.get("generation", 0),
    )
    birth = _birth_of(plain, trial) if searched else None
    return Record(trial, _outcome_of(plain["outcome"]), birth, plain["recipe"], plain["elapsed"])


def _birth_of(plain: Mapping[str, Any], trial: Trial) -> Individual:
    facts = plain.get("birth", plain)  # in schema 1 they stood among those of the trial
    return Individual(
        id=trial.individual,
        generation=facts["generation"],
        parents=tuple(facts["parents"]),
        operator=facts["operator"],
        genome=trial.genome,
        seed=trial.seed,
        step=facts.get("step", 0.0),
        # Before there were prices, all epochs cost the same.
        price=facts.get("price", 1.0),
    )


def _plain_outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "status": outcome.status.value,
        "fitness": float(outcome.fitness),
        "reason": outcome.reason,
        "curve": [[float(point.epoch), _floats(point.metrics)] for point in outcome.curve],
        "metrics": _floats(outcome.metrics),
        "seconds": float(outcome.seconds),
        "peak_memory": outcome.peak_memory,
    }


def _outcome_of(plain: Mapping[str, Any]) -> Outcome:
    return Outcome(
        status=Status(plain["status"]),
        fitness=plain["fitness"],
        reason=plain["reason"],
        curve=tuple(CurvePoint(epoch, metrics) for epoch, metrics in plain["curve"]),
        metrics=plain["metrics"],
        seconds=plain["seconds"],
        peak_memory=plain["peak_memory"],
    )


def _floats(metrics: Mapping[str, float]) -> dict[str, float]:
    return {str(name): float(value) for name, value in metrics.items()}
