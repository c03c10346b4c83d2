"""Problems for a search: real learning curves from tables, whose every answer is known.

A problem gives a whole learning curve for a genome; the simulated clock shows a search only what it
has paid for.  Scores are to be maximised.  NaN from some epoch on is a run that diverged there.
Where there is no table an answer is a real training, made when it is asked for
(``search_trainings.py``).
The tables lie in the folder that ``EVOFT_DATA`` names (default ``../shared/data``); where each
comes from, and under which licence, stands in its folder there.
"""

import functools
import json
import os
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from search_synthetic import Landscape

from evoft.genome import Genome
from evoft.search.genes import Choice, Float, Integer, Ordinal
from evoft.search.space import SearchSpace

HERE = Path(__file__).parent
DATA = Path(os.environ.get("EVOFT_DATA", HERE.parent.parent / "shared/data")) / "hpo"
#: Best and typical scores that were found once, by problem.
EXTREMES = HERE / "results/search_extremes.json"
#: So many genomes show what a typical one is.
TYPICAL = 1000

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Answer:
    """What a stint of training shows."""

    #: Observed after each of its epochs; fewer than these: it diverged.  Where it is judged at its
    #: end alone, that score stands for all.
    scores: list[float]
    #: Epochs of the stint, observed and true score then, wherever it is judged.
    judged: list[tuple[float, float, float]]
    #: Epochs that it takes.
    lasts: float


@dataclass(frozen=True, eq=False)
class Problem:
    """A space of genomes and the learning curve of each."""

    name: str
    space: SearchSpace
    #: Epochs of a full training.
    epochs: int
    #: Genome and the seed of its noise -> observed scores after epochs 1 to ``epochs``.
    curve: Callable[[Genome, int], Array]
    #: Genome -> what the curve is without noise.
    truth: Callable[[Genome], Array]
    #: The highest true score at any epoch, and the median of random genomes' highest.
    best: float
    typical: float
    #: What a genome means, equal meanings being one training; None: the genes that count.
    express: Callable[[Genome], Hashable] | None = None
    #: Genome, seed, first and last epoch -> what training between them shows, where it is real:
    #: then there are neither curves nor a best that is known.  None: what the curves say.
    train: Callable[[Genome, int, int, int], Answer] | None = None
    #: What an epoch of a genome takes, in epochs of the default's; None: all take the same.
    price: Callable[[Genome], float] | None = None
    #: The same space with the default recipe that its maker advises, for methods that are told it.
    advised: SearchSpace | None = None

    def answer(self, genome: Genome, seed: int, start: int, stop: int) -> Answer:
        """Return what training from one epoch to another shows."""
        if self.train is not None:
            return self.train(genome, seed, start, stop)
        observed = self.curve(genome, seed)[start:stop]
        bad = np.flatnonzero(~np.isfinite(observed))
        scores = [float(s) for s in observed[: bad[0] if len(bad) else None]]
        truth = self.truth(genome)[start:stop]
        judged = [(i + 1.0, s, float(truth[i])) for i, s in enumerate(scores)]
        # The epoch in which a run diverges is paid for as well.
        return Answer(scores, judged, min(len(scores) + 1, stop - start))

    def regret(self, score: float) -> float:
        """Return the normalised regret: 0 is the best there is, 1 what a random genome gives."""
        return max(self.best - score, 0.0) / (self.best - self.typical)


LCBENCH = ("3945", "34539", "126026", "146212", "167149", "167161", "167181", "167185", "167200",
           "168329", "168331", "168868", "168910", "189862", "189866", "189905",
           "189908")  # fmt: skip
_TASKSETS = {
    "avg": "FixedTextRNNClassification_imdb_patch128_LSTM128_avg_bs64",
    "lstm": "FixedTextRNNClassification_imdb_patch128_LSTM128_bs64",
    "embed": "FixedTextRNNClassification_imdb_patch128_LSTM128_embed128_bs64",
    "gru": "FixedTextRNNClassification_imdb_patch32_GRU128_bs128",
}
_FCNETS = {"naval": "naval_propulsion", "protein": "protein_structure"}
#: Standard deviation of the noise of noisy problems, of scores between 0 and 1.
_NOISE = 0.05

#: The problems of each family: tables and what is made up, and real trainings.
TABLES = {
    "LCBench": tuple(f"lcbench-{task}" for task in LCBENCH),
    "TaskSet": tuple(f"taskset-{task}" for task in _TASKSETS),
    "FCNet": tuple(f"fcnet-{task}" for task in _FCNETS),
    "synthetic": tuple(f"synthetic-{i}" for i in range(200, 210)),
    # As long as fine-tuning often is: 3 epochs or 5, and so two rungs.
    "short": tuple(f"short-{i}" for i in range(400, 412)),
    "noisy": tuple(f"noisy-{i}" for i in range(300, 306)),
}
#: The same tables, but an epoch takes as long as it took, rather than as any other.
TIMED = {"LCBench by time": tuple(f"timed-{task}" for task in LCBENCH)}
TRAININGS = {name: (name,) for name in ("digits", "sign_digits", "fashion_mnist")}
FAMILIES = {**TABLES, **TIMED, **TRAININGS}


