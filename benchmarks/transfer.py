"""Does evoft's embedded backbone transfer?  Handwritten digits, against random initialisation.

The same architecture is fine-tuned, and linearly probed, from the embedded weights and from
random ones: same recipe, seeds, epochs and split of scikit-learn's digits (1797 images).  Every
arm has the learning rate that suits it best: the one with the best mean validation accuracy over
the seeds, for that arm and number of epochs.  What is compared is the accuracy on test images
that chose nothing.  Plain torch and timm, independent of the evoft package.
"""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from statistics import mean, stdev
from typing import Literal

import click
import numpy as np
import sklearn
import timm
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional

ROOT = Path(__file__).resolve().parents[1]
SEEDS = (0, 1, 2, 3, 4)
EPOCHS = (1, 2, 4)
BATCH_SIZE = 32
WEIGHT_DECAY = 0.01
#: Share of the steps over which the learning rate rises; a cosine takes it to zero after.
WARMUP = 0.1

Start = Literal["embedded", "random"]
#: ``calibrated`` is ``fine-tuned`` with batch norm's statistics taken anew from the training images
#: before the evaluation: the moving average of a short run lags behind the weights, most so from
#: random ones, and a comparison should not turn on that.
Mode = Literal["fine-tuned", "calibrated", "frozen"]
FINE_TUNING_RATES = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
#: Peak learning rates of AdamW tried for every arm of a mode.
SWEEPS: dict[Mode, tuple[float, ...]] = {
    "fine-tuned": FINE_TUNING_RATES,
    "calibrated": FINE_TUNING_RATES,
    "frozen": (1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1),
}


@dataclass(frozen=True, slots=True)
class Part:
    """Inputs (float ``[n, ...]``) with labels (int64 ``[n]``)."""

    inputs: Tensor
    labels: Tensor


@dataclass(frozen=True, slots=True)
class Parts:
    """A split: learn from ``train``, choose on ``validation``, report on ``test``."""

    train: Part
    validation: Part
    test: Part


@dataclass(frozen=True, slots=True, order=True)
class Setting:
    """What a training is, its seed apart."""

    mode: Mode
    epochs: int
    start: Start
    #: Peak learning rate.
    lr: float


@dataclass(frozen=True, slots=True)
class Run:
    """One training and what came out: accuracies in ``[0, 1]``."""

    setting: Setting
    seed: int
    validation: float
    test: float


@dataclass(frozen=True, slots=True)
class Arm:
    """The runs of one setting, over the seeds."""

    setting: Setting
    validation_mean: float
    test_mean: float
    #: Sample standard deviation over the seeds.
    test_std: float


@cache
def digits() -> Parts:
    """Digits as the backbone wants them: 32x32 bilinear, 3 channels, from -1 to 1.

    Half of the images train, a fifth validate, the rest test; always the same, stratified.
    """
    bunch = load_digits()
    small = torch.from_numpy(bunch.images.astype(np.float32) / 16).unsqueeze(1)
    large = functional.interpolate(small, size=(32, 32), mode="bilinear", align_corners=False)
    inputs = ((large - 0.5) / 0.5).repeat(1, 3, 1, 1)
    labels = torch.from_numpy(bunch.target.astype(np.int64))
    train, rest = train_test_split(
        np.arange(len(labels)), train_size=0.5, stratify=bunch.target, random_state=0
    )
    validation, test = train_test_split(
        rest, train_size=0.4, stratify=bunch.target[rest], random_state=0
    )
    return Parts(*(Part(inputs[part], labels[part]) for part in (train, validation, test)))


def backbone(start: Start, weights: Path, seed: int) -> nn.Module:
    """The embedded architecture with ten classes, with its weights or with timm's random ones."""
    torch.manual_seed(seed)
    model: nn.Module = timm.create_model(
        f"local-dir:{weights}", pretrained=start == "embedded", num_classes=10
    )
    return model


def accuracy(model: nn.Module, part: Part) -> float:
    """Share of the part classified right."""
    model.eval()
    with torch.inference_mode():
        guesses = torch.cat([model(inputs).argmax(1) for inputs in torch.split(part.inputs, 256)])
    return float((guesses == part.labels).float().mean())


