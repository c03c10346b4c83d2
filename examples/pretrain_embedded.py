"""Pretrain a small timm backbone on images from formulas, and save it for plain timm.

This made ``evoft/training/embedded``, the backbone that evoft ships: no image of any data set is
involved, so neither licences nor downloads are.  The masks of ``formula_images`` are classified
under random placement, colours, clutter, blur and noise; the classifier is dropped at the end.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import timm
import torch
from formula_images import SIDE, FormulaImages, draw_images
from timm.models import save_for_hf
from torch import Generator, Tensor, nn
from torch.nn import functional

#: Pixels enter the model as ``(value - MEAN) / STD``, value in ``[0, 1]``.
MEAN = STD = 0.5


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast to learn."""

    epochs: int
    #: Ends the run (its learning rate at zero) however many epochs are left; none: no limit.
    minutes: float | None
    #: AdamW's peak learning rate, after a warm-up of a twentieth of the run, then a cosine.
    lr: float
    batch_size: int
    weight_decay: float = 0.05
    smoothing: float = 0.1
    #: Share of the classes' images kept to measure what was learnt.
    held_out: float = 0.02

    def progress(self, step: int, steps: int, seconds: float) -> float:
        """Share of the run that is over, ``[0, 1]``, by steps or by time, whichever is more."""
        by_time = seconds / (60 * self.minutes) if self.minutes else 0.0
        return min(max(step / steps, by_time), 1.0)

    def lr_at(self, progress: float) -> float:
        """The learning rate at this share of the run."""
        return self.lr * min(progress / 0.05, 0.5 + 0.5 * math.cos(math.pi * progress))


class Scene:
    """Turns masks into colour images as a model wants them, at random.

    Every method takes and returns floats; images are ``[images, 3, side, side]`` in ``[0, 1]``.
    """

    def __init__(self, generator: Generator) -> None:
        self._generator = generator

    def uniform(self, low: float, high: float, *size: int) -> Tensor:
        """Uniform numbers of this size."""
        unit: Tensor = torch.rand(size, generator=self._generator)
        return low + (high - low) * unit

    def chance(self, probability: float, images: int) -> Tensor:
        """Bool ``[images, 1, 1, 1]``, each true with this probability."""
        return self.uniform(0, 1, images, 1, 1, 1) < probability

    def place(self, masks: Tensor, padding: str) -> Tensor:
        """Masks ``[images, 1, side, side]`` rotated, scaled, sheared and shifted a little."""
        images = len(masks)
        angle, shear = self.uniform(-0.2, 0.2, images), self.uniform(-0.15, 0.15, images)
        scale_x, scale_y = self.uniform(-0.3, 0.3, 2, images).exp()
        shift_x, shift_y = self.uniform(-0.2, 0.2, 2, images)
        top = [scale_x * angle.cos(), -scale_y * (angle + shear).sin(), shift_x]
        low = [scale_x * angle.sin(), scale_y * angle.cos(), shift_y]
        matrices = torch.stack(top + low, -1).view(images, 2, 3)
        grid = functional.affine_grid(matrices, list(masks.shape), align_corners=False)
        placed: Tensor = functional.grid_sample(
            masks, grid, padding_mode=padding, align_corners=False
        )
        return placed

    def colour(self, masks: Tensor) -> Tensor:
        """Foreground and background in random colours, apart in brightness, half of them grey."""
        images = len(masks)
        colours = self.uniform(0, 1, 2, images, 3, 1, 1)
        grey = self.uniform(0, 1, 2, images, 1, 1, 1).expand(-1, -1, 3, -1, -1)
        back, fore = torch.where(self.chance(0.5, images), grey, colours)
        # Low contrast teaches invariance up to a point only: then it is noise on the label.
        gap = (fore - back).mean(1, keepdim=True)
        push = torch.where(gap >= 0, 1.0, -1.0) * (0.3 - gap.abs()).clamp(min=0)
        fore, back = (fore + push / 2).clamp(0, 1), (back - push / 2).clamp(0, 1)
        coloured: Tensor = back + masks * (fore - back)
        return coloured

    def soften(self, images: Tensor) -> Tensor:
        """A third of the images at half the resolution, and a tenth at a quarter."""
        for probability, factor in ((0.35, 2), (0.1, 4)):
            coarse = functional.avg_pool2d(images, factor)
            smooth = functional.interpolate(coarse, scale_factor=factor, mode="bilinear")
            images = torch.where(self.chance(probability, len(images)), smooth, images)
        return images

    def disturb(self, images: Tensor) -> Tensor:
        """Clutter from another image's brightness, a slope of light, and pixel noise."""
        number = len(images)
        other = images.roll(1, 0).flip(-1).mean(1, keepdim=True) - 0.5
        clutter = self.uniform(0, 0.35, number, 1, 1, 1) * self.chance(0.4, number)
        ramp = torch.linspace(-1, 1, images.shape[-1])
        slope_x, slope_y = self.uniform(-0.2, 0.2, 2, number, 1, 1, 1)
        noise = torch.randn(images.shape, generator=self._generator)
        level = self.uniform(0, 0.1, number, 1, 1, 1) * self.chance(0.6, number)
        light = ramp.view(1, 1, 1, -1) * slope_x + ramp.view(1, 1, -1, 1) * slope_y
        disturbed: Tensor = images + clutter * other + light + level * noise
        return disturbed.clamp(0, 1)

    def render(self, masks: Tensor, textures: Tensor) -> Tensor:
        """Normalised images of uint8 masks ``[images, side, side]``; ``textures``: bool, each."""
        grey, placed = masks.unsqueeze(1).float() / 255, torch.empty(len(masks), 1, SIDE, SIDE)
        # Outside a shape there is background; outside a texture there is more of it.
        for chosen, padding in ((textures, "reflection"), (~textures, "zeros")):
            if chosen.any():
                placed[chosen] = self.place(grey[chosen], padding)
        return (self.disturb(self.soften(self.colour(placed))) - MEAN) / STD


