"""Several objectives through the installed command: a run, its resume, its front, a pick."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import evoft

RUN = ("--objective", "accuracy", "--objective", "parameters",
       "--model", "embedded,test_efficientnet",
       "--population-size", 3, "--epochs", 3, "--finalists", 1, "--repeats", 1, "--img-size", 24,
       "--devices", "cpu", "--seed", 5, "--workers", 1, "--no-pretrained")  # fmt: skip


def test_a_search_for_a_front_is_run_resumed_shown_and_picked_from(
    cli: Any, pets: Path, tmp_path: Path, lineage_of: Any, stop: Any
) -> None:
    command = ("evolve", pets, *RUN, "--generations", 2)
    whole = cli(*command, "--file", "whole.h5", cwd=tmp_path)
    assert whole.code == 0, whole.err
    file = tmp_path / "killed.h5"
    stop(signal.SIGKILL, (*command, "--file", file), file, tmp_path, 4)
    resumed = cli("resume", file, cwd=tmp_path)
    assert resumed.code == 0, resumed.err
    assert lineage_of(file)["individuals"] == lineage_of(tmp_path / "whole.h5")["individuals"]
    population = evoft.Population.open(tmp_path / "whole.h5")
    assert len({i.outcome.metrics["parameters"] for i in population if i.outcome}) == 2

    shown = cli("show", "whole.h5", "--pareto", "--format", "json", cwd=tmp_path)
    assert shown.code == 0, shown.err
    front = json.loads(shown.out)
    sizes = [row["parameters"] for row in front]
    assert 1 <= len(front) <= 2
    assert sizes == sorted(sizes, reverse=True)
    least = min(i.outcome.metrics["parameters"] for i in population if i.outcome)
    picked = cli(
        "pick", "whole.h5", "--max-parameters", int(least), "--format", "json", cwd=tmp_path
    )
    assert picked.code == 0, picked.err
    assert json.loads(picked.out)[0]["id"] == front[-1]["id"]
