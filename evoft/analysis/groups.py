"""Populations that are runs of one thing with several seeds, and what sets the groups apart."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from evoft.analysis.metric import metric_of, words_of
from evoft.errors import NoResultError, PopulationMismatchError, SettingsError
from evoft.lineage import Population, Record
from evoft.settings import Settings
from evoft.trial import Stage

#: Settings that runs of one thing may have each its own: where its data lie, how long it goes on.
_OWN = {"training.data", "search.generations"}
#: The longest that a value may be to stand in a label.
_SHORT = 20


@dataclass(frozen=True, slots=True)
class Group:
    """Populations that differ in nothing but the seed, or that the user has put together."""

    label: str
    populations: tuple[Population, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seed of each."""
        return tuple(population.header.seed for population in self.populations)


def grouped(
    populations: Sequence[Population], labels: Sequence[tuple[str, str]] = ()
) -> tuple[Group, ...]:
    """Return the populations in groups, in the order in which they are given.

    Args:
        populations: Each read from a file.
        labels: Names of groups, and a pattern of each for its files' paths or names.  What no
            pattern fits is grouped by its settings.

    Raises:
        PopulationMismatchError: Their fitness cannot be compared.
        NoResultError: No trial of one of them has ended well.
        SettingsError: A population is named twice, or a pattern fits none.
    """
    _check(populations)
    chosen: dict[str, list[Population]] = {name: [] for name, _ in labels}
    rest: dict[str, list[Population]] = {}
    for population in populations:
        label = next((name for name, glob in labels if _fits(population, glob)), None)
        if label is not None:
            chosen[label].append(population)
        else:
            rest.setdefault(json.dumps(_settled(population), sort_keys=True), []).append(population)
    if empty := [name for name, members in chosen.items() if not members]:
        raise SettingsError(f"no file that is compared fits the pattern of the label {empty[0]!r}")
    names = _labels([members[0] for members in rest.values()], alone=not labels)
    chosen |= dict(zip(names, rest.values(), strict=True))
    return tuple(Group(label, tuple(members)) for label, members in chosen.items())


def notes_on(groups: Sequence[Group]) -> list[str]:
    """Return what a reader should know of these groups, a sentence each."""
    notes = []
    for group in groups:
        if inside := _differences(group.populations):
            notes.append(f"the populations of {group.label} differ in {', '.join(inside)}")
        if len(set(group.seeds)) < len(group.seeds):
            notes.append(
                f"{group.label} has a seed twice: runs of one seed are no two measurements"
            )
    if said := _data_note([one for group in groups for one in group.populations]):
        notes.append(said)
    between = _differences([group.populations[0] for group in groups])
    if len(between) > 1 or "space" in between:
        notes.append(f"the groups differ in {', '.join(between)}: all of that is compared at once")
    return notes


def _name(population: Population) -> str:
    return str(population.path)


def _fits(population: Population, glob: str) -> bool:
    name = _name(population)
    return fnmatch(name, glob) or fnmatch(Path(name).name, glob)


def _check(populations: Sequence[Population]) -> None:
    seen: dict[str, Population] = {}
    for population in populations:
        if other := seen.get(population.header.run_id):
            raise SettingsError(
                f"{_name(other)} and {_name(population)} are one population: name each once"
            )
        seen[population.header.run_id] = population
        # What counts is the best so far, of which also a trial on a lower rung is the evidence.
        if not any(_is_good(record) for record in population.records.values()):
            raise NoResultError(
                f"no trial in {_name(population)} has ended well yet: there is nothing to compare"
            )
        _check_pair(populations[0], population)


def _is_good(record: Record) -> bool:
    return record.trial.stage is Stage.SEARCH and record.outcome.score > -math.inf