@dataclass(frozen=True, slots=True)
class Split:
    """Masks (uint8, ``[n, side, side]``) and labels (int64, ``[n]``)."""

    masks: Tensor
    labels: Tensor
    first_texture: int

    def batches(self, scene: Scene, size: int, order: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Rendered images and labels in this order of indices."""
        for chosen in torch.split(order, size):
            labels = self.labels[chosen]
            yield scene.render(self.masks[chosen], labels >= self.first_texture), labels


def split(images: FormulaImages, share: float, generator: Generator) -> tuple[Split, Split]:
    """Training and held-out images, the latter this share of all, at random."""
    order = torch.randperm(len(images.labels), generator=generator)
    held = max(round(share * len(order)), 1)
    masks, labels = torch.from_numpy(images.masks), torch.from_numpy(images.labels)
    train, test = (
        Split(masks[part], labels[part], images.first_texture)
        for part in (order[held:], order[:held])
    )
    return train, test


def accuracy(model: nn.Module, data: Split, scene: Scene) -> float:
    """Share of the images classified right."""
    model.eval()
    right = 0
    with torch.inference_mode():
        for inputs, labels in data.batches(scene, 256, torch.arange(len(data.labels))):
            right += int((model(inputs).argmax(1) == labels).sum())
    return right / len(data.labels)


def optimizer_of(model: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    """AdamW that decays matrices and kernels alone, not biases and normalisation scales."""
    weights = [weight for weight in model.parameters() if weight.ndim > 1]
    others = [weight for weight in model.parameters() if weight.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": weights}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=schedule.lr, weight_decay=schedule.weight_decay)


def train(
    model: nn.Module, data: Split, test: Split, schedule: Schedule, generator: Generator
) -> None:
    """Train the model in place, telling the loss and the held-out accuracy of every epoch."""
    scene, optimizer = Scene(generator), optimizer_of(model, schedule)
    steps = schedule.epochs * math.ceil(len(data.labels) / schedule.batch_size)
    start, step, progress = time.monotonic(), 0, 0.0
    for epoch in range(schedule.epochs):
        model.train()
        total = 0.0
        order = torch.randperm(len(data.labels), generator=generator)
        for inputs, labels in data.batches(scene, schedule.batch_size, order):
            progress = schedule.progress(step, steps, time.monotonic() - start)
            for group in optimizer.param_groups:
                group["lr"] = schedule.lr_at(progress)
            loss = functional.cross_entropy(
                model(inputs), labels, label_smoothing=schedule.smoothing
            )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            step, total = step + 1, total + loss.item() * len(labels)
            if progress >= 1:
                break
        click.echo(
            f"epoch {epoch + 1}/{schedule.epochs}  loss {total / len(order):.3f}  "
            f"held-out {accuracy(model, test, Scene(generator)):.3f}  "
            f"{time.monotonic() - start:.0f} s"
        )
        if progress >= 1:
            return


def pretrained_cfg(architecture: str, output_stride: int) -> dict[str, Any]:
    """What timm must know of these weights beside what it knows of the architecture."""
    return {
        "tag": "formula_images",
        "input_size": [3, SIDE, SIDE],
        "pool_size": [math.ceil(SIDE / output_stride)] * 2,
        "mean": [MEAN] * 3,
        "std": [STD] * 3,
        "interpolation": "bicubic",
        "crop_pct": 1.0,
        "crop_mode": "center",
        "license": "apache-2.0",
        "description": f"{architecture} pretrained by evoft on images from formulas",
    }


def save(model: nn.Module, output_stride: int, output: Path) -> None:
    """Write ``config.json`` and ``model.safetensors``, without the classifier, file by file whole.

    The files are complete before they take their names, so a reader never sees half of one.
    """
    model.reset_classifier(0)  # type: ignore[operator]
    model.eval()
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output) as folder:
        # Stated, because not every version of timm keeps what the model was created with.
        made_with = {"output_stride": output_stride}
        save_for_hf(model, folder, model_args=made_with, safe_serialization=True)
        for name in ("model.safetensors", "config.json"):
            Path(folder, name).chmod(0o644)
            Path(folder, name).replace(output / name)


@dataclass(frozen=True, slots=True)
class Settings:
    """One run of this script, as its options describe it."""

    output: Path
    architecture: str
    output_stride: int
    epochs: int
    minutes: float | None
    seed: int
    classes: int
    images: int
    lr: float
    batch_size: int
    threads: int


def pretrain(settings: Settings) -> None:
    """Draw the images, train on them, and save the backbone."""
    torch.set_num_threads(settings.threads)
    generator = Generator().manual_seed(settings.seed)
    drawn = draw_images(settings.classes, settings.images, settings.seed)
    click.echo(f"{drawn.classes} classes, {len(drawn.labels)} images")
    # timm draws initial weights from torch's global generator: seeded in a fork, then put back.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = timm.create_model(
            settings.architecture,
            num_classes=drawn.classes,
            output_stride=settings.output_stride,
            pretrained_cfg_overlay=pretrained_cfg(settings.architecture, settings.output_stride),
        )
    schedule = Schedule(settings.epochs, settings.minutes, settings.lr, settings.batch_size)
    data, test = split(drawn, schedule.held_out, generator)
    train(model, data, test, schedule, generator)
    save(model, settings.output_stride, settings.output)


@click.command()
@click.option("--output", type=click.Path(path_type=Path), required=True, help="Folder to write.")
@click.option("--architecture", default="test_byobnet", show_default=True, help="timm name.")
@click.option("--output-stride", default=8, show_default=True, type=click.Choice([8, 16, 32]))
@click.option("--epochs", default=16, show_default=True)
@click.option("--minutes", type=float, help="Train no longer than this (no longer repeatable).")
@click.option("--seed", default=0, show_default=True)
@click.option("--classes", default=128, show_default=True, help="Per family, of four.")
@click.option("--images", default=200, show_default=True, help="Masks per class.")
@click.option("--lr", default=4e-3, show_default=True)
@click.option("--batch-size", default=128, show_default=True)
@click.option("--threads", default=1, show_default=True, help="CPU threads.")
def main(**options: Any) -> None:
    """Pretrain a timm architecture on images from formulas, and save it for timm."""
    pretrain(Settings(**options))


if __name__ == "__main__":
    main()
