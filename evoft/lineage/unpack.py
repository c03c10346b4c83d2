"""Reads the HDF5 part of a population file back into records.

Only what is not computed from something else is read: not ``/generations``, not ``/individuals``'
outcomes (they are in ``/trials``), not the columns of single genes.  Columns that are not there are
those of an older schema.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import h5py

from evoft.genome import Genome
from evoft.header import Header
from evoft.individual import Individual
from evoft.lineage.columns import read_numbers, read_text, unlink
from evoft.lineage.layout import HEADER_PARTS
from evoft.lineage.plain import VERDICT_NUMBERS, counts_of, header_of
from evoft.lineage.record import Contents, Record
from evoft.outcome import CurvePoint, Outcome, Status
from evoft.trial import Stage, Trial, TrialKey
from evoft.verdict import Verdict

_Curves = Mapping[TrialKey, Sequence[CurvePoint]]
_Recipe = Mapping[str, Any] | None


def unpack(data: bytes) -> Contents:
    """Return what a whole population file holds.

    Args:
        data: The file, its bytes known to be as they were written.  Otherwise HDF5 may raise
            anything, read something else or never return.
    """
    with h5py.File(io.BytesIO(data), "r") as file:
        header = _header(file["header"])
        births, recipes = _births(file["individuals"])
        curves = _curves(file["curves"])
        records = _records(file["trials"], births, recipes, curves)
        return Contents(header, records, _verdicts(file["verdicts"]))


def _header(group: Any) -> Header:
    run = json.loads(read_text(group, "run")[0])
    parts = {name: json.loads(read_text(group, name)[0]) for name in HEADER_PARTS if name in group}
    return header_of({**run, **parts})


def _births(group: Any) -> tuple[dict[int, Individual], dict[int, _Recipe]]:
    births: dict[int, Individual] = {}
    recipes: dict[int, _Recipe] = {}
    numbers = [
        read_numbers(group, name) for name in ("id", "generation", "parent_1", "parent_2", "seed")
    ]
    # An earlier evoft's file has no steps, or no prices: then all epochs cost the same.
    count = len(numbers[0])
    steps = read_numbers(group, "step") if "step" in group else [0.0] * count
    prices = read_numbers(group, "price") if "price" in group else [1.0] * count
    texts = [read_text(group, name) for name in ("operator", "genome", "recipe")]
    for row in zip(*numbers, steps, prices, *texts, strict=True):
        number, generation, parent_1, parent_2, seed, step, price, operator, genome, recipe = row
        parents = tuple(parent for parent in (parent_1, parent_2) if parent >= 0)
        births[number] = Individual(
            number,
            generation,
            parents,
            operator,
            Genome.from_json(genome),
            seed,
            step=step,
            price=price,
        )
        recipes[number] = _recipe(recipe)
    return births, recipes


def _records(
    group: Any,
    births: Mapping[int, Individual],
    recipes: Mapping[int, _Recipe],
    curves: _Curves,
) -> dict[TrialKey, Record]:
    records: dict[TrialKey, Record] = {}
    names = ("fitness", "seconds", "peak_memory", "elapsed")
    numbers = [read_numbers(group, name) for name in names]
    texts = [read_text(group, name) for name in ("status", "reason", "metrics", "recipe")]
    for trial, *row in zip(_trials(group, births), *numbers, *texts, strict=True):
        fitness, seconds, peak_memory, elapsed, status, reason, metrics, recipe = row
        curve = tuple(curves.get(trial.key, ()))
        outcome = Outcome(
            Status(status), fitness, reason, curve, json.loads(metrics), seconds, peak_memory
        )
        birth = births[trial.individual] if trial.stage is Stage.SEARCH else None
        asked = _recipe(recipe) if recipe or birth is None else recipes[trial.individual]
        records[trial.key] = Record(trial, outcome, birth, asked, elapsed)
    return records


def _trials(group: Any, births: Mapping[int, Individual]) -> list[Trial]:
    seeds, genomes = read_numbers(group, "seed"), read_text(group, "genome")
    trials = []
    for key, asked, seed, genome in zip(
        _keys(group), _asked(group, births), seeds, genomes, strict=True
    ):
        stage, individual, turn = key
        searched = stage is Stage.SEARCH
        epochs, number, generation = asked
        trials.append(
            Trial(
                individual,
                births[individual].genome if searched else Genome.from_json(genome),
                seed,
                stage,
                repeat=0 if searched else turn,
                rung=turn if searched else 0,
                epochs=None if math.isnan(epochs) else epochs,
                number=number,
                generation=generation,
            )
        )
    return trials


def _asked(group: Any, births: Mapping[int, Individual]) -> list[tuple[float, int, int]]:
    """Return of each trial how many epochs it was asked for, as which one and when."""
    if "number" in group:
        columns = [read_numbers(group, name) for name in ("epochs", "number", "generation")]
        return list(zip(*columns, strict=True))
    # In schema 1 there was one rung, and whoever was asked for was born.
    return [
        (math.nan, individual, births[individual].generation)
        if stage is Stage.SEARCH
        else (math.nan, 0, 0)
        for stage, individual, _ in _keys(group)
    ]


def _curves(group: Any) -> dict[TrialKey, list[CurvePoint]]:
    curves: dict[TrialKey, list[CurvePoint]] = {}
    metrics = group["metrics"]
    # In the order of the characters of `reported`.
    columns = [(unlink(name), read_numbers(metrics, name)) for name in sorted(metrics)]
    present: dict[str, list[tuple[str, list[float]]]] = {}
    rows = zip(
        _keys(group), read_numbers(group, "epoch"), read_text(group, "reported"), strict=True
    )
    for row, (key, epoch, reported) in enumerate(rows):
        if reported not in present:
            present[reported] = [
                column for column, mark in zip(columns, reported, strict=True) if mark == "1"
            ]
        values = {name: column[row] for name, column in present[reported]}
        curves.setdefault(key, []).append(CurvePoint(epoch, values))
    return curves


def _keys(group: Any) -> list[TrialKey]:
    stages = {stage.value: stage for stage in Stage}
    repeats = read_numbers(group, "repeat")
    rungs = read_numbers(group, "rung") if "rung" in group else [0] * len(repeats)
    return [
        (stages[stage], individual, rung if stages[stage] is Stage.SEARCH else repeat)
        for stage, individual, repeat, rung in zip(
            read_text(group, "stage"),
            read_numbers(group, "individual"),
            repeats,
            rungs,
            strict=True,
        )
    ]


def _verdicts(group: Any) -> tuple[Verdict, ...]:
    columns = [read_numbers(group, name) for name in VERDICT_NUMBERS]
    verdicts = tuple(Verdict(*row) for row in zip(*columns, strict=True))
    if "by_class" not in group:
        return verdicts
    texts = read_text(group, "by_class")
    return tuple(
        replace(verdict, by_class=counts_of(json.loads(text)))
        for verdict, text in zip(verdicts, texts, strict=True)
    )


def _recipe(text: str) -> _Recipe:
    recipe: _Recipe = json.loads(text) if text else None
    return recipe
