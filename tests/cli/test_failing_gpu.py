"""What the command says of a GPU that fails, or has no room, once all is trained."""

import pytest
from tiny_images import SHORT

from evoft.cli.main import _run
from evoft.fine_tuning import preparation
from evoft.lineage import Population
from evoft.training.fine_tuner import FineTuner
from evoft.workers.local import LocalWorkers


def without_gpu(words):
    """Return a fine-tuner whose GPU fails when the test images are judged."""

    class Failing(FineTuner):
        def trained(self, genome, key):
            raise RuntimeError(words)

    return Failing


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            "CUDA error: device-side assert triggered\nCUDA kernel errors might be",
            "evoft: a worker process died again: RuntimeError: CUDA error: device-side assert",
        ),
        (
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 15.00",
            "evoft: there is too little memory to judge the test images (CUDA out of memory. Tried",
        ),
    ],
    ids=["broken", "full"],
)
def test_a_gpu_that_cannot_judge_loses_nothing(pets, tmp_path, monkeypatch, capsys, words, told):
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(preparation, "FineTuner", without_gpu(words))
        code = _run(["evolve", str(pets), *map(str, SHORT)])
    err = capsys.readouterr().err
    assert code == 7, err
    assert "Traceback" not in err
    stopped, way_on, error = [line for line in err.splitlines() if line][-3:]
    before = Population.open("populations/pets.h5")
    trials = len(before.records)
    assert stopped == f"Stopped; {trials} trials are safe in populations/pets.h5. Go on with:"
    assert way_on == "  evoft resume populations/pets.h5"
    assert error.startswith(told)
    assert before.verdicts == ()
    assert _run(["resume", "populations/pets.h5"]) == 0, capsys.readouterr().err
    after = Population.open("populations/pets.h5")
    assert (len(after.records), len(after.verdicts)) == (trials, 1)


@pytest.mark.slow
def test_idle_workers_keep_nothing_of_a_gpu_that_judges(pets, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    real, seen = LocalWorkers.call, []

    def call(self, method, *arguments):
        if method == "right":
            seen.append(len(self.pids))
        return real(self, method, *arguments)

    monkeypatch.setattr(LocalWorkers, "call", call)
    assert _run(["evolve", str(pets), *map(str, SHORT), "--workers", "2"]) == 0
    assert seen
    assert set(seen) <= {0, 1}
