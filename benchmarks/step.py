"""What a training step costs in each of the ways in which it could be taken.

    python benchmarks/step.py

For backbones of three kinds (the embedded one, one with depthwise convolutions, one with wide dense
ones), whole and behind a frozen prefix: the order of weights and images in memory, bfloat16, how
the optimizer walks over the tensors, and torch.compile with what it takes to compile.  One thread;
seconds of processor time, so that neighbours on the machine weigh less; the ways take turns, and
the fastest of their turns counts.  What was faster is how evoft trains.
"""

import copy
import json
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import torch
from timm.optim import create_optimizer_v2
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from evoft.environment import versions
from evoft.recipe import Recipe
from evoft.settings import TrainingSettings
from evoft.training.backbone import build
from evoft.training.freezing import freeze, layer_groups, train_mode
from evoft.training.memory_format import laid_out
from evoft.training.optimization import parameter_groups
from evoft.training.prefix.split import Split, split

HERE = Path(__file__).parent
CLASSES = 10
#: Backbones and the side of their images.
BACKBONES = {"embedded": 32, "mobilenetv2_035": 96, "resnet18": 64}
SHARES, BATCHES = (0.0, 0.75), (8, 64)

Act = Callable[[], Any]


def best(acts: Mapping[str, Act], seconds: float) -> dict[str, float]:
    """Return the fewest milliseconds of processor time that each act took, taking turns."""
    fewest = dict.fromkeys(acts, float("inf"))
    for act in acts.values():
        act()
    end = time.perf_counter() + seconds
    turns = 0
    while turns < 4 or time.perf_counter() < end:
        for name, act in acts.items():
            start = time.process_time()
            act()
            fewest[name] = min(fewest[name], 1e3 * (time.process_time() - start))
        turns += 1
    return fewest


def backbone(name: str, share: float, *, last: bool) -> tuple[nn.Module, int]:
    """Return a backbone with random weights, frozen, and how many groups are."""
    torch.manual_seed(0)
    model = build(name, TrainingSettings(models=(name,)), CLASSES, pretrained=False)
    if last:
        laid_out(model)
    depth = round(share * len(layer_groups(model)))
    freeze(model, depth)
    train_mode(model)
    return model, depth


def passes(model: nn.Module, depth: int, images: Tensor, *, half: bool = False) -> Act:
    """Return what passes a batch forward and back through what trains."""
    run, given = model, images
    if depth:
        parts = split(model, depth, images[:2])
        assert isinstance(parts, Split), parts
        run, given = parts.suffix, parts.prefix(images)  # type: ignore[assignment]
    labels = torch.arange(len(images)) % CLASSES

    def act() -> None:
        for parameter in model.parameters():
            parameter.grad = None
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            logits = run(given)
        cross_entropy(logits.float(), labels).backward()

    return act


def formats(name: str, share: float, batch: int, seconds: float) -> dict[str, float]:
    """Return the milliseconds of a pass by order in memory and precision."""
    images = torch.rand(batch, 3, BACKBONES[name], BACKBONES[name])
    last = images.contiguous(memory_format=torch.channels_last)
    return best(
        {
            "plain": passes(*backbone(name, share, last=False), images),
            "images last": passes(*backbone(name, share, last=False), last),
            "both last": passes(*backbone(name, share, last=True), last),
            "both last, bf16": passes(*backbone(name, share, last=True), last, half=True),
        },
        seconds,
    )


def optimizers(name: str, share: float, opt: str, seconds: float) -> dict[str, float]:
    """Return the milliseconds of an optimizer's step by how it walks over the tensors."""
    recipe = Recipe(model=name, epochs=1, opt=opt, layer_decay=0.8, weight_decay=1e-2, momentum=0.9)
    acts: dict[str, Act] = {}
    for way, kwargs in {
        "each": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}
    }.items():  # fmt: skip
        model, _ = backbone(name, share, last=True)
        try:
            optimizer = create_optimizer_v2(
                parameter_groups(model, recipe), opt=opt, lr=1e-3, momentum=0.9, **kwargs
            )
        except TypeError:
            continue
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, 1e-3)
        acts[way] = optimizer.step
    return best(acts, seconds)


def compiled(name: str, share: float, batch: int, seconds: float) -> dict[str, float]:
    """Return the milliseconds of a pass without and with torch.compile, and those of compiling."""
    side = BACKBONES[name]
    images = torch.rand(batch, 3, side, side).contiguous(memory_format=torch.channels_last)
    model, depth = backbone(name, share, last=True)
    plain = passes(copy.deepcopy(model), depth, images)
    torch.compiler.reset()
    if depth:
        parts = split(model, depth, images[:2])
        assert isinstance(parts, Split)
        # The graph itself: the suffix around it chooses between two by the mode.
        graph, given = parts.suffix._parts[1], parts.prefix(images)
        fast = torch.compile(lambda: graph(*given))
    else:
        fast = torch.compile(lambda: model(images))
    labels = torch.arange(batch) % CLASSES

    def act() -> None:
        for parameter in model.parameters():
            parameter.grad = None
        cross_entropy(fast(), labels).backward()

    start = time.perf_counter()
    act()
    first = 1e3 * (time.perf_counter() - start)
    return {"compiling": first, **best({"eager": plain, "compiled": act}, seconds)}


