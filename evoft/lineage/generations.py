"""Individuals in order of birth, and the generations that are complete."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

from evoft.errors import SettingsError
from evoft.header import Header
from evoft.individual import Generation, Individual, best_of
from evoft.ladder import Ladder, generation_at, pays_for_more
from evoft.lineage.record import Record
from evoft.outcome import Outcome, Status
from evoft.settings import Settings

#: Stands for the outcome on a lower rung whose record was lost to damage.
MISSING = Outcome(Status.LOST, reason="the record of this trial is missing")


def individuals_of(records: Iterable[Record]) -> tuple[Individual, ...]:
    """Return the individuals that were judged, with their outcomes, in order of birth.

    Where the record of a lower rung is missing, ``MISSING`` stands in its place, so that the
    others stay on their rungs.
    """
    searched = (record for record in records if record.birth is not None)
    judged: dict[int, Individual] = {}
    for record in sorted(searched, key=lambda record: record.trial.rung):
        assert record.birth is not None
        individual = judged.get(record.trial.individual, record.birth)
        while individual.rung < record.trial.rung - 1:
            individual = individual.judged(MISSING)
        judged[individual.id] = individual.judged(record.outcome)
    return tuple(judged[id] for id in sorted(judged))


def settings_of(header: Header) -> Settings | None:
    """Return the settings of a run; None where this evoft does not know what they mean."""
    try:
        return Settings.of_file(header.settings)
    except SettingsError:
        return None


def generations_of(
    records: Iterable[Record], header: Header, individuals: Iterable[Individual]
) -> tuple[Generation, ...]:
    """Return the generations up to the first that is not complete.

    A generation is complete when all trials of it and of those before it have ended, and no
    further one can come: that is when they have cost ``search.population_size`` full trainings a
    generation, or what is left of all generations pays for nothing more.  Without that setting,
    each is complete that has begun.

    Args:
        records: All trials.
        header: The facts of the run.
        individuals: What ``individuals_of`` makes of them.
    """
    judged = {individual.id: individual for individual in individuals}
    size = header.settings.get("search", {}).get("population_size", 0)
    settings = settings_of(header)
    ladder = settings.ladder(fine_tuning=bool(header.data)) if settings else Ladder()
    fold = Generations()
    complete: list[Generation] = []
    spent = 0.0
    for index, trials in itertools.groupby(_unbroken(records), lambda r: r.trial.generation):
        members = list(trials)
        for record in members:
            # A rung that the settings do not have, as in a file put together by hand, is free.
            if record.trial.rung <= ladder.top and record.birth is not None:
                spent += record.birth.price * ladder.cost(record.trial.rung)
        more = pays_for_more(spent, settings.search.births if settings else None, ladder)
        if size and generation_at(spent, size) <= index and more:
            break
        complete.append(fold.take(members, judged))
    return tuple(complete)


class Generations:
    """Makes generations of records in the order in which the search asked for their trials.

    Each shows its individuals as they stood at its end, whatever has become of them since.
    """

    def __init__(self) -> None:
        self._known: dict[int, Individual] = {}
        self._best: Individual | None = None

    def copy(self) -> Generations:
        """Return another that stands where this one does."""
        other = Generations()
        other._known, other._best = dict(self._known), self._best
        return other

    def take(
        self, records: Sequence[Record], judged: Mapping[int, Individual] | Sequence[Individual]
    ) -> Generation:
        """Return the next generation.

        Args:
            records: All its trials, at least one.
            judged: By id, the individuals of these trials as they stand now.
        """
        for record in records:
            assert record.birth is not None
            id = record.trial.individual
            now = judged[id]
            # Most have not been judged since, so that no second copy of them need be kept.
            stands = now.outcome is record.outcome and now.rung == record.trial.rung
            before = self._known.get(id, record.birth)
            self._known[id] = now if stands else before.judged(record.outcome)
        self._best = self._best_after(records)
        born = tuple(self._known[r.trial.individual] for r in records if r.trial.rung == 0)
        continued = tuple(r.trial.individual for r in records if r.trial.rung)
        first = self._known[continued[0]] if continued else None
        return Generation(records[0].trial.generation, born, self._best, continued, first)

    def _best_after(self, records: Sequence[Record]) -> Individual | None:
        judged = {record.trial.individual for record in records}
        if self._best is not None and self._best.id in judged:
            # It may have fallen on its new rung, and anybody may be the best then.
            return best_of(list(self._known.values()))
        fresh = [self._known[id] for id in judged]
        return best_of([self._best, *fresh] if self._best else fresh)


def _unbroken(records: Iterable[Record]) -> Iterator[Record]:
    """Yield the search's trials in the order in which it asked for them, up to one not ended.

    No search gives two trials one number; of two in a file put together by hand the elder counts,
    in whatever order they come.
    """
    trials: dict[int, Record] = {}
    for record in records:
        if record.birth is not None:
            other = trials.setdefault(record.trial.number, record)
            if _age(record) < _age(other):
                trials[record.trial.number] = record
    for number in itertools.count():
        if number not in trials:
            return
        yield trials[number]


def _age(record: Record) -> tuple[int, int]:
    return record.trial.individual, record.trial.rung
