"""Ranks, crowding and hypervolume of many individuals: evoft's kernels against other libraries'.

    python benchmarks/kernels.py

DEAP's two non-dominated sorts (Deb's, and the divide and conquer of Fortin et al.) and its crowding
distance; pymoo's; and the hypervolume of moocore, which DEAP takes and which is C.
Seconds of processor time, one thread.  Each is called again until 0.3 s have passed, at least three
times where it takes less than 0.5 s, and the fastest counts; what compiles is called once before,
and that is told apart.  Who took more than 0.2 s at a size is not asked about the next one.
Answers are compared.  Points are uniform in a cube, where there are many fronts, and on a sphere,
where there is one.
"""

import json
import math
import platform
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click
import numpy as np
from deap import base, tools
from numpy.typing import NDArray

HERE = Path(__file__).parent
SIZES, OBJECTIVES = (100, 1_000, 10_000, 100_000), (2, 3, 4, 5)
#: Seconds after which a library is not asked about a larger size.
PATIENCE = 0.2
LIBRARIES = ("evoft", "numba", "deap", "pymoo", "moocore", "numpy")

Scores = NDArray[np.float64]
Act = Callable[[], Any]


class One:
    """What DEAP sorts: anything with a fitness."""

    def __init__(self, place: int, fitness: base.Fitness) -> None:
        self.place = place
        self.fitness = fitness


def ones_of(scores: Scores) -> list[One]:
    kind = type("Fitness", (base.Fitness,), {"weights": (1.0,) * scores.shape[1]})
    return [One(place, kind(tuple(row))) for place, row in enumerate(scores.tolist())]


def cloud(kind: str, count: int, objectives: int) -> Scores:
    rng = np.random.default_rng(count + objectives)
    if kind == "cube":
        return rng.random((count, objectives))
    directions = np.abs(rng.normal(size=(count, objectives)))
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def fastest(act: Act) -> tuple[float, Any]:
    """Return the fewest seconds that an act took, and what it gave."""
    fewest, calls, begun, answer = math.inf, 0, time.perf_counter(), None
    while (
        calls == 0
        or (time.perf_counter() - begun < 0.3 and calls < 200)
        or (calls < 3 and fewest < 0.5)
    ):
        start = time.process_time()
        answer = act()
        fewest = min(fewest, time.process_time() - start)
        calls += 1
    return fewest, answer


def ranks_in(fronts: list[list[One]], count: int) -> list[int]:
    ranks = [0] * count
    for rank, front in enumerate(fronts):
        for one in front:
            ranks[one.place] = rank
    return ranks


def sorters(scores: Scores) -> dict[str, Act]:
    from evoft.kernels.ranking import ranks_of

    ones = ones_of(scores)
    count = len(ones)
    acts: dict[str, Act] = {
        "evoft": lambda: ranks_of(scores).tolist(),
        "DEAP sortNondominated": lambda: ranks_in(tools.sortNondominated(ones, count), count),
        "DEAP sortLogNondominated": lambda: ranks_in(tools.sortLogNondominated(ones, count), count),
    }
    try:
        from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting
    except ImportError:
        return acts

    def pymoo() -> list[int]:
        return NonDominatedSorting().do(-scores, return_rank=True)[1].tolist()

    return acts | {"pymoo": pymoo}


def crowders(scores: Scores) -> dict[str, Act]:
    """Return who takes the crowding distance of one front of distinct points."""
    from evoft.kernels.ranking import crowding_of

    ones, zeros = ones_of(scores), np.zeros(len(scores), dtype=np.int64)
    objectives = scores.shape[1]

    def deap() -> list[float]:
        tools.emo.assignCrowdingDist(ones)
        return [one.fitness.crowding_dist * objectives for one in ones]

    acts: dict[str, Act] = {"evoft": lambda: crowding_of(scores, zeros).tolist(), "DEAP": deap}
    try:
        from pymoo.operators.survival.rank_and_crowding.metrics import calc_crowding_distance
    except ImportError:
        return acts

    def pymoo() -> list[float]:
        return (calc_crowding_distance(-scores) * objectives).tolist()

    return acts | {"pymoo": pymoo}


def measurers(scores: Scores) -> dict[str, Act]:
    """Return who takes the hypervolume above the origin."""
    from evoft.kernels.hypervolume import hypervolume_of

    origin = np.zeros(scores.shape[1])
    acts: dict[str, Act] = {"evoft": lambda: hypervolume_of(scores, origin)}
    try:
        import moocore
    except ImportError:
        pass
    else:
        acts["moocore, which DEAP has"] = lambda: moocore.hypervolume(-scores, ref=origin)
    try:
        from pymoo.indicators.hv import HV
    except ImportError:
        return acts
    return acts | {"pymoo": lambda: float(HV(ref_point=origin)(-scores))}