def fit(model: nn.Module, part: Part, epochs: int, lr: float, seed: int) -> None:
    """Train in place: AdamW, warm-up and cosine, batches of ``BATCH_SIZE``, no augmentation."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=WEIGHT_DECAY)
    per_epoch = len(part.labels) // BATCH_SIZE
    model.train()
    for step in range(epochs * per_epoch):
        if step % per_epoch == 0:
            order = torch.randperm(len(part.labels), generator=generator)
        progress = (step + 0.5) / (epochs * per_epoch)
        for group in optimizer.param_groups:
            group["lr"] = lr * min(progress / WARMUP, 0.5 + 0.5 * math.cos(math.pi * progress))
        chosen = order[step % per_epoch * BATCH_SIZE :][:BATCH_SIZE]
        loss = functional.cross_entropy(model(part.inputs[chosen]), part.labels[chosen])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def calibrate(model: nn.Module, part: Part) -> None:
    """Give batch norm the statistics of these images, leaving all weights as they are."""
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            # A plain average over the batches, instead of a moving one.
            layer.momentum = None
    model.train()
    with torch.no_grad():
        for inputs in torch.split(part.inputs, 256):
            model(inputs)


@cache
def features(start: Start, weights: Path, seed: int) -> Parts:
    """Pooled features ``[n, channels]`` of the frozen backbone, for every part."""
    model = backbone(start, weights, seed)
    if start == "random":
        # Untrained statistics would let the signal drift in scale: an unfair handicap.
        calibrate(model, digits().train)
    model.reset_classifier(0)  # type: ignore[operator]
    model.eval()
    with torch.no_grad():
        return Parts(
            *(
                Part(
                    torch.cat([model(inputs) for inputs in torch.split(part.inputs, 256)]),
                    part.labels,
                )
                for part in (digits().train, digits().validation, digits().test)
            )
        )


@cache
def tuned(setting: Setting, seed: int, weights: Path) -> nn.Module:
    """The whole model trained; kept, because two modes evaluate it."""
    model = backbone(setting.start, weights, seed)
    fit(model, digits().train, setting.epochs, setting.lr, seed)
    return model


def run(setting: Setting, seed: int, weights: Path) -> Run:
    """Train once, or take the model already trained, and evaluate."""
    if setting.mode == "frozen":
        parts = features(setting.start, weights, seed)
        torch.manual_seed(seed)
        model: nn.Module = nn.Linear(parts.train.inputs.shape[1], 10)
        fit(model, parts.train, setting.epochs, setting.lr, seed)
    else:
        parts = digits()
        model = deepcopy(tuned(replace(setting, mode="fine-tuned"), seed, weights))
        if setting.mode == "calibrated":
            calibrate(model, parts.train)
    return Run(setting, seed, accuracy(model, parts.validation), accuracy(model, parts.test))


def settings(epochs: Sequence[int]) -> list[Setting]:
    """Every mode, number of epochs, start and learning rate, in the order of the table."""
    starts: tuple[Start, ...] = ("embedded", "random")
    return sorted(
        Setting(mode, number, start, lr)
        for mode, rates in SWEEPS.items()
        for number in epochs
        for start in starts
        for lr in rates
    )


def summarise(setting: Setting, runs: Sequence[Run]) -> Arm:
    """The arm of this setting's runs."""
    same = [run for run in runs if run.setting == setting]
    tests = [run.test for run in same]
    return Arm(
        setting=setting,
        validation_mean=mean(run.validation for run in same),
        test_mean=mean(tests),
        test_std=stdev(tests) if len(tests) > 1 else 0.0,
    )


def best(arms: Sequence[Arm]) -> list[Arm]:
    """For every mode, number of epochs and start, the arm whose rate validates best."""
    winners: dict[tuple[Mode, int, Start], Arm] = {}
    for arm in arms:
        key = arm.setting.mode, arm.setting.epochs, arm.setting.start
        if key not in winners or arm.validation_mean > winners[key].validation_mean:
            winners[key] = arm
    return list(winners.values())


def row(arm: Arm) -> str:
    """A markdown table's row, accuracies in per cent."""
    setting = arm.setting
    return (
        f"| {setting.mode} | {setting.epochs} | {setting.start} | {setting.lr:g} "
        f"| {100 * arm.validation_mean:.1f} | {100 * arm.test_mean:.1f} "
        f"| {100 * arm.test_std:.1f} |"
    )


def table(arms: Sequence[Arm]) -> str:
    """A markdown table of these arms."""
    head = "| mode | epochs | start | learning rate | validation % | test % | std |"
    return "\n".join([head, "|---|---|---|---|---|---|---|", *map(row, arms)])


def versions() -> dict[str, str]:
    """What the numbers depend on beside the code."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "timm": timm.__version__,
        "scikit-learn": sklearn.__version__,
    }


def report(arms: Sequence[Arm], seeds: Sequence[int]) -> str:
    """The markdown page: command, versions, recipe, the arms at their best, the whole sweep."""
    named = ", ".join(f"{name} {version}" for name, version in versions().items())
    sizes = [len(part.labels) for part in (digits().train, digits().validation, digits().test)]
    return f"""# Transfer of the embedded backbone

`python benchmarks/transfer.py` with {named}; one CPU thread.

scikit-learn's digits at 32x32: {sizes[0]} training, {sizes[1]} validation and {sizes[2]} test
images; AdamW, batches of {BATCH_SIZE}, warm-up and cosine, no augmentation; mean and sample
standard deviation over {len(seeds)} seeds.  Learning rates were chosen by validation accuracy,
for every row apart.

- *fine-tuned*: all weights learn; evaluated as trained.
- *calibrated*: the same models, batch norm's statistics taken anew from the training images
  before the evaluation.  In so few steps the moving average lags behind the weights, most so from
  random ones: without this, the random rows would look worse than their weights are.
- *frozen*: linear probe (the random backbone's batch norm is calibrated first).

{table(best(arms))}

## The whole sweep

{table(arms)}
"""


@click.command()
@click.option(
    "--weights",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=ROOT / "evoft" / "training" / "embedded",
    help="Folder of the backbone.",
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=ROOT / "benchmarks" / "results",
    help="Folder for transfer.json and transfer.md.",
)
@click.option("--epochs", type=int, multiple=True, default=EPOCHS, show_default=True)
@click.option("--seeds", "number", default=len(SEEDS), show_default=True)
def main(weights: Path, output: Path, epochs: tuple[int, ...], number: int) -> None:
    """Compare the embedded backbone with random initialisation on digits."""
    torch.set_num_threads(1)
    seeds = range(number)
    arranged = settings(epochs)
    runs = [run(setting, seed, weights) for setting in arranged for seed in seeds]
    arms = [summarise(setting, runs) for setting in arranged]
    output.mkdir(parents=True, exist_ok=True)
    content = {
        "versions": versions(),
        "best": [asdict(arm) for arm in best(arms)],
        "arms": [asdict(arm) for arm in arms],
        "runs": [asdict(one) for one in runs],
    }
    (output / "transfer.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    text = report(arms, seeds)
    (output / "transfer.md").write_text(text, encoding="utf-8")
    click.echo(text)


if __name__ == "__main__":
    main()
