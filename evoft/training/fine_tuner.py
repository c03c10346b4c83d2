"""What a worker does in a fine-tuning run.  Torch is imported where the work is, in the worker."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evoft.errors import PopulationDamagedError
from evoft.genome import Genome
from evoft.objectives import LATENCY, PARAMETERS
from evoft.outcome import Outcome
from evoft.recipe import Recipe
from evoft.settings import TrainingSettings
from evoft.soup import Soup
from evoft.training.commons import Commons
from evoft.training.device import begin_afresh, gpu_peak, the_device
from evoft.training.expression import Expression
from evoft.training.heads.company import company_of
from evoft.training.paused_folder import PausedFolder
from evoft.training.pixels import Pixels
from evoft.trial import Stage, Trial, TrialKey

if TYPE_CHECKING:
    import torch

    from evoft.training.heads.learner import Head
    from evoft.training.loop import Trained

#: What a trial left behind: its genome, and the key of its checkpoint.
Left = tuple[Genome, TrialKey]


@dataclass
class FineTuner:
    """Answers trials by fine-tuning; lives as long as its worker, as does what its trials share."""

    settings: TrainingSettings
    express: Expression
    pixels: Pixels
    #: Where checkpoints go; None keeps none.
    checkpoints: Path | None
    #: Folder of the features that a run's workers share; None: each keeps its own.
    cache: Path | None = None
    #: For each backbone, freeze depths that recipes will have, in layer groups: the features of one
    #: are made of those of another.  They settle what is computed how fast, and no result.
    depths: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    #: Where trainings are left that the search may go on with; None: nowhere.
    paused: Path | None = None
    #: What is told of each trained model, by name: ``latency``, ``parameters``.
    measures: tuple[str, ...] = ()
    #: How many workers of the run there are like this one, which `cache_size` is for.
    workers: int = 1
    #: What its trials share.
    commons: Commons = field(init=False)

    def __post_init__(self) -> None:
        self.commons = Commons(
            self.settings, self.express, self.pixels, self.cache, self.depths, self.workers
        )

    @cached_property
    def _left(self) -> PausedFolder | None:
        if self.paused is None:
            return None
        return PausedFolder(self.paused, self.settings, self.express, self.pixels)

    def company(self, trial: Trial) -> Hashable | None:
        """Return what trials agree on that train together at less cost; None for one that does not.

        It is known without torch, before any training.
        """
        recipe = self.express(trial.genome)
        facts = self.express.facts[recipe.model]
        images, views = len(self.pixels.splits["train"]), self.settings.views
        alike = company_of(recipe, facts, images, views)
        return None if alike is None else (alike, trial.epochs)

    def evaluate(self, trial: Trial) -> Outcome:
        """Fine-tune by the trial's genome; write a checkpoint if it went well."""
        (outcome,) = self.evaluate_together([trial])
        return outcome

    def evaluate_together(self, trials: Sequence[Trial]) -> list[Outcome]:
        """Do for each trial what ``evaluate`` does, to the bit; those of one company together."""
        import torch

        torch.set_num_threads(1)
        begin_afresh(the_device())
        several = len(trials) != 1
        answers = self._together(trials) if several else [self._alone(*trials)]
        return [
            self._again(trial) if answer is None else self._ended(trial, answer)
            for trial, answer in zip(trials, answers, strict=True)
        ]

    def _again(self, trial: Trial) -> Outcome:
        """Do what ``evaluate`` does for a trial that had been begun."""
        trial.begin_anew()
        return self.evaluate(trial)

    def _together(self, trials: Sequence[Trial]) -> list[Trained | None]:
        """Return what training gave; None for trials that do not fit in the memory together."""
        from evoft.training.heads.learner import Head
        from evoft.training.heads.together import train_heads
        from evoft.training.memory import unless_out_of_memory

        begun = [unless_out_of_memory(partial(self._begin, trial)) for trial in trials]
        heads = [one for one in begun if isinstance(one, Head)]
        done: list[Trained] | Outcome | None = None
        if not any(isinstance(one, Outcome) for one in begun):
            done = unless_out_of_memory(partial(train_heads, heads))
        ended = iter(done if isinstance(done, list) else [None] * len(heads))
        return [
            next(ended) if isinstance(one, Head) else None if isinstance(one, Outcome) else one
            for one in begun
        ]

    def _alone(self, trial: Trial) -> Trained | Outcome:
        """Return what training gave, or what memory was short of."""
        from evoft.training.heads.learner import Head
        from evoft.training.heads.together import train_heads
        from evoft.training.memory import unless_out_of_memory

        answer: Head | Trained | Outcome | list[Trained]
        answer = unless_out_of_memory(partial(self._begin, trial))
        if isinstance(answer, Head):
            answer = unless_out_of_memory(partial(train_heads, [answer]))
        if isinstance(answer, list):
            (answer,) = answer
        if isinstance(answer, Outcome) and self.company(trial) is not None:
            # A head's features are there all at once, where the ordinary way halves what it takes.
            trial.begin_anew()
            answer = unless_out_of_memory(partial(self._ordinarily, trial))
        return answer

    def _ended(self, trial: Trial, answer: Trained | Outcome) -> Outcome:
        """Return a trial's outcome; keep what training gave beside it."""
        from evoft.training.checkpoints import save

        if isinstance(answer, Outcome):
            return answer
        if self.checkpoints is not None and answer.state:
            path = checkpoint_path(self.checkpoints, trial.key)
            recipe = self.express(trial.genome).until(trial.epochs)
            save(answer.state, path, recipe, trial.seed)
        if answer.paused is not None:
            assert self._left is not None
            self._left.leave(trial, answer.paused)
        metrics = {**answer.outcome.metrics, **self._measured(trial)}
        return replace(answer.outcome, metrics=metrics, peak_memory=gpu_peak(the_device()))

    def _begin(self, trial: Trial) -> Head | Trained:
        """Return a trial's linear head before training; or what training gave, if it has none."""
        from evoft.training.heads.beginning import head_of

        head = None
        if self.company(trial) is not None:
            head = head_of(trial, self.commons, self._left)
        return self._ordinarily(trial) if head is None else head

    def _ordinarily(self, trial: Trial) -> Trained:
        from evoft.training.ordinary import train_ordinarily

        return train_ordinarily(trial, self.commons, self._left)

    def _measured(self, trial: Trial) -> dict[str, float]:
        """Return what is to be told of a trained model, which no training changes."""
        facts = self.express.facts[self.express(trial.genome).model]
        found: dict[str, float] = {}
        if LATENCY.name in self.measures:
            assert facts.latency is not None
            found[LATENCY.name] = facts.latency
        if PARAMETERS.name in self.measures:
            found[PARAMETERS.name] = float(facts.parameters)
        return found

    def start(self, recipe: Recipe, seed: int) -> torch.nn.Module:
        """Return the recipe's model as training finds it: start weights, a fresh classifier."""
        return self.commons.start.model(recipe, seed)

    def trained(self, genome: Genome, key: TrialKey) -> torch.nn.Module:
        """Return the model that a trial left behind, from its checkpoint."""
        from evoft.training.checkpoints import load, seed_of
        from evoft.training.freezing import freeze

        assert self.checkpoints is not None
        path = checkpoint_path(self.checkpoints, key)
        recipe = self.express(genome)
        model = self.start(recipe, seed_of(path))
        freeze(model, recipe.freeze_depth)
        load(model, path)
        return model

    def right(self, genome: Genome, key: TrialKey) -> NDArray[np.bool_]:
        """Return which test images a trial's model classifies rightly, ``(test images,)``.

        Raises:
            WorkerError: There is too little memory for it.
        """
        import torch

        from evoft.training.judging import predict
        from evoft.training.memory import enough_memory

        torch.set_num_threads(1)
        with enough_memory("judge the test images", "go on with other --devices"):
            model = self.trained(genome, key).to(the_device())
            name = self.express(genome).model
            test = self.commons.examples(name, "test")
            logits = predict(model, test, self.commons.precision(name))
        right: NDArray[np.bool_] = (logits.argmax(dim=1) == test.labels).cpu().numpy()
        return right

    def soup(self, base: Left, others: Sequence[Left]) -> Soup:
        """Return what becomes of trials' models in a soup, judged on the validation images.

        Args:
            base: The one that it begins with.
            others: Of the same backbone, the most promising first.

        Raises:
            WorkerError: There is too little memory for it.
        """
        import torch

        from evoft.training.memory import enough_memory
        from evoft.training.soups import greedy_soup, judge_in

        torch.set_num_threads(1)
        name = self.express(base[0]).model
        with enough_memory("judge the validation images", "leave out --soup"):
            model, val = self.trained(*base).to(the_device()), self.commons.examples(name, "val")
            judge = judge_in(model, val, self.commons.precision(name), self.settings.metric)
            states = (self._state(*other) for other in others)
            found = greedy_soup(self.trained(*base).state_dict(), states, judge)
        fates = zip((key for _, key in others), found.fates, strict=True)
        return Soup(base[1], found.alone.fitness, found.taste.fitness, tuple(fates))

    def _state(self, genome: Genome, key: TrialKey) -> dict[str, torch.Tensor] | None:
        """Return what a trial's model has learned; None where its checkpoint cannot be read."""
        try:
            return self.trained(genome, key).state_dict()
        except PopulationDamagedError:
            return None

    def export(
        self,
        runs: Sequence[Left],
        folder: Path,
        classes: Sequence[str],
        card: str,
        metrics: Mapping[str, Any],
        replace: bool = False,
    ) -> None:
        """Write the mean of what trials left behind as a folder that plain timm loads.

        The recipe beside it is the first one's.

        Raises:
            WorkerError: There is too little memory for it.
        """
        from evoft.training.backbone import build
        from evoft.training.checkpoints import recipe_of
        from evoft.training.export import export
        from evoft.training.memory import enough_memory
        from evoft.training.soups import mean_of

        assert self.checkpoints is not None
        genome, key = runs[0]
        recipe = self.express(genome)
        with enough_memory("export the model", "run the command again"):
            # Built again without dropout, so that the folder's config holds what prediction needs.
            model = build(recipe.model, self.settings, len(classes), pretrained=False)
            model.load_state_dict(mean_of(self.trained(*run).state_dict() for run in runs))
            export(
                model,
                folder,
                preprocessing=self.express.facts[recipe.model].preprocessing,
                labels=classes,
                # As it was trained, which may have been for less than all of its epochs.
                recipe={**recipe.to_dict(), **recipe_of(checkpoint_path(self.checkpoints, key))},
                metrics=metrics,
                card=card,
                replace=replace,
            )


def checkpoint_path(folder: Path, key: TrialKey) -> Path:
    """Return where a trial's checkpoint is."""
    stage, individual, turn = key
    if stage == Stage.SEARCH:
        name = f"{individual}-rung-{turn}" if turn else f"{individual}"
    else:
        name = f"{individual}-final-{turn}"
    return folder / f"{name}.safetensors"
