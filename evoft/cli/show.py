"""``evoft show``: what a population holds, or one of its individuals."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from evoft.analysis.at_bounds import at_bounds_sentences
from evoft.analysis.largest_class import largest_class_of
from evoft.analysis.pareto import Front, front_of
from evoft.analysis.report import report_of
from evoft.analysis.report_data import metrics_of
from evoft.analysis.rungs import agreement_lines, agreement_rows, neighbours_of
from evoft.analysis.sentences import accuracy_rows, readings_sentence, result_sentences
from evoft.cli.curve_rows import all_rows, repeat_of, rows_of, rung_of
from evoft.cli.output import (
    counted,
    duration,
    emit,
    emit_json,
    format_option,
    gene_text,
    short,
    table,
)
from evoft.cli.values import PATH
from evoft.errors import SettingsError
from evoft.individual import Individual
from evoft.lineage import Population, Record, changes_between, expressed, told_of_fallen
from evoft.quantities import count_text, fitness_text, moment_text, size_text


@click.command("show", short_help="Show all individuals, or one with its learning curve.")
@click.argument("file", type=PATH)
@click.argument("id", type=int, required=False)
@click.option("--top", type=click.IntRange(min=1), help="Only the best so many, best first.")
@click.option("--generations", is_flag=True, help="The generations instead of the individuals.")
@click.option(
    "--pareto", is_flag=True, help="Only those whom no other dominates in the objectives."
)
@click.option("--rungs", is_flag=True, help="How the rungs agree on whom to rank where.")
@click.option(
    "--curves", is_flag=True, help="All learning curves, epoch by epoch; with ID those of one."
)
@format_option
def show_command(
    file: Path,
    id: int | None,
    top: int | None,
    generations: bool,
    pareto: bool,
    rungs: bool,
    curves: bool,
    form: str,
) -> None:
    """Show the population in FILE, or its individual ID with its learning curve."""
    asked = (id is not None and not curves, top is not None, generations, pareto, rungs, curves)
    if sum(asked) > 1:
        raise SettingsError(
            "`evoft show` takes one of ID, --top, --generations, --pareto and --rungs, and "
            "--curves alone or with ID"
        )
    population = Population.open(file)
    if curves:
        emit(all_rows(population, id), form)
        return
    if id is not None:
        _show_individual(population, id, form)
        return
    if form == "table":
        click.echo(_summary(population))
        click.echo()
    if rungs:
        emit(agreement_rows(neighbours_of(population)), form)
    elif generations:
        emit(_generations(population), form)
    elif pareto:
        emit(_front(population, front_of(population), form), form)
    else:
        emit(_individuals(population, top, form), form)


def _summary(population: Population) -> str:
    header, best = population.header, population.best
    done = max((record.elapsed for record in population.records.values()), default=0.0)
    lines = [
        f"{counted(len(population), 'individual')}{_count_of_trials(population)}, "
        f"{counted(len(population.generations), 'complete generation')}, "
        f"{duration(done)} of running, made {header.created} with seed {header.seed}"
    ]
    if header.data:
        splits = ", ".join(f"{n} {split}" for split, n in header.data["splits"].items())
        models = ", ".join(facts["model"] for facts in header.backbones)
        lines.append(f"data {header.data['name']} ({splits}), backbone {models}")
    if best is not None:
        shares = largest_class_of(population)
        nothing = f" (always saying the largest class: {shares['val']:.4f})" if shares else ""
        fitness = fitness_text(best.fitness)
        lines.append(f"best in the search: #{best.id} with fitness {fitness}{nothing}")
    elif len(population):
        fallen = told_of_fallen(population)
        why = f"none is left: {fallen}" if fallen else "none, for all have failed"
        lines.append(f"best in the search: {why}")
    lines += agreement_lines(neighbours_of(population))
    report = report_of(population)
    if report is not None:
        columns = ("", f"best (#{report.winner.id})", "default")
        lines += ["", table(columns, accuracy_rows(report)), *result_sentences(report)]
        if report.readings > 1:
            lines.append(readings_sentence(report))
    lines += at_bounds_sentences(population, population.path)
    for before in header.spaces_before:
        lines.append(
            f"the space was another one for the first {counted(before['trials'], 'trial')}"
        )
    return "\n".join(lines)


def _count_of_trials(population: Population) -> str:
    if not population.on_rungs:
        return ""
    return f" in {sum(record.birth is not None for record in population.records.values())} trials"


def individual_row(population: Population, individual: Individual) -> dict[str, Any]:
    """Return an individual as one row, as it was judged on its highest rung."""
    outcome = individual.outcome
    return {
        "id": individual.id,
        "generation": individual.generation,
        "operator": individual.operator,
        "parents": individual.parents,
        **_rung(population, population.trials(individual.id)[-1]),
        "status": str(outcome.status) if outcome else None,
        "fitness": individual.fitness,
        "seconds": outcome.seconds if outcome else None,
        "peak_memory": outcome.peak_memory if outcome else None,
    }


def facts_of(row: Mapping[str, Any], more: Mapping[str, Any]) -> str:
    """Return an individual's row, and what else is known of it, below each other for people.

    The epochs that it was trained for stand with those of its recipe, in one line.
    """
    facts = [(name, short(_told(name, value))) for name, value in row.items()]
    others = {name: short(value) for name, value in more.items()}
    if "epochs" in row and (full := others.pop("epochs", None)) is not None:
        trained = short(row["epochs"])
        of_full = trained if trained == full else f"{trained} of {full}"
        facts = [(name, of_full if name == "epochs" else told) for name, told in facts]
    return table(("", ""), [*facts, *others.items()]).lstrip()


def _told(name: str, value: Any) -> Any:
    """Return what was measured in the unit in which people speak of it."""
    units: dict[str, Callable[[Any], str]] = {
        "peak_memory": size_text, "parameters": count_text, "latency": moment_text,
    }  # fmt: skip
    if name not in units:
        return value
    return units[name](value) if value and math.isfinite(value) else None


def _rung(population: Population, record: Record) -> dict[str, Any]:
    """Return a trial's rung and its epochs in all; nothing where everybody is trained in full."""
    if not population.on_rungs:
        return {}
    return {"rung": record.trial.rung, "epochs": population.epochs(record.trial)}


