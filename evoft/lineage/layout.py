"""What the HDF5 part of a population file holds: every group and column, as it is written.

docs/population-file.md describes it for readers.  The same records give the same bytes: rows are
sorted, columns are made in a fixed order, and no times are kept.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from types import NoneType
from typing import Any

import h5py
import numpy as np
from numpy.typing import DTypeLike

from evoft.genome import Value
from evoft.individual import Individual
from evoft.lineage.columns import link, storable, write_numbers, write_text
from evoft.lineage.generations import generations_of, individuals_of
from evoft.lineage.journal import record_order
from evoft.lineage.plain import SCHEMA, VERDICT_NUMBERS, plain_verdict, to_text
from evoft.lineage.record import Contents, Record
from evoft.verdict import Verdict

_README = (
    "An evolutionary fine-tuning run by evoft: one dataset a column, one row an individual, trial, "
    "curve point, generation or verdict; read it with evoft.lineage.Population, h5py or pandas."
)
#: The header's parts that are kept as JSON, one dataset each.
HEADER_PARTS = ("settings", "space", "data", "backbones", "environment", "spaces_before")


def build(contents: Contents, userblock: int) -> bytes:
    """Return the HDF5 part of a population file.

    Args:
        contents: What it is to hold.
        userblock: Bytes that will stand before it.
    """
    records = sorted(contents.records.values(), key=record_order)
    individuals = individuals_of(records)
    # Of an individual on several rungs, that of the lowest, which its birth is taken from too.
    recipes = {r.trial.individual: r.recipe for r in reversed(records) if r.birth is not None}
    # In memory, and with the oldest format of HDF5, which every reader opens.
    with h5py.File(
        "population", "w", driver="core", backing_store=False, userblock_size=userblock
    ) as file:
        _write_header(file, contents)
        _write_individuals(file.create_group("individuals"), individuals, recipes)
        _write_trials(file.create_group("trials"), records, recipes)
        _write_curves(file.create_group("curves"), records)
        _write_generations(file.create_group("generations"), contents, individuals)
        _write_verdicts(file.create_group("verdicts"), contents.verdicts)
        file.flush()
        return bytes(file.id.get_file_image())


def _write_header(file: Any, contents: Contents) -> None:
    header = contents.header
    small = -(2**63) <= header.seed < 2**63
    file.attrs["format"] = "evoft-population"
    file.attrs["schema"] = SCHEMA
    file.attrs["readme"] = _README
    file.attrs["run_id"] = storable(header.run_id)
    file.attrs["created"] = storable(header.created)
    file.attrs["seed"] = header.seed if small else str(header.seed)
    group = file.create_group("header")
    # The attributes are for whoever looks; these are read back, for attributes have no checksum.
    run = {"run_id": header.run_id, "created": header.created, "seed": header.seed}
    write_text(group, "run", [to_text(run)])
    for name in HEADER_PARTS:
        write_text(group, name, [to_text(getattr(header, name))])


def _write_individuals(
    group: Any, individuals: Sequence[Individual], recipes: Mapping[int, Any]
) -> None:
    genomes = [i.genome for i in individuals]
    outcomes = [i.outcome for i in individuals if i.outcome is not None]
    _numbers(group, "id", (i.id for i in individuals), np.int64)
    _numbers(group, "generation", (i.generation for i in individuals), np.int32)
    for place in (0, 1):
        parents = (i.parents[place] if len(i.parents) > place else -1 for i in individuals)
        _numbers(group, f"parent_{place + 1}", parents, np.int64)
    write_text(group, "operator", [i.operator for i in individuals])
    _numbers(group, "step", (i.step for i in individuals), np.float64)
    _numbers(group, "price", (i.price for i in individuals), np.float64)
    write_text(group, "genome", [genome.to_json() for genome in genomes])
    write_text(group, "recipe", [_recipe_text(recipes[i.id]) for i in individuals])
    _numbers(group, "seed", (i.seed for i in individuals), np.int64)
    _numbers(group, "rung", (i.rung for i in individuals), np.int16)
    write_text(group, "status", [o.status.value for o in outcomes])
    _numbers(group, "fitness", (o.fitness for o in outcomes), np.float64)
    _numbers(group, "seconds", (o.seconds for o in outcomes), np.float64)
    _numbers(group, "peak_memory", (o.peak_memory for o in outcomes), np.int64)
    genes = group.create_group("genes")
    for gene in sorted(set().union(*genomes), key=link):
        _write_gene(genes, link(gene), [genome.get(gene) for genome in genomes])


def _write_gene(group: Any, name: str, values: Sequence[Value | None]) -> None:
    """Write one gene's column in the narrowest type that shows all its values."""
    kinds = set(map(type, values))
    whole = [value for value in values if isinstance(value, int)]
    if kinds <= {bool, NoneType}:
        _numbers(group, name, (-1 if v is None else v for v in values), np.int8)
    elif kinds == {int} and min(whole) >= -(2**63) and max(whole) < 2**63:
        _numbers(group, name, values, np.int64)
    elif str not in kinds and all(abs(number) < 2**1000 for number in whole):
        _numbers(group, name, (math.nan if v is None else v for v in values), np.float64)
    else:
        write_text(group, name, ["" if v is None else str(v) for v in values])


