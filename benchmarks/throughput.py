"""How fast a list of recipes is evaluated: evoft against plain training scripts.

    python benchmarks/throughput.py --task digits
    python benchmarks/throughput.py --task sign_digits

The same recipes, drawn from the default space with a fixed seed, are evaluated by

- ``evoft``: its worker processes, from a cold start to the last outcome;
- ``scripts``: one process a trial running ``plain_training.py``, as many at a time as there are
  cores: the way a user of a general tuner would write it;
- ``warm``: the same plain loop in as many warm processes as there are cores, each taking the next
  trial when it is done, so that no trial pays for interpreter and imports.

All three use one torch thread a process, which was faster here than one process with more.  How
many scripts run at a time, and with how many loader processes each, is the fastest of a few ways,
measured first on some of the recipes.  The three alternate, and medians are reported.
``sign_digits`` needs the data folder that ``EVOFT_DATA`` names (default ``../shared/data``).
"""

import json
import os
import platform
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from PIL import Image

from evoft.environment import versions
from evoft.fine_tuning.depths import freeze_depths
from evoft.fine_tuning.preparation import Preparation, expression_of
from evoft.genome import Genome
from evoft.recipe import Recipe
from evoft.scheduling import next_job
from evoft.scratch import Scratch
from evoft.search.space import SearchSpace
from evoft.seeds import generator
from evoft.settings import RunSettings, Settings, TrainingSettings
from evoft.training.data import ArrayPixels, Images, read_images
from evoft.training.default_space import default_genes
from evoft.training.fine_tuner import FineTuner
from evoft.trial import Trial

if TYPE_CHECKING:
    from plain_training import Job

HERE = Path(__file__).parent
DATA = Path(os.environ.get("EVOFT_DATA", HERE.parent.parent / "shared/data"))
CORES = len(os.sched_getaffinity(0))
#: Ways to keep the cores busy with scripts: how many at a time, loader processes of each.
WAYS = ((CORES, 0), (CORES, 1), (max(1, CORES // 2), 1), (1, CORES))
#: Recipes, of one epoch each, that the ways are tried on.
TRIED = 4


def settings_of(task: str, epochs: int) -> Settings:
    """Return the settings of a task."""
    if task == "digits":
        training = TrainingSettings(epochs=epochs)
    else:
        training = TrainingSettings(
            data=str(DATA / "images/sign_digits"),
            models=("mobilenetv2_035",),
            checkpoint=str(DATA / "weights/mobilenetv2_035.in1k.safetensors"),
            model_kwargs={"pad_type": "same", "bn_eps": 1e-3},
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
            img_size=96,
            epochs=epochs,
        )
    return Settings(training=training, run=RunSettings(devices="cpu", workers=CORES))


def genomes(count: int) -> list[Genome]:
    """Return genomes drawn evenly from the default space, always the same."""
    space = SearchSpace.from_dict(default_genes(["any"]))
    return [space.sample(generator(0, "throughput", i)) for i in range(count)]


def run_evoft(settings: Settings, count: int) -> dict[str, Any]:
    """Evaluate the recipes with evoft's workers; return accuracies, memory and recipes."""
    space = SearchSpace.from_dict(default_genes(settings.training.models))
    with Preparation(settings) as preparation:
        plan = preparation.plan(Path("unused.h5"), space)
        express = expression_of(settings, plan.backbones, space)
        pixels = preparation.decode(plan, None)
        workers = preparation.workers
        scratch = Scratch()
        workers.bequeath(scratch.path)
        depths = {f.model: freeze_depths(space, settings.fixed, f) for f in plan.backbones}
        tuner = FineTuner(settings.training, express, pixels, None, scratch.path, depths)
        workers.retarget(tuner, plan.devices)
        policy = plan.forecast
        policy.company = tuner.company
        waiting = [Trial(i, genome, 1000 + i) for i, genome in enumerate(genomes(count))]
        recipes = [express(trial.genome).to_dict() for trial in waiting]
        outcomes: dict[int, Any] = {}
        while waiting or workers.busy:
            while workers.idle and waiting:
                near = workers.at_hand
                job = next_job(waiting, policy, len(plan.devices), last=True, at_hand=near)
                waiting = [trial for trial in waiting if trial not in job]
                workers.submit(*job, kin=policy.kin(job[0]))
            for trial, outcome in workers.collect():
                outcomes[trial.individual] = outcome
    done = [outcomes[i] for i in range(count)]
    return {
        "accuracies": [o.fitness for o in done],
        "statuses": [str(o.status) for o in done],
        "seconds": [o.seconds for o in done],
        "peak_memory": max(o.peak_memory for o in done),
        "recipes": recipes,
        "layer_groups": plan.backbones[0].layer_groups,
        "crop_pct": plan.backbones[0].preprocessing.crop_pct,
    }


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
    settings: Settings, recipes: list[dict[str, Any]], crop_pct: float, folder: Path
) -> "list[Job]":
    """Return the plain script's jobs for the same recipes, images, splits and weights."""
    from plain_training import Job  # which imports torch, as evoft's own parent process does not

    training = settings.training
    images = read_images(training.data, seed=settings.seed)
    paths = write_files(images, folder)
    create: dict[str, Any] = {"pretrained": True}
    if training.checkpoint:
        create |= {"model_name": training.models[0], **training.model_kwargs}
        create["pretrained_cfg_overlay"] = {"file": training.checkpoint}
        size = training.img_size or 224
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
        )
        for i, recipe in enumerate(recipes)
    ]


