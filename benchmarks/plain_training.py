"""Fine-tune one recipe the plain way, as a user of a general tuner would write the trial.

    python benchmarks/plain_training.py JOB.json

A competent PyTorch and timm script: image files on disk, a DataLoader, torchvision transforms,
frozen parameters without gradients and in evaluation mode, channels last, timm's optimizer; on a
GPU mixed precision, pinned memory and transfers that nobody waits for.  It shares no code with
evoft.  ``throughput.py`` also runs ``train_one`` in a warm process.
"""

import json
import math
import re
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import timm
import torch
from PIL import Image
from timm.models import group_parameters
from timm.optim import create_optimizer_v2
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, default_collate
from torchvision.transforms import v2


class Files(Dataset[tuple[Tensor, int]]):
    """Images in files."""

    def __init__(self, paths: list[str], labels: list[int], transform: Any) -> None:
        self.paths, self.labels, self.transform = paths, labels, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        with Image.open(self.paths[index]) as image:
            return self.transform(image.convert("RGB")), self.labels[index]


@dataclass(frozen=True)
class Job:
    """One trial: the recipe, and where everything is."""

    recipe: dict[str, Any]
    seed: int
    classes: int
    img_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop_pct: float  # timm's: the share of the resized image's side that is kept
    create: dict[str, Any]  # arguments of timm.create_model
    train: tuple[list[str], list[int]]
    val: tuple[list[str], list[int]]
    loader_workers: int
    device: str  # cpu or cuda
    half: bool  # whether it is to train in mixed precision

    @staticmethod
    def read(text: str) -> "Job":
        """Return the job that a JSON text describes."""
        return Job(**json.loads(text))


def transforms(job: Job) -> tuple[Any, Any]:
    """Return the transforms of training and of validation."""
    scale = math.floor(job.img_size / job.crop_pct)
    resize = v2.Compose(
        [
            v2.Resize(scale, interpolation=v2.InterpolationMode.BICUBIC, antialias=True),
            v2.CenterCrop(job.img_size),
        ]
    )
    finish = [
        v2.ToImage(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(job.mean, job.std),
    ]
    strength, recipe = job.recipe["augment"], job.recipe
    change: list[Any] = []
    if recipe["hflip"]:
        change.append(v2.RandomHorizontalFlip(recipe["hflip"]))
    if strength:
        change += [
            v2.RandomAffine(
                degrees=28.6 * strength,
                translate=(0.2 * strength, 0.2 * strength),
                scale=(math.exp(-0.4 * strength), math.exp(0.4 * strength)),
                shear=17 * strength,
                interpolation=v2.InterpolationMode.BILINEAR,
                fill=128,
            ),
            v2.ColorJitter(0.5 * strength, 0.5 * strength, 0.5 * strength),
        ]
    erase = [v2.RandomErasing(recipe["reprob"])] if recipe["reprob"] else []
    return v2.Compose([resize, *change, *finish, *erase]), v2.Compose([resize, *finish])


def collated(mix: Any, batch: Any) -> Any:
    """Return images and labels as batches, mixed if that is asked for."""
    images, labels = default_collate(batch)
    return mix(images, labels) if mix else (images, labels)


def loaders(job: Job) -> tuple[Any, Any]:
    """Return the loaders of training and of validation."""
    train_transform, val_transform = transforms(job)
    recipe = job.recipe
    mixes = []
    if recipe["mixup"]:
        mixes.append(v2.MixUp(alpha=recipe["mixup"], num_classes=job.classes))
    if recipe["cutmix"]:
        mixes.append(v2.CutMix(alpha=recipe["cutmix"], num_classes=job.classes))
    collate = partial(collated, v2.RandomChoice(mixes) if mixes else None)
    common: dict[str, Any] = {
        "pin_memory": job.device == "cuda",
        "num_workers": job.loader_workers,
        "persistent_workers": job.loader_workers > 0,
    }
    train = Files(*job.train, train_transform)
    batch = min(recipe["batch_size"], len(train))
    return (
        DataLoader(train, batch, shuffle=True, drop_last=True, collate_fn=collate, **common),
        # Smaller parts where many processes share the work of loading them.
        DataLoader(Files(*job.val, val_transform), 256 if job.device == "cpu" else 64, **common),
    )


def groups_of(model: nn.Module) -> tuple[list[list[str]], set[str]]:
    """Return timm's layer groups of the trunk, and the classifier's names."""
    head = {id(p) for p in model.get_classifier().parameters()}
    names = {name for name, p in model.named_parameters() if id(p) in head}
    found = group_parameters(model, model.group_matcher(coarse=False))
    trunk = [[n for n in found[key] if n not in names] for key in sorted(found)]
    return [group for group in trunk if group], names


def prepare(model: nn.Module, recipe: dict[str, Any]) -> tuple[list[nn.Module], Any]:
    """Freeze the first layer groups; return the frozen modules and the optimizer."""
    trunk, head = groups_of(model)
    frozen = {name for group in trunk[: recipe["freeze_depth"]] for name in group}
    scale = dict.fromkeys(head, recipe["head_lr_factor"])
    for index, group in enumerate(trunk):
        scale |= dict.fromkeys(group, recipe["layer_decay"] ** (len(trunk) - 1 - index))
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in frozen)
        if name not in frozen:
            decay = recipe["weight_decay"] if parameter.ndim > 1 else 0.0
            groups.setdefault((scale[name], decay), []).append(parameter)
    optimizer = create_optimizer_v2(
        [
            {"params": p, "lr": recipe["lr"] * s, "peak": recipe["lr"] * s, "weight_decay": d}
            for (s, d), p in groups.items()
        ],
        opt=recipe["opt"],
        lr=recipe["lr"],
        momentum=recipe["momentum"],
    )
    still = [
        module
        for module in model.modules()
        if list(module.parameters()) and not any(p.requires_grad for p in module.parameters())
    ]
    return still, optimizer


