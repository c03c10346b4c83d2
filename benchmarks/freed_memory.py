"""What a training step costs on a CPU where freed memory stays with the process, and where not.

    python benchmarks/freed_memory.py

Workers keep what is freed while they are at a job (``evoft/workers/heap.py``).  A process with that
and one without take turns, one thread each, and tell what their steps, forward and back with
nothing frozen, took of processor time, in the program and in the system, and how many pages the
system cleared for them.  Medians of the rounds.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import torch
from step import BACKBONES, backbone, passes

from evoft.environment import versions
from evoft.workers.heap import keeping_freed

HERE = Path(__file__).parent
BATCHES = (8, 32, 128)
ROUNDS, STEPS, FIRST = 3, 12, 3
#: Environments of the processes.
WAYS = {"as ever": dict(os.environ), "kept": keeping_freed(os.environ)}


def steps(name: str, batch: int) -> dict[str, float]:
    """Return what a step takes in this process."""
    torch.set_num_threads(1)
    model, _ = backbone(name, 0.0, last=True)
    images = torch.rand(batch, 3, BACKBONES[name], BACKBONES[name])
    act = passes(model, 0, images.contiguous(memory_format=torch.channels_last))
    for _ in range(FIRST):
        act()
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(STEPS):
        act()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "user": 1e3 * (after.ru_utime - before.ru_utime) / STEPS,
        "system": 1e3 * (after.ru_stime - before.ru_stime) / STEPS,
        "pages": (after.ru_minflt - before.ru_minflt) / STEPS,
        "peak": after.ru_maxrss / 1024,
    }


def measured(name: str, batch: int) -> dict[str, dict[str, float]]:
    """Return the medians of what steps take in each way, in processes that take turns."""
    seen: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(ROUNDS):
        for way, environment in WAYS.items():
            command = [sys.executable, __file__, "--one", name, str(batch)]
            done = subprocess.run(command, check=True, capture_output=True, text=True,
                                  env=environment)  # fmt: skip
            seen[way].append(json.loads(done.stdout.splitlines()[-1]))
    return {
        way: {key: statistics.median(one[key] for one in many) for key in many[0]}
        for way, many in seen.items()
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Return what was measured as Markdown."""
    used = versions()
    lines = [
        "# Freed memory that stays with a worker", "",
        "Written by `python benchmarks/freed_memory.py` "
        f"({', '.join(f'{k} {used[k]}' for k in ('torch', 'timm'))}).", "",
        "Milliseconds of processor time of one training step on one core, of these in the system, "
        "and pages that the system cleared for it: with glibc's `malloc` as it is, and where it "
        f"keeps what is freed.  Medians of {ROUNDS} processes each, which took turns.", "",
        "| backbone | batch | as ever | of it system | pages | kept | of it system | pages | times "
        "| peak memory, MiB |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for row in rows:
        before, after = (row["ways"][way] for way in WAYS)
        whole = [way["user"] + way["system"] for way in (before, after)]
        lines.append(
            f"| {row['backbone']} | {row['batch']} "
            f"| {whole[0]:.1f} | {before['system']:.1f} | {before['pages']:,.0f} "
            f"| {whole[1]:.1f} | {after['system']:.1f} | {after['pages']:,.0f} "
            f"| {whole[0] / whole[1]:.2f} | {before['peak']:.0f} and {after['peak']:.0f} |"
        )
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--one", nargs=2, hidden=True, help="Measure this in this process.")
@click.option("--out", type=click.Path(path_type=Path), default=HERE / "results")
def main(one: tuple[str, str] | None, out: Path) -> None:
    """Measure steps with and without memory that is kept."""
    if one:
        name, batch = one
        print(json.dumps(steps(name, int(batch))))
        return
    rows = [
        {"backbone": name, "batch": batch, "ways": measured(name, batch)}
        for name in BACKBONES
        for batch in BATCHES
    ]
    out.mkdir(parents=True, exist_ok=True)
    (out / "freed_memory.json").write_text(json.dumps(rows, indent=1) + "\n")
    (out / "freed_memory.md").write_text(table(rows))
    print(table(rows))


if __name__ == "__main__":
    main()