#: What is measured: on which points, by whom, and how large the largest may be for each number of
#: objectives.
TASKS: dict[str, tuple[str, Callable[[Scores], dict[str, Act]], dict[int, int]]] = {
    "ranks, many fronts": ("cube", sorters, {}),
    "ranks, one front": ("sphere", sorters, {}),
    "crowding": ("sphere", crowders, {}),
    "hypervolume": ("sphere", measurers, {4: 10_000, 5: 10_000}),
}


def agree(one: Any, other: Any) -> bool:
    return bool(np.allclose(one, other, rtol=1e-6, equal_nan=True))


def compiling() -> dict[str, float]:
    """Return the seconds of the first call of each kernel in this process, and of the import."""
    start = time.perf_counter()
    from evoft.kernels.hypervolume import hypervolume_of
    from evoft.kernels.ranking import crowding_of, ranks_of

    took = {"import": time.perf_counter() - start}
    small = {m: cloud("cube", 50, m) for m in (2, 3, 5)}
    acts: dict[str, Act] = {
        "ranks of 2": lambda: ranks_of(small[2]),
        "ranks of 3 and more": lambda: ranks_of(small[3]),
        "crowding": lambda: crowding_of(small[3], ranks_of(small[3])),
        "hypervolume of 3": lambda: hypervolume_of(small[3], [0] * 3),
        "hypervolume of 4 and more": lambda: hypervolume_of(small[5], [0] * 5),
    }
    for name, act in acts.items():
        start = time.perf_counter()
        act()
        took[name] = time.perf_counter() - start
    return took


def measured(largest: int) -> list[dict[str, Any]]:
    rows = []
    for task, (kind, acts_of, limits) in TASKS.items():
        for objectives in OBJECTIVES:
            slow: set[str] = set()
            for size in SIZES:
                if size > min(largest, limits.get(objectives, largest)):
                    continue
                row: dict[str, Any] = {"task": task, "objectives": objectives, "n": size}
                answer: Any = None
                for name, act in acts_of(cloud(kind, size, objectives)).items():
                    if name in slow:
                        continue
                    row[name], found = fastest(act)
                    if row[name] > PATIENCE:
                        slow.add(name)
                    answer = found if answer is None else answer
                    if not agree(found, answer):
                        row.setdefault("disagree", []).append(name)
                rows.append(row)
                click.echo(json.dumps(row))
    return rows


def told(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{1e3 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def table(rows: list[dict[str, Any]]) -> str:
    lines = []
    for task in TASKS:
        own = [row for row in rows if row["task"] == task]
        if not own:
            continue
        names = list(dict.fromkeys(k for row in own for k in row))
        names = [n for n in names if n not in {"task", "objectives", "n", "disagree"}]
        lines += [f"\n## {task.capitalize()}\n", f"| objectives | n | {' | '.join(names)} |"]
        lines.append("|---" * (len(names) + 2) + "|")
        for row in own:
            cells = [
                told(row.get(n)) + (" *" if n in row.get("disagree", ()) else "") for n in names
            ]
            lines.append(f"| {row['objectives']} | {row['n']:,} | {' | '.join(cells)} |")
    return "\n".join(lines)


def installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


@click.command()
@click.option("--largest", default=SIZES[-1], help="Most individuals.")
@click.option("--out", type=click.Path(path_type=Path), default=HERE / "results")
def main(largest: int, out: Path) -> None:
    took = compiling()
    rows = measured(largest)
    libraries = {name: found for name in LIBRARIES if (found := installed(name))}
    data = {
        "libraries": libraries,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "first_calls": took,
        "rows": rows,
    }
    (out / "kernels.json").write_text(json.dumps(data, indent=1) + "\n")
    first = ", ".join(f"{name} {told(seconds)}" for name, seconds in took.items())
    text = (
        "# Ranks, crowding and hypervolume of many individuals\n\n"
        "By `python benchmarks/kernels.py`: processor time of one thread, the fastest of "
        "several calls; empty where a library "
        "was not asked, having taken more than 0.2 s at a smaller size. A star: "
        "another answer than evoft's.\n\n"
        f"{', '.join(f'{name} {number}' for name, number in libraries.items())}.\n\n"
        f"The first calls in this process took, not counted below: {first}.\n"
        f"{table(rows)}\n"
    )
    (out / "kernels.md").write_text(text)


if __name__ == "__main__":
    main()
