"""What finished runs come to: regret and rank by family at costs, as tables and as a plot."""

import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from search_paired import Paired, paired
from search_problems import FAMILIES, family_of

Array = NDArray[np.float64]

#: Costs, in full trainings, that the tables show.
SHOWN = (1, 3, 10, 30, 40, 100)
#: Costs at which regret is noted.
POINTS = np.array(sorted({*np.round(np.geomspace(0.3, 100, 26), 3).tolist(), *map(float, SHOWN)}))
#: Below this a regret is taken for this: where a table's best row is found it would be 0.
LEAST = 1e-4


@dataclass(frozen=True)
class Run:
    """A finished run of a method on a problem."""

    method: str
    problem: str
    seed: int
    workers: int
    #: Full trainings that it had.
    full: float
    #: Normalised regret at those of ``POINTS`` that it reached.
    regret: tuple[float, ...]
    decisions: int
    #: Processor time of the method itself.
    seconds: float
    #: What ended it early; empty: nothing did.
    error: str = ""
    #: Where the best is known only from all runs: true and observed score of its best in place of
    #: the regret; None before it had any.
    scores: tuple[tuple[float, float] | None, ...] = ()

    @property
    def key(self) -> tuple[str, str, int, int]:
        """What tells it from every other run of its length."""
        return (self.method, self.problem, self.seed, self.workers)

    def at(self, cost: float) -> float:
        """Return log10 of the regret at one of ``POINTS`` that it reached."""
        place = int(np.searchsorted(POINTS, cost - 1e-9))
        return float(np.log10(max(self.regret[place], LEAST)))


def read(path: Path) -> list[Run]:
    """Return the finished runs in a file, one a line, the shorter first."""
    if not path.exists():
        return []
    lines = (json.loads(line) for line in path.read_text().splitlines() if line.endswith("}"))
    runs = [replace(Run(**r), regret=tuple(r["regret"]), scores=tuple(r.get("scores", ())))
            for r in lines]  # fmt: skip
    return sorted({(*run.key, run.full): run for run in runs}.values(), key=lambda r: r.full)


def normalised(runs: list[Run], typical: Path) -> list[Run]:
    """Return the runs with their regrets where only their scores were known.

    0 is the best true score that anybody's best had at any cost in any of these runs, 1 the median
    of random genomes; what is less than half an image from the best is taken for half an image,
    and where there is nothing yet the score is 0, below whatever a short training has.  Runs on
    problems of which nobody knows what is typical are left out.
    """
    tasks = json.loads(typical.read_text()) if typical.exists() else {}
    tops: dict[str, float] = {}
    for run in runs:
        seen = [true for true, _ in filter(None, run.scores)]
        tops[run.problem] = max([tops.get(run.problem, -np.inf), *seen])

    def regret(run: Run) -> tuple[float, ...]:
        middle, least = tasks[run.problem]["typical"], 0.5 / tasks[run.problem]["images"]
        best = tops[run.problem]
        true = (s[0] if s else 0.0 for s in run.scores)
        return tuple(max(best - score, least) / (best - middle) for score in true)

    return [replace(run, regret=regret(run)) if run.scores else run for run in runs
            if not run.scores or run.problem in tasks]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Group:
    """Runs of several methods on the same problems with the same seeds."""

    family: str
    workers: int
    #: Full trainings that each run had, at least.
    full: float
    methods: list[str]
    tasks: list[tuple[str, int]]
    #: Log10 of the normalised regret, ``(methods, tasks, points)``.
    regret: Array
    #: Mean rank among the methods, 1 the best, ``(methods, points)``.
    ranks: Array
    #: Seconds of each method a decision and a run, and decisions a run, ``(methods, 3)``.
    seconds: Array
    #: True and observed scores where the best is known only from all runs, NaN before there is
    #: one, ``(methods, tasks, points, 2)``; None elsewhere.
    scores: Array | None = None

    @property
    def mean(self) -> Array:
        """Mean log10 regret, ``(methods, points)``."""
        return np.asarray(self.regret.mean(1))

    @property
    def error(self) -> Array:
        """Standard error of that mean over problems, each the mean over its seeds."""
        problems = sorted({name for name, _ in self.tasks})
        places = [[i for i, t in enumerate(self.tasks) if t[0] == name] for name in problems]
        means = np.array([self.regret[:, p].mean(1) for p in places])
        if len(problems) == 1:  # one problem: over its seeds
            means = self.regret.transpose(1, 0, 2)
        return np.asarray(means.std(0, ddof=1) / np.sqrt(len(means))) if len(means) > 1 else (
            np.full(means.shape[1:], np.nan)
        )  # fmt: skip