def building(name: str, seconds: float) -> dict[str, float]:
    """Return the milliseconds of what a trial does before its first step."""
    model, _ = backbone(name, 0.75, last=True)
    depth = round(0.75 * len(layer_groups(model)))
    side = BACKBONES[name]
    parts = split(model, depth, torch.rand(2, 3, side, side))
    assert isinstance(parts, Split), parts
    settings = TrainingSettings(models=(name,))
    state = model.state_dict()
    return best(
        {
            "build": lambda: build(name, settings, CLASSES, pretrained=False),
            "copy of one": lambda: copy.deepcopy(model),
            "load weights": lambda: model.load_state_dict(state),
            "bind the split": lambda: parts.plan.bind(model),
        },
        seconds,
    )


def measure(seconds: float, compiling: bool) -> dict[str, Any]:
    """Return all that is measured."""
    cases = [(n, s, b) for n in BACKBONES for s in SHARES for b in BATCHES]
    found: dict[str, Any] = {
        "versions": versions(),
        "bf16": torch.ops.mkldnn._is_mkldnn_bf16_supported(),
        "formats": [[*case, formats(*case, seconds)] for case in cases],
        "optimizers": [
            [n, s, opt, optimizers(n, s, opt, seconds / 2)]
            for n in ("embedded", "mobilenetv2_035")
            for s in (0.0, 0.75, 1.0)
            for opt in ("adamw", "sgd", "rmsprop")
        ],
        "building": [[n, building(n, seconds)] for n in BACKBONES],
        "compiled": [],
    }
    if compiling:
        for case in [c for c in cases if c[:2] == ("embedded", 0.75)]:
            try:
                found["compiled"].append([*case, compiled(*case, seconds)])
            except Exception as error:  # without a C++ compiler there is nothing to measure
                click.echo(f"{case}: {' '.join(str(error).split())[:200]}", err=True)
    return found


def table(rows: list[list[Any]], first: list[str]) -> list[str]:
    """Return rows of ``[name, ..., {way: ms}]`` as Markdown."""
    ways = list(dict.fromkeys(way for row in rows for way in row[-1]))
    lines = [f"| {' | '.join([*first, *ways])} |", "|" + "---|" * (len(first) + len(ways))]
    for *names, times in rows:
        cells = [f"{times[way]:.2f}" if way in times else "-" for way in ways]
        lines.append(f"| {' | '.join([*map(str, names), *cells])} |")
    return lines


def report(found: dict[str, Any]) -> str:
    """Return the results as Markdown."""
    native = "in hardware" if found["bf16"] else "emulated"
    lines = [
        "# A training step, in each of the ways it could be taken",
        "",
        f"Milliseconds of processor time on one core ({platform.machine()}, bfloat16 {native}), "
        f"the fastest of turns; torch {found['versions']['torch']}, timm "
        f"{found['versions']['timm']}. "
        f"Images are {', '.join(f'{s} pixels for {n}' for n, s in BACKBONES.items())}.",
        "",
        "Forward and back through what trains, behind a prefix where groups are frozen, by the "
        "order of weights and images in memory (*last*: channels last):",
        "",
        *table(found["formats"], ["backbone", "frozen", "batch"]),
        "",
        "A step of the optimizer:",
        "",
        *table(found["optimizers"], ["backbone", "frozen", "optimizer"]),
        "",
        "Before the first step of a trial:",
        "",
        *table(found["building"], ["backbone"]),
    ]
    if found["compiled"]:
        rows = []
        for *case, times in found["compiled"]:
            saved = times["eager"] - times["compiled"]
            pays = f"{times['compiling'] / saved:.0f}" if saved > 0 else "never"
            rows.append([*case, pays, times])
        first = ["backbone", "frozen", "batch", "steps until it has paid"]
        lines += [
            "",
            "torch.compile of forward and back.  It is paid once a worker for each depth, batch "
            "size and use of dropout:",
            "",
            *table(rows, first),
        ]
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--seconds", default=2.0, show_default=True, help="A row takes about as long.")
@click.option("--compile/--no-compile", "compiling", default=True, show_default=True)
def main(seconds: float, compiling: bool) -> None:
    """Measure and write ``results/step.json`` and ``.md``."""
    torch.set_num_threads(1)
    found = measure(seconds, compiling)
    (HERE / "results/step.json").write_text(json.dumps(found) + "\n")
    (HERE / "results/step.md").write_text(report(found))
    click.echo(report(found))


if __name__ == "__main__":
    main()
