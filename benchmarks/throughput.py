"""How fast a list of recipes is evaluated: evoft against plain training scripts.

    python benchmarks/throughput.py --task digits
    python benchmarks/throughput.py --task sign_digits
    python benchmarks/throughput.py --task gpu_resnet50 --task gpu_vit

The same recipes, drawn from the default space with a fixed seed, are evaluated by

- ``evoft``: its worker processes, from a cold start to the last outcome;
- ``scripts``: one process a trial running ``plain_training.py``, as many at a time as there are
  cores: the way a user of a general tuner would write it;
- ``warm``: the same plain loop in as many warm processes as there are cores, each taking the next
  trial when it is done, so that no trial pays for interpreter and imports.

All three use one torch thread a process, which was faster here than one process with more.  How
many scripts run at a time, and with how many loader processes each, is the fastest of a few ways,
measured first on some of the recipes.  The three alternate, and medians are reported.
What is in ``GLIBC_TUNABLES`` holds for all three, evoft's workers too.
``sign_digits`` needs the data folder that ``EVOFT_DATA`` names (default ``../shared/data``).

The ``gpu`` tasks, a ResNet-50 and a ViT at 224 px, draw their images and their weights
(``tasks.py``) and want a CUDA device; all three sides train on it in the same mixed precision.
While they run, the device is watched from outside, and afterwards clocks tell where the time of
evoft's trials goes (``profiling.py``).  The same on a small scale goes through without a GPU:

    python benchmarks/throughput.py --task gpu_vit --device cpu --images 60 --size 32 \\
        --model test_vit --count 2 --epochs 1 --rounds 1 --way 1 0 --out /tmp/out
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from tasks import (
    CORES,
    DATA,
    Task,
    device_of,
    environment,
    make,
    settings_for,
    settings_of,
    task_options,
)
from throughput_report import report
from utilisation import eye, summary, watched

from evoft.environment import versions
from evoft.fine_tuning.depths import freeze_depths
from evoft.fine_tuning.preparation import Preparation, expression_of
from evoft.genome import Genome
from evoft.scheduling import next_job
from evoft.scratch import Scratch
from evoft.search.space import SearchSpace
from evoft.seeds import generator
from evoft.settings import Settings
from evoft.training.default_space import default_genes
from evoft.training.fine_tuner import FineTuner
from evoft.trial import Trial

if TYPE_CHECKING:
    from plain_training import Job

__all__ = ["CORES", "DATA", "genomes", "run_evoft", "settings_of"]

HERE = Path(__file__).parent


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
        tuner = FineTuner(
            settings.training,
            express,
            pixels,
            checkpoints=None,
            cache=scratch.path,
            depths=depths,
            workers=len(plan.devices),
        )
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
        "reasons": [o.reason for o in done],
        "seconds": [o.seconds for o in done],
        "peak_memory": max(o.peak_memory for o in done),
        "recipes": recipes,
        "layer_groups": plan.backbones[0].layer_groups,
        "crop_pct": plan.backbones[0].preprocessing.crop_pct,
        "density": plan.backbones[0].density,
        "workers": len(plan.devices),
        "gpus": list(plan.gpus),
    }


def ask(script: str, task: Task, *options: str) -> dict[str, Any]:
    """Return what a script of these prints of a task, last, from a process of its own.

    Raises:
        ClickException: It failed.
    """
    command = [sys.executable, HERE / script, *task.options(), *options]
    done = subprocess.run(
        command, env=environment(task.device), check=False, stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        raise click.ClickException(f"{script} {' '.join(task.options())} failed: see above")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def measure(
    task: Task, count: int, rounds: int, given: tuple[int, int] | None, folder: Path
) -> Iterator[dict[str, Any]]:
    """Run the three in turn, some rounds; yield after each all of what was seen."""
    # It imports torch, as evoft's own parent process does not.
    from plain_ways import fastest_way, jobs, run_scripts, run_warm

    runs: dict[str, list[dict[str, Any]]] = {"evoft": [], "scripts": [], "warm": []}
    seeing = eye() if task.device == "cuda" else None
    made: list[Job] = []
    way, tried = given or (CORES, 0), list[dict[str, Any]]()
    found = {
        "task": task.name, "epochs": task.epochs, "device": task.device, "cores": CORES,
        "versions": versions(), "runs": runs, "shares": None,
        "watched_by": seeing[0] if seeing else None,
        "images": task.images if task.is_generated else None, "size": task.size,
        "tunables": os.environ.get("GLIBC_TUNABLES", ""),
        "model": task.backbone if task.is_generated else None,
    }  # fmt: skip
    for _ in range(rounds):
        for name, results in runs.items():
            start = time.perf_counter()
            with watched(seeing[1] if seeing else None) as seen:
                if name == "evoft":
                    result = ask("throughput.py", task, "--evoft", "--count", str(count))
                else:
                    run = run_scripts if name == "scripts" else run_warm
                    result = run(made, folder, way[0])
                result["wall"] = time.perf_counter() - start
            result["watched"] = summary(seen)
            if not made:
                backbone = (result["crop_pct"], result["density"])
                made = jobs(task, result["recipes"], *backbone, folder)
                if given is None:
                    way, tried = fastest_way(made, folder)
                made = [replace(job, loader_workers=way[1]) for job in made]
            results.append(result)
            click.echo(f"{task.name}, {name}: {result['wall']:.1f} s", err=True)
        yield {**found, "ways": tried, "way": way}
    if task.is_generated:
        yield {**found, "ways": tried, "way": way, "shares": shares_of(task, count)}


def shares_of(task: Task, count: int) -> Mapping[str, float]:
    """Return where the time of evoft's trials goes: parts by name, which sum to one."""
    from profiling import parts

    return parts(ask("profiling.py", task, "--look", "within", "--count", str(count)))


