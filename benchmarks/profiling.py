"""Where the time of a run goes, and the floor that it is compared with.

    python benchmarks/profiling.py --task digits
    python benchmarks/profiling.py --task sign_digits
    python benchmarks/profiling.py --task gpu_resnet50 --task gpu_vit

Two looks.  From within: one fine-tuner in this process evaluates recipes of the default space, with
a clock put around functions from outside; what a function spends in another one with a clock counts
there.  From above: the parent of a run with a worker a core, the same way.  On a GPU the clocks
wait for the device when they start and when they stop, unless told ``--no-synchronise``: else what
a function has the device do would count where somebody next waits for it.

The floor is arithmetic and bytes.  Arithmetic: three times the forward pass of what trains, for
each image of each step (the backward pass is twice the forward one), once for each image of
validation, and once for each image and depth through what is frozen, at the rate of a large matrix
product on the same core or device, in the same precision.  Bytes: what comes into the layers that
train and leaves them, there and back, and what an optimizer reads and writes, at the rate of a
large copy.
"""

import functools
import importlib
import json
import platform
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click
import throughput
import torch
from in_process import fine_tuner
from tasks import Task, device_of, make, settings_for, task_options
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from evoft.environment import versions
from evoft.fine_tuning.starting import start
from evoft.recipe import Recipe
from evoft.search.space import SearchSpace
from evoft.settings import SearchSettings, Settings
from evoft.training import optimization
from evoft.training.backbone import build
from evoft.training.default_space import default_genes
from evoft.training.device import the_device
from evoft.training.fine_tuner import FineTuner
from evoft.training.freezing import freeze, train_mode
from evoft.training.memory_format import laid_out
from evoft.training.prefix.split import Split, split
from evoft.trial import Trial

HERE = Path(__file__).parent

#: What a worker's time goes to: functions by module and name.  Those that are not there are left
#: out, and told of.
WORKER = {
    "building the model": (
        "evoft.training.start:Start.model",
        "evoft.training.freezing:freeze",
        "evoft.training.optimization:make_optimizer",
        "evoft.training.prefix.split:Plan.bind",
    ),
    "splitting (first trial of a depth)": ("evoft.training.prefix.split:split",),
    "frozen prefix": (
        "evoft.training.prefix.split:Split.prefix",
        "evoft.training.features.cache:FeatureCache.parts",
        "evoft.training.features.cache:FeatureCache.unchanged",
        "evoft.training.features.cache:FeatureCache.drawn",
    ),
    "batches: images, augmentation, mixing": (
        "evoft.training.feed:augment",
        "evoft.training.feed:Feed.draw",
        "evoft.training.feed:Feed.mix",
        "evoft.training.examples:Examples.batch",
        "evoft.training.examples:Examples.normalise",
        "evoft.training.features.kept:gathered",
    ),
    "step: forward and loss": ("evoft.training.optimization:training_step",),
    "step: backward": ("torch:Tensor.backward",),
    "step: L1 and moving average": (
        "evoft.training.optimization:add_l1",
        "evoft.training.averaging:Average.update",
    ),
    "step: heads alone": ("evoft.training.heads.together:train_heads",),
    "validation": (
        "evoft.training.judging:evaluate",
        "evoft.training.heads.judging:Judges.judge_all",
    ),
    "checkpoint": (
        "evoft.training.checkpoints:trained_state",
        "evoft.training.checkpoints:save",
    ),
    "else": ("evoft.training.fine_tuner:FineTuner.evaluate",),
}
#: The categories in a few words; what is in none of them, clocked or not, is the rest.
PARTS = {
    "data": ("batches: images, augmentation, mixing",),
    "prefix": ("frozen prefix", "splitting (first trial of a depth)"),
    "step": (
        "step: forward and loss",
        "step: backward",
        "step: optimizer",
        "step: L1 and moving average",
        "step: heads alone",
    ),
    "evaluation": ("validation",),
}
#: What the parent's time goes to.
PARENT = {
    "waiting for workers": ("evoft.workers.local:LocalWorkers.collect",),
    "handing out trials": ("evoft.workers.local:LocalWorkers.submit",),
    "the search": (
        "evoft.search.search:Search.ask",
        "evoft.search.search:Search.tell",
    ),
    "journal": ("evoft.lineage.store:Store.append",),
    "population file": ("evoft.lineage.store:Store.fold",),
    "start: data, backbones, imports": ("evoft.fine_tuning.starting:start",),
    "start: decoding": ("evoft.fine_tuning.preparation:Preparation.decode",),
}


