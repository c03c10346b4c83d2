"""What a run prints: its progress, and at its end what it found."""

from __future__ import annotations

import logging
import math
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from evoft.analysis.at_bounds import at_bounds_sentences
from evoft.analysis.card import model_card, model_metrics
from evoft.analysis.report import report_of
from evoft.analysis.rungs import agreement_lines
from evoft.analysis.sentences import (
    comparison_rows,
    optimism_sentence,
    readings_sentence,
    result_sentences,
)
from evoft.cli.output import counted, duration, table
from evoft.cli.plan_text import plan_text
from evoft.errors import StorageError, WorkerError
from evoft.fine_tuning import FineTuning
from evoft.fine_tuning.outputs import (
    is_export,
    require_apart_from_images,
    require_apart_from_population,
    require_free,
)
from evoft.fine_tuning.preparation import Progress
from evoft.individual import Generation
from evoft.outcome import Outcome, Status
from evoft.trial import Stage, Trial
from evoft.verdict import Verdict


def _between_drawings() -> float:
    """Return the seconds between two drawings of a bar: many where they pile up in a log."""
    return 0.1 if sys.stderr.isatty() else 60.0


@contextmanager
def images_bars() -> Iterator[Progress]:
    """Yield what shows how far a pass over all images is, once it takes more than a moment."""
    bars: list[tqdm[Any]] = []

    def show(what: str, done: int, total: int) -> None:
        # Made only now, for what comes before the pass is not to count as a part of it.
        if not bars:
            seldom = _between_drawings()
            bars.append(
                tqdm(
                    desc=what, unit="image", leave=False, delay=max(seldom, 1.0), total=total,
                    mininterval=seldom, maxinterval=max(seldom, 10.0),
                )
            )  # fmt: skip
        bars[0].update(done - bars[0].n)
        if done == total:  # what is said before the next pass stands in a line of its own
            bars.pop().close()

    try:
        yield show
    finally:
        for bar in bars:
            bar.close()


@contextmanager
def at_a_stop(said: str) -> Iterator[None]:
    """Say what a stop leaves behind that comes while there is no run to be gone on with."""
    try:
        yield
    except Exception:
        raise
    except BaseException:  # Ctrl-C, or a signal to end
        click.echo(f"\n{said}.", err=True)
        raise


def require_output(file: Path, output: Path | None, data: str, *, new: bool) -> None:
    """Refuse, before anything is trained, to export the best model where something else is.

    Without ``output`` it takes the place of what was exported beside the file earlier.

    Args:
        file: The population file.
        output: Where the model is to go; None: beside the file.
        data: Where the images are.
        new: Whether the population is still to be made.

    Raises:
        StorageError: Something else is there, or is going to be.
    """
    if output is not None or not is_export(_beside(file)):
        require_free(output or _beside(file))
    require_apart_from_population(output or _beside(file), file)
    require_apart_from_images(output or _beside(file), file, data, new=new)


def _beside(file: Path) -> Path:
    return file.parent / f"{file.stem}.best"  # also of `.`, which is refused with a sentence later


def run_to_the_end(run: FineTuning, output: Path | None) -> None:
    """Run the search, the finals and the test, export the best model, and say what was found."""
    file = run.plan.file
    folder = output or _beside(file)
    with run:
        click.echo(plan_text(run.plan, run.seconds_left()))
        try:
            _search(run)
            verdict = run.judge()
            _export(run, verdict, folder)
        except BaseException as stop:
            # Of the errors those that have nothing to do with what was trained.
            of_the_machine = isinstance(stop, StorageError | WorkerError | OSError)
            if of_the_machine or not isinstance(stop, Exception):
                trials = counted(len(run.evolution.ledger.records), "trial")
                are = "is" if trials == "1 trial" else "are"
                click.echo(
                    f"\nStopped; {trials} {are} safe in {file}. Go on with:\n"
                    f"  evoft resume {_resuming(file, output)}",
                    err=True,
                )
            raise
    click.echo(end_text(run, folder))


def _resuming(file: Path, output: Path | None) -> str:
    where = "" if output is None else f" --output {shlex.quote(str(output))}"
    return shlex.quote(str(file)) + where


@contextmanager
def trials_bar(total: float | None, done: float, unit: str, *, scale: bool) -> Iterator[tqdm[Any]]:
    """Yield the bar of a run; what is warned of meanwhile stands in lines of its own above it."""
    seldom = _between_drawings()
    bar = tqdm(
        total=total, initial=done, unit=unit, unit_scale=scale, desc="trials",
        mininterval=seldom, maxinterval=max(seldom, 10.0),
    )  # fmt: skip
    with bar, logging_redirect_tqdm([logging.getLogger("evoft")]):
        yield bar