def _individuals(population: Population, top: int | None, form: str) -> list[dict[str, Any]]:
    """Return the rows: genes as columns for programs, what differs from #0 for people."""
    chosen = list(population)
    if top is not None:
        chosen = sorted(chosen, key=lambda i: (-i.score, i.id))[:top]
    if form != "table":
        return [
            individual_row(population, i) | {f"gene.{k}": v for k, v in i.genome.items()}
            for i in chosen
        ]
    rows = []
    for individual in chosen:
        row = individual_row(population, individual) | {
            "differs_from_0": _differences(population, individual)
        }
        del row["peak_memory"]
        rows.append(row)
    return rows


def _front(population: Population, front: Front, form: str) -> list[dict[str, Any]]:
    """Return a front as rows: genes as columns for programs, what differs from #0 for people."""
    rows = []
    for individual in front.individuals:
        row: dict[str, Any] = {"id": individual.id, "generation": individual.generation}
        measured = front.values(individual)
        if form == "table":
            row |= {name: _told(name, value) for name, value in measured.items()}
            row["differs_from_0"] = _differences(population, individual)
        else:
            row |= measured
            row |= {f"gene.{name}": value for name, value in individual.genome.items()}
        rows.append(row)
    return rows


def _differences(population: Population, individual: Individual) -> str | None:
    changes = changes_between(
        expressed(population, next(iter(population))), expressed(population, individual)
    )
    shown = ", ".join(f"{c.gene} {gene_text(c.gene, c.after)}" for c in changes[:4])
    more = f" and {len(changes) - 4} more" if len(changes) > 4 else ""
    return shown + more or None


def _generations(population: Population) -> list[dict[str, Any]]:
    rows = []
    for generation in population.generations:
        scores, best = generation.scores, generation.best_so_far
        rows.append(
            {
                "generation": generation.index,
                "births": len(generation.individuals),
                **({"continued": len(generation.continued)} if population.on_rungs else {}),
                "ended_well": len(scores),
                "best_so_far": best.fitness if best else None,
                "best_id": best.id if best else None,
                "best": max(scores, default=None),
                "mean": sum(scores) / len(scores) if scores else None,
            }
        )
    return rows


def _show_individual(population: Population, id: int, form: str) -> None:
    individual, trials = population[id], population.trials(id)
    curve = rows_of(trials, rung_of(population))
    if form == "csv":
        emit(curve, form)
        return
    recipe, reason = population.recipe(id), trials[-1].outcome.reason
    climbed = [_trial(population, trial) for trial in trials] if population.on_rungs else []
    repeated = population.finals(id)
    finals = [_final(final) for final in repeated]
    if form == "json":
        report = report_of(population)
        emit_json(
            individual_row(population, individual)
            | {
                "reason": reason,
                "seed": individual.seed,
                "genome": dict(individual.genome),
                "recipe": recipe,
                **({"step": individual.step, "trials": climbed} if climbed else {}),
                "curve": curve,
                "finals": [
                    row | {"curve": rows_of([final], lambda _: {})}
                    for row, final in zip(finals, repeated, strict=True)
                ],
                "report": metrics_of(report) if report and report.winner.id == id else None,
            }
        )
        return
    row = individual_row(population, individual) | {"reason": reason or None}
    click.echo(facts_of(row, recipe or dict(individual.genome)))
    for title, rows in (
        ("\nIts trials, one a rung:", climbed),
        ("", curve),
        ("\nFinal runs with fresh seeds:", finals),
        ("", rows_of(repeated, repeat_of)),
    ):
        if rows:
            click.echo(title)
            emit(rows, form)


def _trial(population: Population, record: Record) -> dict[str, Any]:
    return {
        **_rung(population, record),
        "number": record.trial.number,
        "generation": record.trial.generation,
        "status": str(record.outcome.status),
        "fitness": record.outcome.fitness,
        "seconds": record.outcome.seconds,
    }


def _final(record: Record) -> dict[str, Any]:
    return {
        "repeat": record.trial.repeat,
        "seed": record.trial.seed,
        "status": str(record.outcome.status),
        "fitness": record.outcome.fitness,
        "seconds": record.outcome.seconds,
    }