def factor(recipe: dict[str, Any], progress: float) -> float:
    """Return the learning rate as a share of its peak."""
    if progress < recipe["warmup"]:
        return progress / recipe["warmup"]
    falls = max(recipe["warmup"], 1 - recipe["cooldown"])
    if progress < falls:
        return 1.0
    done = (progress - falls) / (1 - falls)
    return {
        "linear": 1 - done,
        "cosine": 0.5 * (1 + math.cos(math.pi * done)),
        "step": 0.1 ** min(int(3 * done), 2),
        "constant": 1.0,
    }[recipe["sched"]]


@dataclass(frozen=True)
class Place:
    """Where a model is trained, and in what precision."""

    device: torch.device
    dtype: torch.dtype | None  # of mixed precision; None: float32

    @staticmethod
    def of(job: Job) -> "Place":
        """Return float32, or for mixed precision bfloat16, but float16 on a GPU without it."""
        device = torch.device(job.device)
        if not job.half:
            return Place(device, None)
        native = device.type == "cpu" or torch.cuda.is_bf16_supported(including_emulation=False)
        return Place(device, torch.bfloat16 if native else torch.float16)

    def scaler(self) -> torch.amp.GradScaler:
        """Return what scales gradients in float16, and does nothing else."""
        return torch.amp.GradScaler(self.device.type, enabled=self.dtype is torch.float16)

    def autocast(self) -> torch.autocast:
        """Return the context of a forward pass."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None)

    def take_model(self, model: nn.Module) -> nn.Module:
        """Return the model, on the device."""
        torch.backends.cudnn.benchmark = True  # as timm's own training script has it
        return model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]

    def take(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return a batch, on the device."""
        return (
            images.to(self.device, non_blocking=True, memory_format=torch.channels_last),
            labels.to(self.device, non_blocking=True),
        )


def train_one(job: Job) -> dict[str, Any]:
    """Train and validate a recipe for all its epochs."""
    torch.set_num_threads(1)
    torch.manual_seed(job.seed)
    recipe, place = job.recipe, Place.of(job)
    model = timm.create_model(
        **job.create,
        num_classes=job.classes,
        drop_rate=recipe["drop"],
        drop_path_rate=recipe["drop_path"],
    )
    model = place.take_model(model)
    still, optimizer = prepare(model, recipe)
    train, val = loaders(job)
    loss_of, scaler = nn.CrossEntropyLoss(label_smoothing=recipe["smoothing"]), place.scaler()
    accuracy = 0.0
    for epoch in range(recipe["epochs"]):
        model.train()
        for module in still:
            module.eval()
        for step, batch in enumerate(train):
            images, labels = place.take(*batch)
            for group in optimizer.param_groups:
                done = (epoch + (step + 0.5) / len(train)) / recipe["epochs"]
                group["lr"] = group["peak"] * factor(recipe, done)
            optimizer.zero_grad()
            with place.autocast():
                loss = loss_of(model(images), labels)
            if recipe["l1"]:
                weights = (p for p in model.parameters() if p.requires_grad and p.ndim > 1)
                loss = loss + recipe["l1"] * sum(p.abs().sum() for p in weights)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        accuracy = validate(model, val, place)
    return {"accuracy": accuracy}


@torch.inference_mode()
def validate(model: nn.Module, loader: Any, place: Place) -> float:
    """Return the share of the images that are classified rightly."""
    model.eval()
    right, total = torch.zeros((), dtype=torch.int64, device=place.device), 0
    for batch in loader:
        images, labels = place.take(*batch)
        with place.autocast():
            right += (model(images).argmax(dim=1) == labels).sum()
        total += len(labels)
    return int(right) / total


def peak_memory(device: str) -> int:
    """Return the most bytes that this process had: allocated on a GPU, else resident, on Linux."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0


if __name__ == "__main__":
    job = Job.read(Path(sys.argv[1]).read_text())
    result = train_one(job)
    print(json.dumps(result | {"peak_memory": peak_memory(job.device)}))