@dataclass
class Clock:
    """Time by category; a moment belongs to the innermost function that has a clock."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    calls: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    #: Called before the time is read.
    synchronise: Callable[[], None] = lambda: None
    _inner: list[float] = field(default_factory=list)

    def around(self, category: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with a clock around it."""

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            self._inner.append(0.0)
            self.synchronise()
            begin = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.synchronise()
                taken = time.perf_counter() - begin
                self.seconds[category] += taken - self._inner.pop()
                self.calls[category] += 1
                if self._inner:
                    self._inner[-1] += taken

        return timed

    def put(self, categories: Mapping[str, tuple[str, ...]]) -> None:
        """Put the clock around functions, for the rest of this process's life."""
        for category, names in categories.items():
            for name in names:
                module_name, _, path = name.partition(":")
                try:
                    owner: Any = importlib.import_module(module_name)
                    *outer, last = path.split(".")
                    for part in outer:
                        owner = getattr(owner, part)
                    function = getattr(owner, last)
                except (ImportError, AttributeError):
                    click.echo(f"there is no {name}", err=True)
                    continue
                timed = self.around(category, function)
                if outer:
                    setattr(owner, last, timed)
                else:
                    _replace(function, timed)


def _replace(function: Any, timed: Any) -> None:
    """Put a function's stand-in wherever it was imported to."""
    for name, module in list(sys.modules.items()):
        if name.startswith("evoft") or name == "__main__":
            for key, value in list(vars(module).items()):
                if value is function:
                    setattr(module, key, timed)


def from_within(
    settings: Settings, count: int, folder: Path, *, synchronise: bool
) -> dict[str, Any]:
    """Evaluate recipes in this process under a clock; compare with the floor."""
    tuner = fine_tuner(settings, folder)
    trials = [Trial(i, genome, 1000 + i) for i, genome in enumerate(throughput.genomes(count))]
    recipes = [tuner.express(trial.genome) for trial in trials]
    device = the_device()
    waits = device.type == "cuda" and synchronise
    floor_of = Floors(tuner, device)
    floors = floor_of.of(recipes)
    clock = Clock(synchronise=torch.cuda.synchronize if waits else lambda: None)
    clock.put(WORKER)
    make = optimization.make_optimizer

    def clocked(*args: Any, **kwargs: Any) -> Any:
        optimizer = make(*args, **kwargs)
        optimizer.step = clock.around("step: optimizer", optimizer.step)
        return optimizer

    _replace(make, clocked)
    groups = tuner.express.facts[settings.training.models[0]].layer_groups
    rows = []
    for trial, recipe, floor in zip(trials, recipes, floors, strict=True):
        before = dict(clock.seconds)
        begin = time.perf_counter()
        outcome = tuner.evaluate(trial)
        wall = time.perf_counter() - begin
        spent = {k: v - before.get(k, 0.0) for k, v in clock.seconds.items()}
        share = recipe.freeze_depth / groups
        rows.append({"share": share, "wall": wall, "spent": spent, "floor": floor,
                     "status": str(outcome.status)})  # fmt: skip
    rates = {"flops": floor_of.flops, "bandwidth": floor_of.bandwidth}
    return {"trials": rows, "calls": dict(clock.calls), "rates": rates}


class Floors:
    """The least that trials can take on this core or device, by arithmetic and by bytes."""

    def __init__(self, tuner: FineTuner, device: torch.device) -> None:
        self._tuner = tuner
        (model,) = tuner.settings.models
        precision = tuner.commons.precision(model)
        dtype = precision.dtype if precision else torch.float32
        self._width = dtype.itemsize / torch.float32.itemsize
        self.flops = flops_per_second(device, dtype)
        self.bandwidth = bytes_per_second(device)
        self._frozen: set[int] = set()

    def of(self, recipes: list[Recipe]) -> list[dict[str, float]]:
        """Return the seconds of each recipe's trial; the first of a depth pays for its prefix."""
        return [self._one(recipe) for recipe in recipes]

    def _one(self, recipe: Recipe) -> dict[str, float]:
        splits = self._tuner.pixels.splits
        images, judged = len(splits["train"]), len(splits["val"])
        batch = min(recipe.batch_size, images)
        steps = images // batch * recipe.epochs
        cost = self._cost(recipe.model, recipe.freeze_depth)
        flops = cost["flops"] * (3 * steps * batch + judged * recipe.epochs)
        moved = self._width * cost["activations"] * (4 * steps * batch + 2 * judged * recipe.epochs)
        # Read in both passes; gradients written and read; two moments and the weight in and out.
        moved += 4 * cost["weights"] * (2 + 2 + 6) * steps
        if recipe.freeze_depth and recipe.freeze_depth not in self._frozen:
            self._frozen.add(recipe.freeze_depth)
            flops += cost["prefix"] * (images + judged)
        return {"arithmetic": flops / self.flops, "bytes": moved / self.bandwidth}

    @functools.cache  # noqa: B019
    def _cost(self, name: str, depth: int) -> dict[str, float]:
        """Return FLOPs and bytes an image of what trains, FLOPs of what is frozen, weights."""
        tuner = self._tuner
        model = build(name, tuner.settings, tuner.pixels.classes, pretrained=False)
        laid_out(model)
        freeze(model, depth)
        train_mode(model)
        side = tuner.express.facts[name].preprocessing.img_size
        images = torch.rand(4, 3, *side).contiguous(memory_format=torch.channels_last)
        whole, bytes_whole = forward(model, model, images)
        cost = {"flops": whole, "activations": bytes_whole, "prefix": 0.0}
        if depth:
            parts = split(model, depth, images)
            if isinstance(parts, Split):
                flops, moved = forward(parts.suffix, model, parts.prefix(images))
                cost = {"flops": flops, "activations": moved, "prefix": whole - flops}
        cost["weights"] = sum(p.numel() for p in model.parameters() if p.requires_grad)
        return cost