def family_of(name: str) -> str:
    """Return the family of a problem."""
    return next(family for family, names in FAMILIES.items() if name in names)


@functools.cache
def problem(name: str) -> Problem:
    """Return a problem by its name, such as ``lcbench-3945``."""
    if name in TRAININGS:
        from search_trainings import fine_tuning  # which imports torch

        return fine_tuning(name)
    kind, _, which = name.partition("-")
    if kind == "lcbench":
        return _lcbench(name, which)
    if kind == "timed":
        return replace(_lcbench(f"lcbench-{which}", which), name=name, price=_pace(which))
    if kind == "taskset":
        return _taskset(name, _TASKSETS[which])
    if kind == "fcnet":
        return _fcnet(name, _FCNETS[which])
    landscape = Landscape.of(int(which), _NOISE if kind == "noisy" else None)
    if kind == "short":
        landscape = replace(landscape, epochs=3 + 2 * (int(which) % 2))
    return _synthetic(name, landscape)


def missing_data(names: Iterable[str]) -> str:
    """Return what keeps problems from being made; empty: nothing."""
    images = DATA.parent / "images"
    wanted = {"digits": None, **{name: images / name for name in ("sign_digits", "fashion_mnist")}}
    folders = [folder for name in names if (folder := wanted.get(name, DATA)) is not None]
    missing = [folder for folder in folders if not folder.is_dir()]
    return f"{missing[0]} is not there: name the data folder in EVOFT_DATA" if missing else ""


# --- LCBench: surrogates of 2000 real trainings on each task (YAHPO Gym) ------------------------

_LCBENCH_SPACE = SearchSpace(
    batch_size=Integer(16, 512, log=True),
    learning_rate=Float(1e-4, 1e-1, log=True),
    momentum=Float(0.1, 0.99),
    weight_decay=Float(1e-5, 1e-1),
    num_layers=Integer(1, 5),
    max_units=Integer(64, 1024, log=True),
    max_dropout=Float(0.0, 1.0),
)
_LCBENCH_EPOCHS = 52


@functools.cache
def _surrogate() -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(DATA / "lcbench/model.onnx"), options)


def _accuracies(code: int, inputs: Array) -> Array:
    """Return validation accuracies of rows of epoch and seven genes, ``(n, 8)``."""
    codes = np.full((len(inputs), 1), code, np.int32)
    fed = {"x_cat": codes, "x_cont": inputs.astype(np.float32)}
    return np.asarray(_surrogate().run(None, fed)[0][:, 1], dtype=float)


def _code(task: str) -> int:
    """Return what the surrogate calls a task."""
    codes = json.loads((DATA / "lcbench/encoding.json").read_text())["OpenML_task_id"]
    return int(codes[task])


def _pace(task: str) -> Callable[[Genome], float]:
    """Return how long an epoch of a genome takes, in epochs of the middle one."""
    code = np.full((1, 1), _code(task), np.int32)

    @functools.lru_cache(65536)
    def seconds(genome: Genome) -> float:
        row = np.array([[_LCBENCH_EPOCHS, *map(float, genome.values())]], dtype=np.float32)
        return float(_surrogate().run(None, {"x_cat": code, "x_cont": row})[0][0, 0])

    middle = seconds(_LCBENCH_SPACE.default())
    return lambda genome: max(seconds(genome) / middle, 0.01)


def _lcbench(name: str, task: str) -> Problem:
    code = _code(task)
    epochs = np.arange(1.0, _LCBENCH_EPOCHS + 1)

    def rows(genomes: list[Genome], epoch: float) -> Array:
        return np.array([[epoch, *map(float, genome.values())] for genome in genomes])

    @functools.lru_cache(8192)
    def curve(genome: Genome) -> Array:
        inputs = np.repeat(rows([genome], 0.0), len(epochs), axis=0)
        inputs[:, 0] = epochs
        return _accuracies(code, inputs)

    def at(units: Array, epoch: float) -> Array:
        return _accuracies(code, rows([_LCBENCH_SPACE.at(u) for u in units], epoch))

    def top(units: Array) -> Array:
        return np.array([curve(_LCBENCH_SPACE.at(u)).max() for u in units])

    def found() -> tuple[float, float]:
        rng = np.random.default_rng(0)
        units = rng.random((40_000, len(_LCBENCH_SPACE)))
        best = -np.inf
        # Where curves bend down the best epoch is not the last, so others are climbed as well.
        for epoch in (8.0, 15.0, 26.0, 52.0):
            pool = units[np.argsort(-at(units, epoch))[:60]]
            pool = _climbed(pool, functools.partial(at, epoch=epoch), rng)
            best = max(best, top(pool[:10]).max())
        return float(best), float(np.median(top(units[:TYPICAL])))

    best, typical = _extremes(name, found)
    return Problem(name, _LCBENCH_SPACE, _LCBENCH_EPOCHS, lambda g, seed: curve(g), curve, best,
                   typical)  # fmt: skip


# --- TaskSet: four tables of about 1000 real trainings with Adam (DyHPO's selection) ------------

