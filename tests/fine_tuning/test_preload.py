"""What a worker must not import at its first trial, for each new worker would pay for it."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from evoft.fine_tuning import preparation
from evoft.fine_tuning.preparation import Preparation, expression_of
from evoft.genome import Genome
from evoft.search.space import SearchSpace
from evoft.settings import RunSettings, Settings, TrainingSettings
from evoft.training.default_space import default_genes
from evoft.training.fine_tuner import FineTuner
from evoft.trial import Trial
from evoft.workers import nursery

#: A head alone that is trained in part, a model in two parts, a whole one.
TRIALS = (
    ({"freeze_depth": 1.0}, 0.5),
    ({"freeze_depth": 0.5, "augment": 0.5, "mixup": 0.2}, None),
    ({"freeze_depth": 0.0, "opt": "sgd"}, None),
)


@pytest.mark.slow
def test_a_first_trial_imports_nothing_heavy(tmp_path):
    assert {"torch", "timm"} <= set(preparation.PRELOAD)

    class Watched:
        """A fine-tuner that fails where it imports what should have been there."""

        def __init__(self, tuner):
            self.tuner = pickle.dumps(tuner)

        def evaluate(self, trial):
            import sys

            before = set(sys.modules)
            outcome = pickle.loads(self.tuner).evaluate(trial)
            late = {
                name
                for name in set(sys.modules) - before
                if name.split(".")[0] in ("torch", "timm")
                or name.startswith(("evoft.training", "evoft.workers"))
            }
            assert not late, f"imported late: {sorted(late)}"
            return outcome

    training = TrainingSettings(epochs=1, max_train_images=60)
    settings = Settings(training=training, run=RunSettings(devices="cpu", workers=1))
    space = SearchSpace.from_dict(default_genes(training.models))
    with Preparation(settings) as prepared:
        plan = prepared.plan(Path("unused.h5"), space)
        express = expression_of(settings, plan.backbones, space)
        pixels = prepared.decode(plan, None)
        tuner = FineTuner(training, express, pixels, tmp_path, tmp_path, paused=tmp_path)
        # Not the worker that looked at the backbone: a new one.
        prepared.workers.retarget(Watched(tuner), ["any"])
        for number, (genes, epochs) in enumerate(TRIALS):
            genome = Genome({**space.default(), **genes})
            prepared.workers.submit(Trial(number, genome, 5, epochs=epochs))
            ((_, outcome),) = prepared.workers.collect()
            assert outcome.reason == ""


#: Imports what it is told to and prints what was asked of CUDA on the way.
LOOKING = """
import importlib, sys, torch
asked = []

def watched(name, function):
    return lambda *given: asked.append(name) or function(*given)

for name in [name for name in dir(torch._C) if name.startswith("_cuda_")]:
    if callable(function := getattr(torch._C, name)):
        setattr(torch._C, name, watched(name, function))
for name in sys.argv[1:]:
    importlib.import_module(name)
print(asked, torch.cuda.is_initialized())
"""


@pytest.mark.slow
def test_what_is_imported_before_workers_are_forked_asks_for_no_gpu():
    """Else no worker could use one: CUDA does not outlive a fork."""
    command = [sys.executable, "-c", LOOKING, *nursery._NEEDED, *preparation.PRELOAD]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[] False\n"
