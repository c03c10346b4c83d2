"""A finished trial as it is kept, and all that a population file holds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evoft.header import Header
from evoft.individual import Individual
from evoft.outcome import Outcome
from evoft.trial import Stage, Trial, TrialKey
from evoft.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Record:
    """A finished trial, as it stands in the journal and in the population file."""

    trial: Trial
    outcome: Outcome
    #: For a trial of the search: the individual that it judged, as it was born, without outcomes;
    #: the same on each rung.  None for a final run.
    birth: Individual | None
    #: What the trainer was asked to do, as plain JSON data; None where there is no recipe.
    recipe: Mapping[str, Any] | None
    #: Seconds of running over the life of the population when this trial was committed.
    elapsed: float

    @property
    def key(self) -> TrialKey:
        """What tells this trial from every other of its population."""
        return self.trial.key


@dataclass(frozen=True, slots=True)
class Contents:
    """All that a population holds; what else a file shows is computed from this."""

    header: Header
    #: Every finished trial, in no particular order.
    records: Mapping[TrialKey, Record]
    #: In the order in which they were reached.
    verdicts: tuple[Verdict, ...]


def out_of_turn(records: Mapping[TrialKey, Record]) -> list[TrialKey]:
    """Return the trials of the search that ended while one decided before them never did."""
    numbers = {r.trial.number for r in records.values() if r.trial.stage is Stage.SEARCH}
    unbroken = next(number for number in itertools.count() if number not in numbers)
    late = (r for r in records.values() if r.trial.stage is Stage.SEARCH)
    return sorted(record.key for record in late if record.trial.number > unbroken)


def check_record(record: Record) -> None:
    """Refuse a record that could not be read back as it is.

    Raises:
        ValueError: The record contradicts itself, or a number does not fit its column.
    """
    trial, birth = record.trial, record.birth
    if (trial.stage is Stage.SEARCH) != (birth is not None):
        raise ValueError(f"{_what(trial)} must have a birth if and only if it is of the search")
    if birth is not None:
        _check_birth(trial, birth)
    elif (trial.rung, trial.number, trial.generation) != (0, 0, 0):
        raise ValueError(
            f"{_what(trial)} must have rung, number and generation 0, for it is a final run"
        )
    whole = (trial.individual, trial.repeat, trial.number, trial.seed, record.outcome.peak_memory)
    if min(whole) < 0 or max(whole) >= 2**63:
        raise ValueError(
            f"{_what(trial)}: ids, numbers, seeds and bytes must be in [0, 2**63), but are {whole}"
        )
    if not 0 <= trial.rung < 2**15:
        raise ValueError(f"{_what(trial)}: rung must be in [0, 2**15), but is {trial.rung}")
    if trial.epochs is not None and not 0 < trial.epochs < math.inf:
        raise ValueError(
            f"{_what(trial)}: epochs must be in (0, inf) or None, but are {trial.epochs}"
        )


def check_sibling(record: Record, other: Record) -> None:
    """Refuse a record with another birth than that of the same individual on another rung.

    Raises:
        ValueError: The births differ.
    """
    mine, theirs = (r.birth and r.birth.unjudged for r in (record, other))
    if mine != theirs:
        raise ValueError(
            f"the records of individual {record.trial.individual} on rungs {record.trial.rung} and "
            f"{other.trial.rung} must agree on its birth, but say {mine} and {theirs}"
        )


def _check_birth(trial: Trial, birth: Individual) -> None:
    if trial.repeat != 0:
        raise ValueError(f"{_what(trial)} must have repeat 0, for it is of the search")
    asked = (trial.individual, trial.seed, trial.genome)
    if (birth.id, birth.seed, birth.genome) != asked:
        raise ValueError(
            f"{_what(trial)} and its birth must agree on id, seed and genome, but are "
            f"{asked} and {(birth.id, birth.seed, birth.genome)}"
        )
    if len(birth.parents) > 2 or not all(0 <= parent < 2**63 for parent in birth.parents):
        raise ValueError(f"{_what(trial)}: there are at most 2 parents, but are {birth.parents}")
    for generation in (birth.generation, trial.generation):
        if not 0 <= generation < 2**31:
            raise ValueError(
                f"{_what(trial)}: generation must be in [0, 2**31), but is {generation}"
            )
    if not 0 <= birth.step < math.inf:
        raise ValueError(f"{_what(trial)}: step must be in [0, inf), but is {birth.step}")
    if not 0 < birth.price < math.inf:
        raise ValueError(f"{_what(trial)}: price must be in (0, inf), but is {birth.price}")


def _what(trial: Trial) -> str:
    return f"the record of trial {'/'.join(map(str, trial.key))}"