_TASKSET_SPACE = SearchSpace(
    learning_rate=Float(1e-8, 1e1, log=True),
    one_minus_beta1=Float(1e-4, 1.0, log=True),
    one_minus_beta2=Float(1e-6, 1.0, log=True),
    epsilon=Float(1e-10, 1e3, log=True),
    l1=Float(1e-8, 1e1, log=True),
    l2=Float(1e-8, 1e1, log=True),
    linear_decay=Float(1e-7, 1e-4, log=True),
    exponential_decay=Float(1e-6, 1e-3, log=True),
)


def _taskset(name: str, file: str) -> Problem:
    """Return a table in which a genome means the nearest row in the unit cube."""
    rows = json.loads((DATA / f"taskset/{file}.json").read_text())
    values = np.array([list(row["hp"].values()) for row in rows])
    values[:, 1:3] = 1.0 - values[:, 1:3]
    genes = list(_TASKSET_SPACE.values())
    units = np.array([[gene.unit(v) for gene, v in zip(genes, row, strict=True)]
                      for row in values])  # fmt: skip
    losses = [[np.nan if v is None else v for v in row["valid"]["loss"][1:]] for row in rows]
    curves = -np.array(losses, dtype=float)
    for curve in curves:  # once diverged, always diverged
        if (bad := ~np.isfinite(curve)).any():
            curve[np.argmax(bad) :] = np.nan

    @functools.lru_cache(65536)
    def row_of(genome: Genome) -> int:
        unit = [gene.unit(v) for gene, v in zip(genes, genome.values(), strict=True)]
        return int(np.argmin(np.square(units - np.array(unit)).sum(1)))

    tops = np.nanmax(np.where(np.isfinite(curves), curves, -np.inf), axis=1)
    return Problem(name, _TASKSET_SPACE, curves.shape[1], lambda g, seed: curves[row_of(g)],
                   lambda g: curves[row_of(g)], float(tops.max()), float(np.median(tops)),
                   row_of)  # fmt: skip


# --- FCNet: exhaustive grids, four seeds, final scores alone ------------------------------------


def _fcnet(name: str, file: str) -> Problem:
    axes = json.loads((DATA / "fcnet/space.json").read_text())
    table = -np.load(DATA / f"fcnet/{file}.npz")["validation_mse"].astype(float)
    genes = {axis: Choice(values) if isinstance(values[0], str) else Ordinal(values)
             for axis, values in axes.items()}  # fmt: skip
    means = table.mean(-1)

    def place(genome: Genome) -> tuple[int, ...]:
        return tuple(genes[axis].index(genome[axis]) for axis in axes)

    return Problem(name, SearchSpace(genes), 1,
                   lambda g, seed: table[(*place(g), slice(seed % 4, seed % 4 + 1))],
                   lambda g: means[place(g)][None], float(means.max()),
                   float(np.median(means)))  # fmt: skip


# --- made up ------------------------------------------------------------------------------------


def _synthetic(name: str, landscape: Landscape) -> Problem:
    space = landscape.space
    truth = functools.lru_cache(8192)(landscape.truth)

    def tops(units: Array) -> Array:
        curves = np.array([truth(space.at(u)) for u in units])
        return np.nanmax(np.where(np.isfinite(curves), curves, -np.inf), axis=1)

    def found() -> tuple[float, float]:
        rng = np.random.default_rng(0)
        units = rng.random((6000, len(space)))
        values = tops(units)
        pool = _climbed(units[np.argsort(-values)[:60]], tops, rng)
        finite = np.where(np.isfinite(values), values, values[np.isfinite(values)].min())
        return float(max(values.max(), tops(pool[:10]).max())), float(np.median(finite))

    best, typical = _extremes(name, found)
    return Problem(name, space, landscape.epochs, landscape.curve, truth, best, typical)


def _climbed(pool: Array, score: Callable[[Array], Array], rng: np.random.Generator) -> Array:
    """Return a pool of points of the unit cube after an evolution with ever shorter steps."""
    count = len(pool)
    for sigma in (0.15, 0.1, 0.05, 0.03, 0.015, 0.008, 0.004):
        for _ in range(3):
            kids = np.repeat(pool, 12, axis=0)
            changed = rng.random(kids.shape) < 0.6
            kids = np.clip(kids + sigma * rng.normal(size=kids.shape) * changed, 0.0, 1.0)
            kids = np.where(rng.random(kids.shape) < 0.03, rng.random(kids.shape), kids)
            everyone = np.vstack([pool, kids])
            pool = everyone[np.argsort(-score(everyone), kind="stable")[:count]]
    return pool


def _extremes(name: str, found: Callable[[], tuple[float, float]]) -> tuple[float, float]:
    """Return the best and the typical score of a problem, found once and kept."""
    if name not in (known := _known_extremes()):
        best, typical = found()
        # Another process may have found others meanwhile.
        known = {**_known_extremes(), name: (best, typical)}
        EXTREMES.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    best, typical = known[name]
    return best, typical


def _known_extremes() -> dict[str, tuple[float, float]]:
    return json.loads(EXTREMES.read_text()) if EXTREMES.exists() else {}