def groups(runs: Iterable[Run], methods: list[str] | None = None) -> list[Group]:
    """Return the runs by family and number of workers.

    Only problems and seeds enter that every method of the group has run.  Where some runs are
    longer than others there is a group for each length; the longer are in the shorter ones' too,
    where there is none of that length.

    Args:
        runs: Finished ones.
        methods: Which are compared; None: all that there are.
    """
    chosen = [run for run in runs if methods is None or run.method in methods]
    made = [
        _group(family, workers, full, [run for run in chosen if run.full >= full])
        for full in sorted({run.full for run in chosen})
        for workers in sorted({run.workers for run in chosen})
        for family in FAMILIES
    ]
    return [group for group in made if group.tasks]


def _group(family: str, workers: int, full: float, runs: list[Run]) -> Group:
    of: dict[str, dict[tuple[str, int], Run]] = defaultdict(dict)
    for run in sorted(runs, key=lambda run: -run.full):  # the shortest stays
        if family_of(run.problem) == family and run.workers == workers:
            of[run.method][run.problem, run.seed] = run
    tasks = sorted(set.intersection(*(set(mine) for mine in of.values()))) if of else []
    count = int(np.searchsorted(POINTS, full + 1e-9))
    regret = np.array([[of[m][t].regret[:count] for t in tasks] for m in of], dtype=float)
    regret = np.log10(np.maximum(regret, LEAST))
    mine = [[of[m][t] for t in tasks] for m in of]
    seconds = [_seconds(those) for those in mine]
    ranks = _ranks(np.round(regret, 6)).mean(1) if tasks else np.empty((len(of), 0))
    scores = None
    if tasks and mine[0][0].scores:
        scores = np.array([[[s or (np.nan, np.nan) for s in run.scores[:count]] for run in those]
                           for those in mine])  # fmt: skip
    return Group(family, workers, full, list(of), tasks, regret, ranks, np.array(seconds), scores)


def _seconds(runs: list[Run]) -> tuple[float, float, float]:
    """Return seconds a decision and a run, and decisions a run."""
    seconds, decisions = sum(r.seconds for r in runs), sum(r.decisions for r in runs)
    count = max(len(runs), 1)
    return seconds / max(decisions, 1), seconds / count, decisions / count


def _ranks(values: Array) -> Array:
    """Return ranks from 1 along the first axis, equals sharing the mean of theirs."""
    below = (values[None] < values[:, None]).sum(1)
    equal = (values[None] == values[:, None]).sum(1)
    return np.asarray(below + (equal + 1) / 2)


def markdown(made: list[Group], runs: list[Run]) -> str:
    """Return the tables as Markdown."""
    lines: list[str] = []
    for group in made:
        lines += _table(group)
    broken = [run for run in runs if run.error]
    if broken:
        lines += [f"{len(broken)} runs were ended early by an error of the method; they keep what "
                  "they had found:", ""]  # fmt: skip
        lines += [f"- {r.method} on {r.problem}, seed {r.seed}: {r.error}" for r in broken[:20]]
    lines += ahead_tables(runs)
    return "\n".join(lines) + "\n"


