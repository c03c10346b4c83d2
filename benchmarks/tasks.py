"""What throughput is measured on: images, a backbone, a device."""

import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evoft.machine import usable_cores
from evoft.settings import RunSettings, Settings, TrainingSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).parent
DATA = Path(os.environ.get("EVOFT_DATA", HERE.parent.parent / "shared/data"))
CORES = usable_cores()

#: The tasks that want a GPU, and their backbones.
GPU_MODELS = {"gpu_resnet50": "resnet50", "gpu_vit": "vit_small_patch16_224"}
TASKS = ("digits", "sign_digits", *GPU_MODELS)


@dataclass(frozen=True)
class Task:
    """A task, as the command line names it."""

    name: str
    epochs: int
    #: ``cpu`` or ``cuda``.
    device: str = "cpu"
    #: Of the tasks that want a GPU: how many images are drawn, and the side that the backbone sees.
    images: int = 3000
    size: int = 224
    #: Where what is drawn lies.
    folder: str = ""
    #: evoft's worker processes; 0: one a core, or on a GPU as many as evoft takes.
    workers: int = 0
    #: Another backbone than the one that the task is named for.
    model: str = ""

    @property
    def is_generated(self) -> bool:
        """Whether its images and weights are made here."""
        return self.name in GPU_MODELS

    @property
    def backbone(self) -> str:
        """What timm calls the backbone, of the tasks that want a GPU."""
        return self.model or GPU_MODELS[self.name]

    @property
    def checkpoint(self) -> Path:
        """The file of the weights that all start from, where they are made here."""
        return Path(self.folder) / f"{self.backbone}-{self.size}.safetensors"

    def options(self) -> list[str]:
        """Return the options that name this task to another process."""
        named = {f.name: str(getattr(self, f.name)) for f in fields(self)}
        named["task"] = named.pop("name")
        return [word for name, value in named.items() for word in (f"--{name}", value)]


def task_options(default: tuple[str, ...]) -> Callable[[Any], Any]:
    """Return what gives a command the options of tasks; all but names and device are ``Task``'s."""
    options = [
        click.option("--task", "names", type=click.Choice(TASKS), multiple=True, default=default,
                     show_default=True),
        click.option("--device", type=click.Choice(["cpu", "cuda"]),
                     help="Default: cuda for the tasks that are named for it, else cpu."),
        click.option("--epochs", default=3, show_default=True),
        click.option("--images", default=3000, show_default=True, help="Drawn, for the gpu tasks."),
        click.option("--size", default=224, show_default=True, help="Side of what is drawn."),
        click.option("--workers", default=0,
                     help="evoft's; default: one a core, on a GPU as many as evoft takes."),
        click.option("--model", default="", help="Another backbone, for the gpu tasks."),
        click.option("--folder", default="", help="Where what is drawn stays; default: nowhere."),
    ]  # fmt: skip

    def give(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return give


def device_of(name: str) -> str:
    """Return the device of a task that is not told another."""
    return "cuda" if name in GPU_MODELS else "cpu"


def environment(device: str) -> "Mapping[str, str]":
    """Return the environment of a process that sees the device that it is to work on."""
    return {**os.environ, **({"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {})}


def settings_of(task: str, epochs: int) -> Settings:
    """Return the settings of a task on the CPU that needs nothing to be made first."""
    return settings_for(Task(task, epochs))


def settings_for(task: Task) -> Settings:
    """Return the settings of a task."""
    if task.device == "cpu":
        run = RunSettings(devices="cpu", workers=task.workers or CORES)
    else:
        run = RunSettings(devices="0", workers=task.workers or None)
    return Settings(training=_training(task), run=run)


def _training(task: Task) -> TrainingSettings:
    if task.name == "digits":
        return TrainingSettings(epochs=task.epochs)
    if task.name == "sign_digits":
        given: dict[str, Any] = {
            "data": str(DATA / "images/sign_digits"),
            "models": ("mobilenetv2_035",),
            "checkpoint": str(DATA / "weights/mobilenetv2_035.in1k.safetensors"),
            "model_kwargs": {"pad_type": "same", "bn_eps": 1e-3},
            "img_size": 96,
        }
    else:
        given = {
            "data": str(_drawn(task)),
            "models": (task.backbone,),
            "checkpoint": str(task.checkpoint),
            "img_size": task.size,
        }
    half = (0.5, 0.5, 0.5)
    return TrainingSettings(epochs=task.epochs, mean=half, std=half, **given)


def _drawn(task: Task) -> Path:
    return Path(task.folder) / f"images-{task.images}-{task.size}"


def make(task: Task) -> None:
    """Draw a task's images and its weights, unless they are there.

    Without the internet there are no pretrained weights.  Random ones are drawn once, and both
    sides load them from one file: layers that start from other weights in each trial could not be
    shared.
    """
    if not task.is_generated:
        return
    folder, weights = _drawn(task), task.checkpoint
    if not folder.exists():
        from generated_images import write

        part = folder.with_suffix(".part")
        write(part, task.images, task.size * 8 // 7)
        part.rename(folder)
    if not weights.exists():
        import timm
        import torch
        from safetensors.torch import save_file

        torch.manual_seed(0)
        model = timm.create_model(task.backbone, **sized(task))
        part = weights.with_suffix(".part")
        save_file({name: t.contiguous() for name, t in model.state_dict().items()}, part)
        part.rename(weights)


def sized(task: Task) -> dict[str, int]:
    """Return what a backbone of one image size alone must be told of it."""
    import timm

    config = timm.get_pretrained_cfg(task.backbone)
    return {"img_size": task.size} if config.fixed_input_size else {}