def forward(run: nn.Module, model: nn.Module, given: Any) -> tuple[float, float]:
    """Return the FLOPs of a forward pass and the bytes that its layers give out, an image."""
    count = len(given if isinstance(given, Tensor) else given[0])
    sizes: list[int] = []

    def note(_: nn.Module, __: Any, out: Any) -> None:
        sizes.extend(t.nbytes for t in (out if isinstance(out, tuple) else (out,)))

    leaves = [m for m in model.modules() if not list(m.children())]
    hooks = [leaf.register_forward_hook(note) for leaf in leaves]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run(given)
    for hook in hooks:
        hook.remove()
    return counter.get_total_flops() / count, sum(sizes) / count


def fastest(act: Callable[[], object], device: torch.device) -> float:
    """Return the fewest seconds of some tries."""
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    taken = []
    for _ in range(20):
        wait()
        begin = time.perf_counter()
        act()
        wait()
        taken.append(time.perf_counter() - begin)
    return min(taken)


def flops_per_second(device: torch.device, dtype: torch.dtype) -> float:
    """Return the rate of a large product, on a CPU on one thread."""
    side = 8192 if device.type == "cuda" else 1024
    a, b = (torch.rand(side, side, device=device, dtype=dtype) for _ in range(2))
    return 2 * side**3 / fastest(lambda: a @ b, device)


def bytes_per_second(device: torch.device) -> float:
    """Return the rate of a large copy, reads and writes counted, on a CPU on one thread."""
    count = 2**28 if device.type == "cuda" else 2**24
    a, b = (torch.rand(count, device=device) for _ in range(2))
    return 2 * a.nbytes / fastest(lambda: b.copy_(a), device)


