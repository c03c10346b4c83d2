"""The plain script over a list of recipes: as a process a trial, and in warm processes."""

import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
import torch
from PIL import Image
from plain_training import Job, peak_memory, train_one
from tasks import CORES, GPU_MODELS, Task, environment, settings_for, sized

from evoft.training.data import ArrayPixels, Images, read_images
from evoft.training.precision import Precision

HERE = Path(__file__).parent
#: Recipes, of one epoch each, that the ways are tried on, at least.
TRIED = 4

#: How many scripts run at a time, and the loader processes of each.
Way = tuple[int, int]


def ways(device: str) -> list[Way]:
    """Return the ways to keep a machine busy with scripts, of which the fastest is taken."""
    if device == "cpu":
        found = [(CORES, 0), (CORES, 1), (max(1, CORES // 2), 1), (1, CORES)]
    else:
        found = [(1, max(1, CORES // 2)), *((n, max(1, CORES // n)) for n in (1, 2, 4, 8))]
    return list(dict.fromkeys(found))


def write_files(images: Images, folder: Path) -> list[str]:
    """Return a file for each image; those of an array are written as PNG."""
    if not isinstance(images.pixels, ArrayPixels):
        return list(images.pixels.paths)
    paths = []
    for index, array in enumerate(images.pixels.array):
        paths.append(str(folder / f"{index}.png"))
        Image.fromarray(array).save(paths[-1])
    return paths


def jobs(
    task: Task, recipes: list[dict[str, Any]], crop_pct: float, density: float, folder: Path
) -> list[Job]:
    """Return the plain script's jobs for the same recipes, images, splits, weights, precision."""
    settings = settings_for(task)
    training = settings.training
    images = read_images(training.data, seed=settings.seed)
    paths = write_files(images, folder)
    create: dict[str, Any] = {"pretrained": True}
    if training.checkpoint:
        create |= {"model_name": training.models[0], **training.model_kwargs}
        create["pretrained_cfg_overlay"] = {"file": training.checkpoint}
        size = training.img_size or 224
        if task.name in GPU_MODELS:
            create |= sized(task)
    else:
        embedded = Path(sys.modules["evoft"].__file__ or "").parent / "training/embedded"
        create["model_name"] = f"local-dir:{embedded}"
        size = 32

    def split(name: str) -> tuple[list[str], list[int]]:
        places = images.indices(name)
        return [paths[i] for i in places], [int(images.labels[i]) for i in places]

    return [
        Job(
            recipe=recipe,
            seed=1000 + i,
            classes=len(images.classes),
            img_size=size,
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
            crop_pct=crop_pct,
            create=create,
            train=split("train"),
            val=split("val"),
            loader_workers=0,
            device=task.device,
            half=task.device == "cuda" or Precision.of(torch.device("cpu"), density) is not None,
        )
        for i, recipe in enumerate(recipes)
    ]


def alone(device: str) -> dict[str, str]:
    """Return the environment of a process on a device that takes one core."""
    return {**environment(device), "OMP_NUM_THREADS": "1"}


def run_scripts(made: list[Job], folder: Path, at_a_time: int) -> dict[str, Any]:
    """Evaluate each job in a process of its own.

    Raises:
        ClickException: One of them failed.
    """

    def work(number: int) -> dict[str, Any]:
        job, path = made[number], folder / f"job{number}.json"
        path.write_text(json.dumps(asdict(job)))
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, HERE / "plain_training.py", path], env=alone(job.device),
            check=False, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise failed(done.stderr)
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result | {"seconds": time.perf_counter() - start}

    with ThreadPoolExecutor(at_a_time) as pool:
        return gathered(list(pool.map(work, range(len(made)))))


def run_warm(made: list[Job], _: Path, at_a_time: int) -> dict[str, Any]:
    """Evaluate the jobs in ``at_a_time`` warm processes.

    Raises:
        ClickException: One of them failed.
    """
    local, started = threading.local(), list[subprocess.Popen[str]]()

    def work(number: int) -> dict[str, Any]:
        job = made[number]
        if not hasattr(local, "process"):
            local.process = subprocess.Popen(
                [sys.executable, HERE / "throughput.py", "--warm"], text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=alone(job.device),
            )  # fmt: skip
            started.append(local.process)
        start = time.perf_counter()
        local.process.stdin.write(json.dumps(asdict(job)) + "\n")
        local.process.stdin.flush()
        line = local.process.stdout.readline()
        if not line:
            raise failed("see above")
        result: dict[str, Any] = json.loads(line)
        return result | {"seconds": time.perf_counter() - start}

    try:
        with ThreadPoolExecutor(at_a_time) as pool:
            return gathered(list(pool.map(work, range(len(made)))))
    finally:
        for process in started:  # else they would hold the device's memory while others run
            process.communicate()


def failed(said: str) -> click.ClickException:
    """Return what to say of a script that did not end well."""
    words = (said.strip().splitlines() or ["it said nothing"])[-1]
    return click.ClickException(
        f"a plain script failed ({words}): where memory ran out, run fewer at a time by --way"
    )


def serve_warm() -> None:
    """Train whatever job comes in as a line, in this process."""
    for line in sys.stdin:
        job = Job.read(line)
        result = train_one(job)
        print(json.dumps(result | {"peak_memory": peak_memory(job.device)}), flush=True)


def gathered(done: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the results, in the order of the recipes."""
    return {
        "accuracies": [r["accuracy"] for r in done],
        "seconds": [r["seconds"] for r in done],
        "peak_memory": max(r["peak_memory"] for r in done),
    }


def fastest_way(made: list[Job], folder: Path) -> tuple[Way, list[dict[str, Any]]]:
    """Return how scripts are run fastest, and the seconds of each way that was tried.

    A way in which a script fails, for want of memory for so many, is none.
    """
    tried: list[dict[str, Any]] = []
    choice = ways(made[0].device)
    count = max(TRIED, *(at_a_time for at_a_time, _ in choice))
    for at_a_time, loaders in choice:
        some = [
            replace(job, loader_workers=loaders, recipe={**job.recipe, "epochs": 1})
            for job in made[:count]
        ]
        start = time.perf_counter()
        try:
            run_scripts(some, folder, at_a_time)
        except click.ClickException as error:
            click.echo(f"{at_a_time} at a time: {error.message}", err=True)
            continue
        seconds = time.perf_counter() - start
        tried.append({"at_a_time": at_a_time, "loader_workers": loaders, "seconds": seconds})
        click.echo(f"scripts: {tried[-1]}", err=True)
    if not tried:
        raise click.ClickException("the plain script failed in all ways to run it")
    best = min(tried, key=lambda way: way["seconds"])
    return (best["at_a_time"], best["loader_workers"]), tried