def missing(task: Task) -> str | None:
    """Return what a task lacks here, in a sentence; None: nothing."""
    if task.name == "sign_digits" and not DATA.exists():
        return f"there is no data folder {DATA}: name it by EVOFT_DATA"
    if task.device == "cuda":
        import torch

        if not torch.cuda.is_available():
            return (
                f"{task.name} is measured on a CUDA device, and torch {torch.__version__} finds "
                "none here: run it where there is one, or on a small scale with --device cpu "
                "--images 60 --size 32"
            )
    return None


@click.command()
@task_options(("digits",))
@click.option("--count", default=24, show_default=True, help="Recipes.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--way", type=(int, int), metavar="SCRIPTS LOADERS",
              help="Scripts at a time, loaders of each; default: the fastest.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), default=HERE / "results")
@click.option("--evoft", is_flag=True, hidden=True)
@click.option("--warm", is_flag=True, hidden=True)
def main(
    names: tuple[str, ...],
    device: str | None,
    count: int,
    rounds: int,
    way: tuple[int, int] | None,
    out: Path,
    evoft: bool,
    warm: bool,
    **shape: Any,
) -> None:
    """Measure and write ``throughput_TASK.json`` and ``.md``, after each round anew."""
    if warm:
        from plain_ways import serve_warm

        serve_warm()
        return
    for name in names:
        task = Task(name, device=device or device_of(name), **shape)
        if evoft:
            click.echo(json.dumps(run_evoft(settings_for(task), count)))
            return
        if words := missing(task):
            raise click.ClickException(words)
        with tempfile.TemporaryDirectory() as scratch:
            task = replace(task, folder=task.folder or scratch)
            make(task)
            out.mkdir(parents=True, exist_ok=True)
            for found in measure(task, count, rounds, way, Path(scratch)):
                (out / f"throughput_{name}.json").write_text(json.dumps(found) + "\n")
                (out / f"throughput_{name}.md").write_text(report(found))
        click.echo(report(found))


if __name__ == "__main__":
    main()