def _search(run: FineTuning) -> None:
    """Run search and finals under a progress bar, a line for each generation."""
    evolution, births = run.evolution, run.plan.settings.search.births
    total = None if births is None else births + run.plan.final_runs
    done = sum(_size(run, record.trial) for record in evolution.ledger.records.values())
    unit = "full training" if run.plan.ladder.top else "trial"
    with trials_bar(total, done, unit, scale=run.plan.ladder.top > 0) as bar:

        def observe(trial: Trial, outcome: Outcome) -> None:
            best = evolution.best
            words = f"best {best.fitness:.4f} (#{best.id})" if best else "no best yet"
            bar.set_postfix_str(words, refresh=False)
            bar.update(_size(run, trial))
            if outcome.status is not Status.OK:
                name = "final run of" if trial.stage is Stage.FINAL else "individual"
                tqdm.write(f"{name} {trial.individual}: {outcome.status}: {outcome.reason}")

        for generation in run.generations(observe):
            words = generation_words(generation, on_rungs=run.plan.ladder.top > 0)
            tqdm.write(f"generation {generation.index}: {words}, {_left(run)}")
        bar.total = bar.n + run.final_runs()
        bar.refresh()
        run.finals(observe)


def _size(run: FineTuning, trial: Trial) -> float:
    """Return how far a trial moves the progress bar: by its cost, or by one where all cost one."""
    return run.evolution.cost(trial) if run.plan.ladder.top else 1


def generation_words(generation: Generation, *, on_rungs: bool) -> str:
    """Return what came of a generation: births, who was continued, the best so far, the mean."""
    words = []
    if on_rungs:
        words.append(f"{len(generation.individuals)} born, {len(generation.continued)} continued")
    best, scores = generation.best_so_far, generation.scores
    # Only who ended well is continued: whoever was the best has fallen on a higher rung then.
    none = "no best left" if generation.continued else "no best yet"
    words.append(f"best so far {best.fitness:.4f} (#{best.id})" if best else none)
    if generation.individuals:
        words.append(f"mean {sum(scores) / len(scores):.4f}" if scores else "all failed")
    return ", ".join(words)


def _left(run: FineTuning) -> str:
    left = run.seconds_left()
    return "open end" if left is None else f"about {duration(left)} left"


def _export(run: FineTuning, verdict: Verdict, folder: Path) -> None:
    population = run.evolution.population
    key = verdict.winner_run
    card, metrics = model_card(population, key), model_metrics(population, key)
    run.export(folder, key, card, metrics, replace=folder == _beside(run.plan.file))


def end_text(run: FineTuning, folder: Path) -> str:
    """Return what the run found and how to go on, for people."""
    report = report_of(run.evolution.population)
    assert report is not None
    default = f"default (#{report.default.id})" if report.default else "default"
    columns = ("", f"best (#{report.winner.id})", default)
    file = run.plan.file
    quoted, model = shlex.quote(str(file)), shlex.quote(str(folder))
    data = shlex.quote(run.plan.settings.training.data)
    return "\n".join(
        [
            "",
            table(columns, comparison_rows(report)),
            "",
            *result_sentences(report),
            optimism_sentence(report),
            *at_bounds_sentences(run.evolution.population, file),
            *([readings_sentence(report)] if report.readings > 1 else []),
            *_why_it_ended(run),
            "",
            *agreement_lines(report.rungs),
            f"model        {folder}",
            f"population   {file}",
            "",
            "Go on with:",
            f"  evoft predict {model} IMAGE...",
            f"  evoft evaluate {model} {data}",
            f"  evoft lineage {quoted}",
            f"  evoft show {quoted}{_front(run)}",
            f"  evoft refit {quoted} {_longer(run)}",
            *([] if run.evolution.search.none_left else [f"  evoft resume {quoted} {_more(run)}"]),
        ]
    )


def _why_it_ended(run: FineTuning) -> list[str]:
    search, budget = run.evolution.search, run.plan.settings.run.budget
    said = []
    if search.none_left:
        said.append("Nothing is left to try: the strategy has no recipe that was not trained.")
    left = 0 if budget is None else run.final_runs()
    if budget is not None and (left or not (run.evolution.ended or search.none_left)):
        out = f", which leaves out {counted(left, 'final run')}" if left else ""
        spent = f"The budget of {duration(budget)} over the life of the population is spent{out}."
        said.append(spent)
    return said


def _longer(run: FineTuning) -> str:
    """Return the arguments that train the best recipe for longer."""
    file, epochs = run.plan.file, run.plan.settings.training.epochs
    return f"{shlex.quote(str(file.with_suffix('.refit')))} --epochs {3 * epochs}"


def _front(run: FineTuning) -> str:
    return " --pareto" if len(run.plan.settings.search.objectives) > 1 else ""


def _more(run: FineTuning) -> str:
    settings = run.plan.settings
    out_of_time = settings.run.budget is not None and run.final_runs() > 0
    if run.evolution.ended and settings.search.generations is not None and not out_of_time:
        had = len(run.evolution.population.generations)
        return f"--generations {2 * max(settings.search.generations, had)}"
    return f"--budget {2 * math.ceil(settings.run.budget or 0)}s"