def from_above(settings: Settings, count: int, folder: Path) -> dict[str, Any]:
    """Run an evolution of some individuals, the parent under a clock."""
    clock = Clock()
    clock.put(PARENT)
    size = max(count // 2, 4)
    search = SearchSettings(population_size=size, generations=2, finalists=1)
    settings = replace(settings, search=search)
    space = SearchSpace.from_dict(default_genes(settings.training.models))
    begin = time.perf_counter()
    with start(settings, space, folder / "run.h5") as run:
        for _ in run.generations(lambda trial, outcome: None):
            pass
    wall = time.perf_counter() - begin
    return {"wall": wall, "spent": dict(clock.seconds), "calls": dict(clock.calls)}


def parts(look: Mapping[str, Any]) -> dict[str, float]:
    """Return the shares of the trials' time by ``PARTS``, and the rest; they sum to one."""
    wall = sum(row["wall"] for row in look["trials"])
    found = {
        part: sum(row["spent"].get(name, 0.0) for row in look["trials"] for name in names) / wall
        for part, names in PARTS.items()
    }
    return {**found, "rest": 1.0 - sum(found.values())}


def shares(spent: Mapping[str, float], wall: float) -> list[str]:
    """Return rows of where the time went, most first, and what no clock saw."""
    rest = wall - sum(spent.values())
    rows = sorted(spent.items(), key=lambda item: -item[1])
    return [
        f"| {name} | {seconds:.2f} | {100 * seconds / wall:.1f} |"
        for name, seconds in [*rows, ("not seen by a clock", rest)]
    ]


def report(found: dict[str, Any]) -> str:
    """Return the results as Markdown."""
    lines = [
        "# Where the time goes",
        "",
        f"One core a process ({platform.machine()}); torch {found['versions']['torch']}, timm "
        f"{found['versions']['timm']}; {found['count']} recipes of the default space, "
        f"{found['epochs']} epochs; one round.",
    ]
    for task, looks in found["tasks"].items():
        rates = looks["within"]["rates"]
        lines += ["", f"## {task}", "", "From within, a trial at a time in one process:", ""]
        lines += _within(looks["within"])
        lines += [
            "",
            f"The floor is at {rates['flops'] / 1e9:.0f} GFLOP/s and "
            f"{rates['bandwidth'] / 1e9:.1f} GB/s.",
            "",
            f"From above, the parent of a run ({looks['above']['wall']:.1f} s):",
            "",
            "| | seconds | % |",
            "|---|---|---|",
            *shares(looks["above"]["spent"], looks["above"]["wall"]),
        ]
    return "\n".join(lines) + "\n"


def _within(look: dict[str, Any]) -> list[str]:
    """Return the table of a worker's time, by how much of the backbone is frozen."""
    groups: dict[str, Callable[[float], bool]] = {
        "all": lambda share: True,
        "nothing frozen": lambda share: share == 0,
        "frozen in part": lambda share: 0 < share < 0.7,
        "3/4 or deeper": lambda share: 0.7 <= share < 1,
        "classifier alone": lambda share: share == 1,
    }
    chosen = {n: [r for r in look["trials"] if w(r["share"])] for n, w in groups.items()}
    total = {n: sum(r["wall"] for r in rows) or float("nan") for n, rows in chosen.items()}
    names = sorted(
        {name for row in look["trials"] for name in row["spent"]},
        key=lambda name: -sum(row["spent"].get(name, 0.0) for row in look["trials"]),
    )
    lines = [f"| | {' | '.join(chosen)} |", "|" + "---|" * (1 + len(chosen)),
             f"| trials | {' | '.join(str(len(rows)) for rows in chosen.values())} |",
             f"| seconds a trial | {' | '.join(f'{total[n] / max(len(r), 1):.3f}' for n, r in chosen.items())} |"]  # fmt: skip  # noqa: E501
    for name in names:
        cells = [
            f"{100 * sum(r['spent'].get(name, 0.0) for r in rows) / total[group]:.1f} %"
            for group, rows in chosen.items()
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    for kind in ("arithmetic", "bytes"):
        cells = [
            f"{sum(r['floor'][kind] for r in rows) / max(len(rows), 1):.3f}"
            for rows in chosen.values()
        ]
        lines.append(f"| floor by {kind}, seconds a trial | {' | '.join(cells)} |")
    times = [
        total[n] / max(sum(sum(r["floor"].values()) for r in rows), 1e-9)
        for n, rows in chosen.items()
    ]
    lines.append(f"| times both floors together | {' | '.join(f'{t:.1f}' for t in times)} |")
    return lines


@click.command()
@task_options(("digits", "sign_digits"))
@click.option("--count", default=24, show_default=True, help="Recipes.")
@click.option("--synchronise/--no-synchronise", default=True, show_default=True,
              help="Whether clocks wait for a GPU.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), default=HERE / "results")
@click.option("--look", type=click.Choice(["within", "above"]), hidden=True)
def main(
    names: tuple[str, ...],
    device: str | None,
    count: int,
    synchronise: bool,
    out: Path,
    look: str | None,
    **shape: Any,
) -> None:
    """Measure and write ``profile.json`` and ``.md``; of a GPU ``profile_cuda``."""
    torch.set_num_threads(1)
    found: dict[str, Any] = {"count": count, "versions": versions(), "tasks": {}}
    for name in names:
        task = Task(name, device=device or device_of(name), **shape)
        if look:
            click.echo(json.dumps(_seen(task, count, look, synchronise)))
            return
        if words := throughput.missing(task):
            click.echo(words, err=True)
            continue
        with tempfile.TemporaryDirectory() as scratch:
            task = replace(task, folder=task.folder or scratch)
            make(task)
            flag = "--synchronise" if synchronise else "--no-synchronise"
            options = ("--count", str(count), flag)
            looks = {
                look: throughput.ask("profiling.py", task, "--look", look, *options)
                for look in ("within", "above")
            }
        found["epochs"] = task.epochs
        found["tasks"][name] = {"device": task.device, **looks}
    if not found["tasks"]:
        raise click.ClickException("nothing could be measured")
    out.mkdir(parents=True, exist_ok=True)
    on_gpu = any(looks["device"] == "cuda" for looks in found["tasks"].values())
    page = out / ("profile_cuda" if on_gpu else "profile")
    page.with_suffix(".json").write_text(json.dumps(found) + "\n")
    page.with_suffix(".md").write_text(report(found))
    click.echo(report(found))


def _seen(task: Task, count: int, look: str, synchronise: bool) -> dict[str, Any]:
    """Look in this process, which the clocks stay in."""
    settings = settings_for(task)
    with tempfile.TemporaryDirectory() as folder:
        if look == "within":
            return from_within(settings, count, Path(folder), synchronise=synchronise)
        return from_above(settings, count, Path(folder))


if __name__ == "__main__":
    main()