def in_threads(work: Callable[[int], None], count: int, at_a_time: int) -> None:
    """Do ``work`` for each number below ``count``, ``at_a_time``."""
    numbers: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in range(count):
        numbers.put(number)

    def serve() -> None:
        while True:
            try:
                work(numbers.get_nowait())
            except queue.Empty:
                return

    threads = [threading.Thread(target=serve) for _ in range(at_a_time)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def run_scripts(made: "list[Job]", folder: Path, at_a_time: int) -> dict[str, Any]:
    """Evaluate each job in a process of its own."""
    results: dict[int, Any] = {}

    def work(number: int) -> None:
        path = folder / f"job{number}.json"
        path.write_text(json.dumps(asdict(made[number])))
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, HERE / "plain_training.py", path],
            env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True, capture_output=True, text=True,
        )  # fmt: skip
        result = json.loads(done.stdout.splitlines()[-1])
        results[number] = result | {"seconds": time.perf_counter() - start}

    in_threads(work, len(made), at_a_time)
    return gathered(results)


def run_warm(made: "list[Job]", folder: Path, at_a_time: int) -> dict[str, Any]:
    """Evaluate the jobs in ``at_a_time`` warm processes."""
    results: dict[int, Any] = {}
    local = threading.local()

    def work(number: int) -> None:
        if not hasattr(local, "process"):
            local.process = subprocess.Popen(
                [sys.executable, HERE / "throughput.py", "--warm"], text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )  # fmt: skip
        start = time.perf_counter()
        local.process.stdin.write(json.dumps(asdict(made[number])) + "\n")
        local.process.stdin.flush()
        result = json.loads(local.process.stdout.readline())
        results[number] = result | {"seconds": time.perf_counter() - start}

    in_threads(work, len(made), at_a_time)
    return gathered(results)


def serve_warm() -> None:
    """Train whatever job comes in as a line, in this process."""
    from plain_training import Job, peak_memory, train_one

    for line in sys.stdin:
        result = train_one(Job.read(line))
        print(json.dumps(result | {"peak_memory": peak_memory()}), flush=True)


def gathered(results: dict[int, Any]) -> dict[str, Any]:
    """Return the results in the order of the recipes."""
    done = [results[i] for i in sorted(results)]
    return {
        "accuracies": [r["accuracy"] for r in done],
        "seconds": [r["seconds"] for r in done],
        "peak_memory": max(r["peak_memory"] for r in done),
    }


def fastest_way(made: "list[Job]", folder: Path) -> tuple[tuple[int, int], list[dict[str, Any]]]:
    """Return how scripts are run fastest, and the seconds of each way that was tried."""
    tried = []
    for at_a_time, loaders in dict.fromkeys(WAYS):
        some = [
            replace(job, loader_workers=loaders, recipe={**job.recipe, "epochs": 1})
            for job in made[:TRIED]
        ]
        start = time.perf_counter()
        run_scripts(some, folder, at_a_time)
        seconds = time.perf_counter() - start
        tried.append({"at_a_time": at_a_time, "loader_workers": loaders, "seconds": seconds})
        click.echo(f"scripts: {tried[-1]}", err=True)
    best = min(tried, key=lambda way: way["seconds"])
    return (best["at_a_time"], best["loader_workers"]), tried


