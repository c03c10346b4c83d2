"""The benchmark that sets evoft beside plain scripts, on a small scale and without a GPU."""

import json
import os
import subprocess
from types import SimpleNamespace

import pytest

from evoft.recipe import Recipe
from evoft.training.precision import Precision
from evoft.training.schedule import Schedule

TINY = ["--model", "test_vit", "--images", "60", "--size", "32", "--count", "2", "--epochs", "1",
        "--rounds", "1", "--workers", "1", "--way", "1", "1"]  # fmt: skip


@pytest.mark.slow
def test_a_task_for_a_gpu_goes_through_on_a_cpu(throughput, tmp_path):
    command = [*throughput, "--task", "gpu_vit", "--device", "cpu", *TINY, "--out", str(tmp_path)]
    subprocess.run(command, check=True, timeout=280)
    found = json.loads((tmp_path / "throughput_gpu_vit.json").read_text())
    assert found["runs"]["evoft"][0]["statuses"] == ["ok", "ok"]
    for (run,) in found["runs"].values():
        assert len(run["accuracies"]) == len(run["seconds"]) == 2
        assert all(0 <= accuracy <= 1 for accuracy in run["accuracies"])
        assert run["watched"] is None
    depths = [recipe["freeze_depth"] for recipe in found["runs"]["evoft"][0]["recipes"]]
    assert min(depths) > 0
    # Frozen layers are shared: that the weights are not each trial's own could be seen here.
    shares = found["shares"]
    assert set(shares) == {"data", "prefix", "step", "evaluation", "rest"}
    assert all(shares[part] > 0 for part in ("prefix", "step", "evaluation"))
    assert sum(shares.values()) == pytest.approx(1)
    page = (tmp_path / "throughput_gpu_vit.md").read_text()
    assert "| device busy, % of the wall time | unknown | unknown | unknown |" in page


@pytest.mark.slow
def test_a_task_for_a_gpu_says_in_a_sentence_that_there_is_none(throughput, tmp_path):
    command = [*throughput, "--task", "gpu_resnet50", "--out", str(tmp_path)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "gpu_resnet50 is measured on a CUDA device" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_options_of_a_task_name_it_to_another_process():
    import click
    from click.testing import CliRunner
    from tasks import Task, task_options

    @click.command()
    @task_options(("digits",))
    def command(names, device, **shape):
        assert [Task(name, device=device, **shape) for name in names] == [task]

    task = Task("gpu_vit", 2, "cuda", 70, 64, "a folder", 3, "test_vit")
    done = CliRunner().invoke(command, task.options(), catch_exceptions=False)
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("major", [7, 8])
def test_on_an_old_gpu_as_on_a_new_one_both_sides_train_in_one_precision(gpu_of, major):
    from plain_training import Place

    gpu_of(major)
    place = Place.of(SimpleNamespace(device="cuda", half=True))
    assert place.dtype == Precision.of(place.device, density=0.0).dtype
    assert place.scaler().is_enabled() == (major == 7)


@pytest.mark.parametrize("sched", ["cosine", "linear", "step", "constant"])
@pytest.mark.parametrize(("warmup", "cooldown"), [(0.0, 1.0), (0.1, 1.0), (0.1, 0.25), (0.8, 0.25)])
def test_both_sides_have_one_course_of_the_learning_rate(sched, warmup, cooldown):
    from plain_training import factor

    recipe = Recipe.of(
        {"model": "m", "epochs": 3, "sched": sched, "warmup": warmup, "cooldown": cooldown},
        layer_groups=1,
    )
    schedule = Schedule.of(recipe, steps=40)
    plain = [factor(recipe.to_dict(), (step + 0.5) / schedule.total) for step in range(120)]
    assert plain == pytest.approx([schedule.rate(step) for step in range(schedule.total)])
