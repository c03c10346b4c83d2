"""A population as it stands: a read-only view for whoever shows, exports or analyses it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from evoft.errors import PopulationFileError
from evoft.header import Header
from evoft.individual import Generation, Individual, best_of, named
from evoft.lineage.finals import Finalist, finalists_of, winner_of
from evoft.lineage.generations import generations_of, individuals_of, settings_of
from evoft.lineage.paths import Paths
from evoft.lineage.record import Record
from evoft.lineage.snapshot import read_snapshot
from evoft.places import place
from evoft.trial import Stage, Trial, TrialKey
from evoft.verdict import Verdict


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Population:
    """All that a run has found out so far; later writing does not change it.

    ``len(population)`` is the number of judged individuals, ``population[id]`` one of them.
    """

    #: The population file; None when there is none.
    path: Path | None
    header: Header
    #: Every finished trial, in no particular order.
    records: Mapping[TrialKey, Record]
    #: In the order in which they were reached.
    verdicts: tuple[Verdict, ...]
    #: Those that were judged, with their outcomes, in order of birth.  Where a lower rung's record
    #: was lost to damage, an outcome without fitness stands in its place.
    individuals: tuple[Individual, ...]
    #: The generations that are complete.
    generations: tuple[Generation, ...]
    #: The individual of the highest fitness on its highest rung; None when every trial failed.
    best: Individual | None
    #: Who won: by the last verdict; else by the final runs; else ``best``.
    winner: Individual | None
    #: Whether individuals are judged before they are trained in full.
    on_rungs: bool
    _by_id: Mapping[int, Individual]
    #: Epochs of a full training, as far as the settings say.
    _full: float | None

    @staticmethod
    def open(path: str | os.PathLike[str]) -> Population:
        """Read a population file and what its journal has beyond it; blocks nobody.

        Raises:
            PopulationFileError: There is no population, or one that cannot be used: damaged, of
                a newer evoft, or with the journal of another run (see errors.py).
            StorageError: The disk refused to read.
        """
        there = place(path)
        contents = read_snapshot(Paths.of(there)).contents
        return Population.of(contents.header, contents.records, contents.verdicts, there)

    @staticmethod
    def of(
        header: Header,
        records: Mapping[TrialKey, Record],
        verdicts: Sequence[Verdict] = (),
        path: str | os.PathLike[str] | None = None,
    ) -> Population:
        """Return the view of records that are in memory, as a running search has them."""
        individuals = individuals_of(records.values())
        by_id = {individual.id: individual for individual in individuals}
        best = best_of(individuals)
        settings = settings_of(header)
        full = settings.epochs(fine_tuning=bool(header.data)) if settings else None
        return Population(
            path=None if path is None else Path(path),
            header=header,
            records=MappingProxyType(dict(records)),
            verdicts=tuple(verdicts),
            individuals=individuals,
            generations=generations_of(records.values(), header, individuals),
            best=best,
            winner=_winner(by_id, header, records, verdicts) or best,
            on_rungs=any(_is_on_rungs(r.trial, full) for r in records.values() if r.birth),
            _by_id=MappingProxyType(by_id),
            _full=full,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return Population.of, (self.header, dict(self.records), self.verdicts, self.path)

    def __repr__(self) -> str:
        # All of its records would be pages in a notebook.
        place = "" if self.path is None else f"{str(self.path)!r}, "
        return (
            f"Population({place}individuals: {len(self)}, generations: {len(self.generations)}, "
            f"best: {named(self.best)})"
        )

    def __len__(self) -> int:
        return len(self.individuals)

    def __getitem__(self, id: int) -> Individual:
        """Return the individual with this id.

        Raises:
            PopulationFileError: There is none.
        """
        if id not in self._by_id:
            raise PopulationFileError(f"{self._name()} has no individual {id}: {self._range()}")
        return self._by_id[id]

    def __contains__(self, id: object) -> bool:
        """Tell whether there is a judged individual with this id."""
        return id in self._by_id

    def __iter__(self) -> Iterator[Individual]:
        """Go through the individuals in order of birth."""
        return iter(self.individuals)

    def recipe(self, id: int) -> Mapping[str, Any] | None:
        """Return what the trainer was asked to do for an individual in the search.

        Raises:
            PopulationFileError: There is no such individual.
        """
        return self.trials(id)[-1].recipe

    def trials(self, id: int) -> tuple[Record, ...]:
        """Return the trials of an individual in the search, one a rung, the lowest first.

        Raises:
            PopulationFileError: There is no such individual.
        """
        keys = [(Stage.SEARCH, id, rung) for rung in range(self[id].rung + 1)]
        return tuple(self.records[key] for key in keys if key in self.records)

    def epochs(self, trial: Trial) -> float | None:
        """Return the epochs that a trial trained in all; None where that is not known."""
        return self._full if trial.epochs is None else trial.epochs

    def finals(self, id: int) -> tuple[Record, ...]:
        """Return the final runs of an individual, in order of repeat; none if it was no finalist.

        Raises:
            PopulationFileError: There is no such individual.
        """
        self[id]
        own = [r for (stage, i, _), r in self.records.items() if stage is Stage.FINAL and i == id]
        return tuple(sorted(own, key=lambda record: record.trial.repeat))

    @property
    def finalists(self) -> list[Finalist]:
        """Those of whom a final run ended well, in order of birth."""
        return finalists_of(self.records.values(), self.header)

    def _name(self) -> str:
        return "this population" if self.path is None else str(self.path)

    def _range(self) -> str:
        if not self.individuals:
            return "it has none yet"
        first, last = self.individuals[0].id, self.individuals[-1].id
        gaps = "" if last - first + 1 == len(self) else ", some of them unfinished"
        return f"ids go from {first} to {last}{gaps}"


def _is_on_rungs(trial: Trial, full: float | None) -> bool:
    """Tell whether a trial of the search is one of several that judge an individual."""
    return trial.rung > 0 or trial.epochs not in (None, full)


def _winner(
    by_id: Mapping[int, Individual],
    header: Header,
    records: Mapping[TrialKey, Record],
    verdicts: Sequence[Verdict],
) -> Individual | None:
    if verdicts and verdicts[-1].winner in by_id:
        return by_id[verdicts[-1].winner]
    finalists = [one for one in finalists_of(records.values(), header) if one.id in by_id]
    winner = winner_of(finalists)
    return by_id[winner.id] if winner else None