def measure(task: str, count: int, epochs: int, rounds: int) -> dict[str, Any]:
    """Run the three in turn, some rounds; return all of what was seen."""
    settings = settings_of(task, epochs)
    runs: dict[str, list[dict[str, Any]]] = {"evoft": [], "scripts": [], "warm": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made: list[Job] = []
        at_a_time, tried = CORES, []
        for _ in range(rounds):
            for way, results in runs.items():
                start = time.perf_counter()
                if way == "evoft":
                    command = [sys.executable, HERE / "throughput.py", "--evoft", "--task", task,
                               "--count", str(count), "--epochs", str(epochs)]  # fmt: skip
                    done = subprocess.run(command, check=True, capture_output=True, text=True)
                    result = json.loads(done.stdout.splitlines()[-1])
                else:
                    result = (run_scripts if way == "scripts" else run_warm)(
                        made, folder, at_a_time
                    )
                result["wall"] = time.perf_counter() - start
                if not made:
                    made = jobs(settings, result["recipes"], result["crop_pct"], folder)
                    (at_a_time, loaders), tried = fastest_way(made, folder)
                    made = [replace(job, loader_workers=loaders) for job in made]
                results.append(result)
                click.echo(f"{way}: {result['wall']:.1f} s", err=True)
    return {
        "task": task, "epochs": epochs, "cores": CORES, "versions": versions(),
        "ways": tried, "runs": runs,
    }  # fmt: skip


def groups_of(first: dict[str, Any]) -> dict[str, list[int]]:
    """Return the recipes by how much of the backbone they freeze."""
    shares = [r["freeze_depth"] / first["layer_groups"] for r in first["recipes"]]
    return {
        "all": list(range(len(shares))),
        "frozen at 3/4 or deeper": [i for i, s in enumerate(shares) if s >= 0.7],
        "frozen in part": [i for i, s in enumerate(shares) if 0 < s < 0.7],
        "nothing frozen": [i for i, s in enumerate(shares) if s == 0],
    }


def report(found: dict[str, Any]) -> str:
    """Return the results as Markdown."""
    runs = found["runs"]
    first = runs["evoft"][0]
    wall = {way: statistics.median(r["wall"] for r in done) for way, done in runs.items()}
    count = len(runs["evoft"])
    rounds = f"medians of {count} alternating rounds" if count > 1 else "one round"
    lines = [
        f"# Throughput on {found['task']}",
        "",
        f"{len(first['recipes'])} recipes of the default space, {found['epochs']} epochs each, on "
        f"{found['cores']} CPU cores ({platform.machine()}); torch {found['versions']['torch']}, "
        f"timm {found['versions']['timm']}; {rounds}.",
        "",
        "Scripts were run in the fastest of these ways (seconds for some of the recipes): "
        + "; ".join(
            f"{way['at_a_time']} at a time with {way['loader_workers']} loader processes each "
            f"{way['seconds']:.1f}"
            for way in found["ways"]
        )
        + ".",
        "",
        "| | evoft | one process a trial | warm processes |",
        "|---|---|---|---|",
        f"| wall time, s | {wall['evoft']:.1f} | {wall['scripts']:.1f} | {wall['warm']:.1f} |",
        f"| times evoft | 1 | {wall['scripts'] / wall['evoft']:.2f} | "
        f"{wall['warm'] / wall['evoft']:.2f} |",
    ]
    memory = [max(r["peak_memory"] for r in done) / 2**20 for done in runs.values()]
    lines.append(f"| peak memory of a process, MiB | {' | '.join(f'{m:.0f}' for m in memory)} |")
    means = []
    for done in runs.values():
        values = np.nan_to_num(np.array(done[0]["accuracies"], dtype=float))
        error = values.std(ddof=1) / np.sqrt(len(values))
        means.append(f"{100 * values.mean():.1f} ± {100 * error:.1f}")
    lines.append(f"| mean accuracy ± standard error, % | {' | '.join(means)} |")
    lines += ["", "Seconds of the trials themselves, summed, median of the rounds:", "",
              "| recipes | number | evoft | one process a trial | ratio | warm | ratio |",
              "|---|---|---|---|---|---|---|"]  # fmt: skip
    for name, places in groups_of(first).items():
        sums = [
            statistics.median(sum(r["seconds"][i] for i in places) for r in done)
            for done in runs.values()
        ]
        ratios = [f"{s / sums[0]:.1f}" if sums[0] else "-" for s in sums]
        lines.append(
            f"| {name} | {len(places)} | {sums[0]:.1f} | {sums[1]:.1f} | {ratios[1]} | "
            f"{sums[2]:.1f} | {ratios[2]} |"
        )
    lines += ["", "Accuracy of each trial, %:", "",
              "| recipe | frozen groups | batch | evoft | script | warm |", "|---|---|---|---|---|---|"]  # fmt: skip  # noqa: E501
    for i, values in enumerate(first["recipes"]):
        recipe = Recipe(**values)
        cells = " | ".join(f"{100 * (done[0]['accuracies'][i] or 0):.1f}" for done in runs.values())
        lines.append(f"| {i} | {recipe.freeze_depth} | {recipe.batch_size} | {cells} |")
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--task", type=click.Choice(["digits", "sign_digits"]), default="digits")
@click.option("--count", default=24, show_default=True, help="Recipes.")
@click.option("--epochs", default=3, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--evoft", is_flag=True, hidden=True)
@click.option("--warm", is_flag=True, hidden=True)
def main(task: str, count: int, epochs: int, rounds: int, evoft: bool, warm: bool) -> None:
    """Measure and write ``results/throughput_TASK.json`` and ``.md``."""
    if warm:
        serve_warm()
    elif evoft:
        click.echo(json.dumps(run_evoft(settings_of(task, epochs), count)))
    elif task == "sign_digits" and not DATA.exists():
        click.echo(f"there is no data folder {DATA}: name it by EVOFT_DATA")
    else:
        found = measure(task, count, epochs, rounds)
        (HERE / f"results/throughput_{task}.json").write_text(json.dumps(found) + "\n")
        (HERE / f"results/throughput_{task}.md").write_text(report(found))
        click.echo(report(found))


if __name__ == "__main__":
    main()