def _write_trials(group: Any, records: Sequence[Record], recipes: Mapping[int, Any]) -> None:
    outcomes = [record.outcome for record in records]
    trials = [record.trial for record in records]
    _write_keys(group, records)
    epochs = (math.nan if t.epochs is None else t.epochs for t in trials)
    _numbers(group, "epochs", epochs, np.float64)
    _numbers(group, "number", (t.number for t in trials), np.int64)
    _numbers(group, "generation", (t.generation for t in trials), np.int32)
    _numbers(group, "seed", (t.seed for t in trials), np.int64)
    write_text(group, "status", [o.status.value for o in outcomes])
    write_text(group, "reason", [o.reason for o in outcomes])
    _numbers(group, "fitness", (o.fitness for o in outcomes), np.float64)
    _numbers(group, "seconds", (o.seconds for o in outcomes), np.float64)
    _numbers(group, "peak_memory", (o.peak_memory for o in outcomes), np.int64)
    write_text(
        group, "metrics", [to_text(dict(o.metrics)) if o.metrics else "{}" for o in outcomes]
    )
    _numbers(group, "elapsed", (r.elapsed for r in records), np.float64)
    # A trial of the search has its individual's; a final run may have been asked for more, and a
    # later version may say more of a higher rung.
    write_text(group, "genome", ["" if r.birth else r.trial.genome.to_json() for r in records])
    write_text(group, "recipe", [_own_recipe_text(r, recipes) for r in records])


def _write_curves(group: Any, records: Sequence[Record]) -> None:
    rows = [(record, point) for record in records for point in record.outcome.curve]
    names = sorted({name for _, point in rows for name in point.metrics}, key=link)
    _write_keys(group, [record for record, _ in rows])
    _numbers(group, "epoch", (point.epoch for _, point in rows), np.float64)
    # Tells a metric that was not reported from one that was reported as NaN.
    reported = ["".join("01"[name in point.metrics] for name in names) for _, point in rows]
    write_text(group, "reported", reported)
    metrics = group.create_group("metrics")
    for name in names:
        values = (point.metrics.get(name, math.nan) for _, point in rows)
        _numbers(metrics, link(name), values, np.float64)


def _write_keys(group: Any, records: Sequence[Record]) -> None:
    write_text(group, "stage", [r.trial.stage.value for r in records])
    _numbers(group, "individual", (r.trial.individual for r in records), np.int64)
    _numbers(group, "repeat", (r.trial.repeat for r in records), np.int64)
    _numbers(group, "rung", (r.trial.rung for r in records), np.int16)


def _write_generations(group: Any, contents: Contents, individuals: Sequence[Individual]) -> None:
    generations = generations_of(contents.records.values(), contents.header, individuals)
    best = [g.best_so_far for g in generations]
    scores = [g.scores for g in generations]
    _numbers(group, "index", (g.index for g in generations), np.int64)
    _numbers(group, "births", (len(g.individuals) for g in generations), np.int64)
    _numbers(group, "continued", (len(g.continued) for g in generations), np.int64)
    _numbers(group, "ended_well", map(len, scores), np.int64)
    _numbers(group, "best_id", (b.id if b else -1 for b in best), np.int64)
    _numbers(group, "best_fitness", (b.score if b else math.nan for b in best), np.float64)
    for name, measure in (
        ("mean_fitness", statistics.fmean),
        ("std_fitness", statistics.pstdev),
        ("median_fitness", statistics.median),
    ):
        values = (measure(s) if s else math.nan for s in scores)
        _numbers(group, name, values, np.float64)


def _write_verdicts(group: Any, verdicts: Sequence[Verdict]) -> None:
    rows = [plain_verdict(verdict) for verdict in verdicts]
    for name in VERDICT_NUMBERS:
        _numbers(group, name, (row[name] for row in rows), np.int64)
    if any(verdict.by_class for verdict in verdicts):
        write_text(group, "by_class", [to_text(row.get("by_class", [])) for row in rows])


def _numbers(group: Any, name: str, values: Iterable[Any], dtype: DTypeLike) -> None:
    write_numbers(group, name, np.fromiter(values, dtype))


def _own_recipe_text(record: Record, recipes: Mapping[int, Any]) -> str:
    """Return a trial's recipe; nothing where its individual's says it all."""
    if record.birth is None:
        return _recipe_text(record.recipe)
    known = recipes[record.trial.individual]
    if record.recipe is known:
        return ""
    text = _recipe_text(record.recipe)
    return "" if text == _recipe_text(known) else text or "null"


def _recipe_text(recipe: Mapping[str, Any] | None) -> str:
    return "" if recipe is None else to_text(dict(recipe))