def _table(group: Group) -> list[str]:
    points = POINTS[: group.regret.shape[2]]
    shown = [c for c in SHOWN if c in points]
    places = [int(np.flatnonzero(points == c)[0]) for c in shown]
    names = len({name for name, _ in group.tasks})
    plural = "s" if group.workers > 1 else ""
    anytime = group.ranks[:, points >= 1].mean(1)
    title = f"### {group.family}, {group.workers} worker{plural}, {group.full:g} full trainings"
    seeds = ", ".join(map(str, sorted({seed for _, seed in group.tasks})))
    problems = ", ".join(dict.fromkeys(name for name, _ in group.tasks))
    runs = f"{len(group.tasks)} runs a method: seeds {seeds} of {problems}."
    lines = [title, "", f"{names} problem{'s' if names > 1 else ''}, {runs}", ""]
    titles = ["method", *(f"regret at {c}" for c in shown), *(f"rank at {c}" for c in shown),
              "anytime rank", "decisions", "ms a decision", "s a run"]  # fmt: skip
    if group.scores is not None:
        titles += [*(f"test at {c}, %" for c in shown), f"validation at {shown[-1]}, %"]
    lines += [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for i in np.argsort(anytime, kind="stable"):
        means, errors = group.mean[i], group.error[i]
        cells = [group.methods[i]]
        cells += [f"{means[p]:.2f} ± {errors[p]:.2f}".replace(" ± nan", "") for p in places]
        cells += [f"{group.ranks[i, p]:.2f}" for p in places]
        each, whole, decisions = group.seconds[i]
        cells += [f"{anytime[i]:.2f}", f"{decisions:.0f}", f"{1e3 * each:.1f}", f"{whole:.1f}"]
        if group.scores is not None:
            cells += [_percent(group.scores[i, :, p, 0]) for p in places]
            cells.append(_percent(group.scores[i, :, places[-1], 1]))
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def ahead(
    runs: list[Run], *, early: float = 10.0, late: float = 40.0
) -> Iterator[tuple[str, int, str, dict[str, Paired]]]:
    """Yield what each evolution is ahead of each peer that spends more, paired, below 0 if it is.

    Args:
        runs: Finished ones.
        early: Full trainings that the evolution has.
        late: Full trainings that the peers have.

    Yields:
        The evolution's name, the workers, the peer's name, and by family, for all of them first,
        the evolution's log10 regret minus the peer's.
    """
    cheap = {run.key: run.at(early) for run in runs if run.full >= early}
    dear = {run.key: run.at(late) for run in runs if run.full >= late}
    ours, peers = (
        list(dict.fromkeys(m for m, *_ in them if m.startswith("evolution") is mine))
        for them, mine in ((cheap, True), (dear, False))
    )
    for workers in sorted({run.workers for run in runs}):
        for mine, peer in itertools.product(ours, peers):
            gaps = {(p, s): cheap[mine, p, s, w] - late_regret
                    for (m, p, s, w), late_regret in dear.items()
                    if m == peer and w == workers and (mine, p, s, w) in cheap}  # fmt: skip
            parts = {"all": gaps} | {
                family: {task: gap for task, gap in gaps.items() if family_of(task[0]) == family}
                for family in FAMILIES
            }
            found = {family: paired(part) for family, part in parts.items() if part}
            if found:
                yield mine, workers, peer, found


def ahead_tables(runs: list[Run], *, early: float = 10.0, late: float = 40.0) -> list[str]:
    """Return the same as Markdown; nothing where no peer has spent so much."""
    lines: list[str] = []
    before = ("", 0)
    everything = list(ahead(runs, early=early, late=late))
    families = [f for f in ("all", *FAMILIES) if any(f in found for *_, found in everything)]
    for mine, workers, peer, found in everything:
        if before != (before := (mine, workers)):
            plural = "s" if workers > 1 else ""
            if lines:
                lines.append("")
            lines += [f"### {mine} at {early:g} against peers at {late:g}, "
                      f"{workers} worker{plural}", "",
                      "Log10 regret of the one minus that of the other, below 0 where it is ahead "
                      "with less; in brackets the runs in which it is ahead : behind.", "",
                      "| peer | " + " | ".join(families) + " |",
                      "|---" * (len(families) + 1) + "|"]  # fmt: skip
        cells = (found.get(family) for family in families)
        lines.append(f"| {peer} | " + " | ".join(f"{c.cell} ({c.below} : {c.above})" if c else "-"
                                                 for c in cells) + " |")  # fmt: skip
    return lines


def _percent(scores: Array) -> str:
    """Return the mean of accuracies over runs and its standard error; a dash if a run has none."""
    if np.isnan(scores).any():
        return "-"
    mean = f"{100 * scores.mean():.1f}"
    error = scores.std(ddof=1) / np.sqrt(len(scores)) if len(scores) > 1 else np.nan
    return f"{mean} ± {100 * error:.1f}".replace(" ± nan", "")


def summary(made: list[Group]) -> list[dict[str, Any]]:
    """Return the same as plain data, with the whole curves."""
    found = []
    for group in made:
        points = POINTS[: group.regret.shape[2]]
        error = group.error
        for i, method in enumerate(group.methods):
            each, whole, decisions = group.seconds[i].tolist()
            true, observed = ([], []) if group.scores is None else (
                group.scores[i, ..., side].T.tolist() for side in (0, 1)
            )  # fmt: skip
            found.append({
                "family": group.family, "workers": group.workers, "full": group.full,
                "method": method,
                "problems": sorted({name for name, _ in group.tasks}),
                "seeds": sorted({seed for _, seed in group.tasks}),
                "cost": points.tolist(),
                "log10_regret": np.round(group.mean[i], 4).tolist(),
                "standard_error": np.round(error[i], 4).tolist(),
                "rank": np.round(group.ranks[i], 3).tolist(),
                "decisions": decisions, "seconds_a_decision": each, "seconds_a_run": whole,
                # Of each run, at each cost; null before there is one.
                "true": _without_nan(true), "observed": _without_nan(observed),
            })  # fmt: skip
    return found


def _without_nan(rows: list[list[float]]) -> list[list[float | None]]:
    return [[round(v, 5) if np.isfinite(v) else None for v in row] for row in rows]


def plot(made: list[Group], path: Path) -> None:
    """Draw mean log10 regret over cost, families side by side, one row a number of workers."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    families = [f for f in FAMILIES if any(g.family == f for g in made)]
    rows = sorted({(group.workers, group.full) for group in made})
    methods = list(dict.fromkeys(m for group in made for m in group.methods))
    figure, axes = pyplot.subplots(
        len(rows), len(families), squeeze=False, figsize=(3.6 * len(families), 3.1 * len(rows))
    )
    for group in made:
        axis = axes[rows.index((group.workers, group.full))][families.index(group.family)]
        points = POINTS[: group.regret.shape[2]]
        for i, method in enumerate(group.methods):
            colour = f"C{methods.index(method) % 10}"
            style = ("-", "--", ":")[methods.index(method) // 10 % 3]
            mean, error = group.mean[i], group.error[i]
            axis.plot(points, mean, style, color=colour, label=method, linewidth=1.4)
            axis.fill_between(points, mean - error, mean + error, color=colour, alpha=0.1, lw=0)
        axis.set_xscale("log")
        axis.set_title(f"{group.family}, {group.workers} worker" + "s" * (group.workers > 1))
        axis.grid(alpha=0.3)
    for axis in axes[-1]:
        axis.set_xlabel("full trainings")
    for row in axes:
        row[0].set_ylabel("mean log10 regret")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncol=4, frameon=False, fontsize="small")
    figure.tight_layout(rect=(0, 0.04 + 0.02 * (len(labels) // 4), 1, 1))
    figure.savefig(path)