def _check_pair(one: Population, other: Population) -> None:
    names = f"{_name(one)} and {_name(other)}"
    if bool(one.header.data) != bool(other.header.data):
        raise PopulationMismatchError(
            f"{names} cannot be compared: one is of fine-tuning, one of a fitness of its own"
        )
    if (mine := metric_of(one)) != (theirs := metric_of(other)):
        raise PopulationMismatchError(
            f"{names} cannot be compared: the fitness of one is {words_of(mine)}, that of the "
            f"other {words_of(theirs)}"
        )
    if not _same_data(one.header.data, other.header.data):
        raise PopulationMismatchError(
            f"{names} are of different data ({_data(one)}; {_data(other)}), so that their fitness "
            "cannot be compared: compare populations of one data set"
        )


def _same_data(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Tell whether two data sets are one, though each seed splits it in another way."""
    if not one:
        return True
    if list(one["classes"]) != list(other["classes"]):
        return False
    if one.get("content") is not None and one["content"] == other.get("content"):
        return True
    return one["name"] == other["name"] or _images(one) == _images(other)


def _same_images(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool | None:
    """Tell whether two data sets hold the same labelled images; None: an old file cannot tell."""
    if one["fingerprint"] == other["fingerprint"]:
        return True
    contents = one.get("content"), other.get("content")
    return None if None in contents else contents[0] == contents[1]


def _data_note(populations: Sequence[Population]) -> str | None:
    """Return a sentence on data that are taken for one data set, and perhaps are not."""
    first, *others = populations
    if not first.header.data:
        return None
    for same, told in (
        (False, "{} are not of the same images"),
        (None, "whether {} are of the same images is not in these files"),
    ):
        doubtful = [p for p in others if _same_images(first.header.data, p.header.data) is same]
        if doubtful:
            one, other = first.header.data, doubtful[0].header.data
            names = f"{_name(first)} and {_name(doubtful[0])}"
            if len(doubtful) > 1:
                names = f"{_name(first)}, {_name(doubtful[0])} and {len(doubtful) - 1} more"
            why = (
                f"name, {one['name']}"
                if one["name"] == other["name"]
                else f"number of images, {_images(one)}"
            )
            return f"{told.format(names)}: they are taken for one data set by their {why}"
    return None


def _images(data: Mapping[str, Any]) -> int:
    return sum(data["splits"].values())


def _data(population: Population) -> str:
    data = population.header.data
    return f"{data['name']}: {_images(data)} images of {len(data['classes'])} classes"


def _settled(population: Population) -> dict[str, Any]:
    """Return all that was set but for the seed and how the run is carried out, by its name."""
    settings = Settings.of_file(population.header.settings).to_dict()
    flat = {
        f"{table}.{name}": value
        for table in ("search", "training")
        for name, value in settings[table].items()
    }
    flat = {name: value for name, value in flat.items() if name not in _OWN}
    if not population.header.data:
        flat = {name: value for name, value in flat.items() if name.startswith("search.")}
    return {
        **flat,
        "fixed": settings["fixed"],
        "founders": settings["founders"],
        "space": dict(population.header.space),
    }


def _differences(populations: Iterable[Population]) -> list[str]:
    """Return the names of what is not set alike in all of them."""
    first, *others = [_settled(population) for population in populations]
    return [
        name
        for name in first
        if any(_text(first[name]) != _text(other.get(name)) for other in others)
    ]


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _labels(firsts: Sequence[Population], *, alone: bool) -> list[str]:
    """Return a label for each group: what sets it apart if that is little, else a file's name.

    Args:
        firsts: The first population of each.
        alone: Whether there are no other groups.
    """
    apart = _differences(firsts) if alone and len(firsts) > 1 else []
    texts = [
        ", ".join(f"{name.rpartition('.')[2]} {_text(_settled(p)[name])}" for name in apart)
        for p in firsts
    ]
    if apart and len(apart) <= 2 and max(map(len, texts)) <= _SHORT * len(apart):
        return texts
    stems = [Path(_name(population)).stem for population in firsts]
    return stems if len(set(stems)) == len(stems) else [_name(p) for p in firsts]
