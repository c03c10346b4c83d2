"""What a worker does in a fine-tuning run.  Torch is imported where the work is, in the worker."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evoft.errors import PopulationMismatchError, SettingsError
from evoft.genome import Genome
from evoft.outcome import Outcome, Status
from evoft.recipe import Recipe
from evoft.seeds import derive
from evoft.settings import TrainingSettings
from evoft.shared import SharedArray
from evoft.training.facts import BackboneFacts, Probes, Survey
from evoft.trial import Trial, TrialKey

if TYPE_CHECKING:
    import torch

    from evoft.training.examples import Examples


@dataclass(frozen=True)
class Surveyor:
    """Takes the first look: which GPUs there are, and what the backbones are like."""

    settings: TrainingSettings
    classes: int

    def survey(self, largest: int = 32) -> Survey:
        """Return the facts, and what a few steps of training take.

        Args:
            largest: Largest batch size that a recipe may have.

        Raises:
            BackboneError: A model that timm does not know, or weights that cannot be had.
        """
        import torch

        from evoft.training.backbone import facts_of
        from evoft.training.memory import available_memory

        torch.set_num_threads(1)
        models = self.settings.models
        backbones = tuple(facts_of(m, self.settings, self.classes) for m in models)
        count = torch.cuda.device_count()
        # Before anything is allocated, while all that is free on them is free.
        memory = tuple(torch.cuda.mem_get_info(i)[0] for i in range(count))
        return Survey(
            backbones,
            gpus=tuple(torch.cuda.get_device_name(i) for i in range(count)),
            probes=tuple(self._probes(facts, largest) for facts in backbones),
            memory=memory or (available_memory(),),
            cores=len(os.sched_getaffinity(0)),
        )

    def _probes(self, facts: BackboneFacts, largest: int) -> Probes:
        from evoft.training.backbone import build
        from evoft.training.probing import probe

        start = time.perf_counter()
        model = build(facts.model, self.settings, self.classes, pretrained=False)
        seconds = time.perf_counter() - start
        device = the_device()
        probes = probe(
            model.to(device),
            facts.model,
            facts.preprocessing,
            self.classes,
            largest=largest,
            device=device,
            amp=self.settings.amp,
        )
        return replace(probes, build_seconds=seconds)

    def check_optimizers(self, names: Sequence[str]) -> None:
        """Take a step with each optimizer.

        Raises:
            SettingsError: timm has no such optimizer, or it cannot be used here.
        """
        from evoft.training.optimization import check_optimizer

        for name in names:
            check_optimizer(name)


@dataclass(frozen=True)
class Expression:
    """From genome to recipe: the fixed values, the genes that count, the backbone's limits."""

    settings: TrainingSettings
    facts: Mapping[str, BackboneFacts]
    #: Recipe fields that are the same for all.
    fixed: Mapping[str, Any]
    #: The genes that count, for each genome: ``SearchSpace.phenotype``.
    phenotype: Any

    def __call__(self, genome: Genome) -> Recipe:
        """Return the recipe of a genome, in canonical form."""
        values: dict[str, Any] = {
            "model": self.settings.models[0],
            "epochs": self.settings.epochs,
            "patience": self.settings.patience,
            **self.fixed,
            **self.phenotype(genome),
        }
        facts = self.facts.get(values["model"])
        if facts is None:
            raise SettingsError(
                f"the gene `model` may be {values['model']!r}, but --model names only "
                f"{', '.join(self.facts)}"
            )
        if not facts.drop_path:
            values.pop("drop_path", None)
        if not facts.drop:
            values.pop("drop", None)
        return Recipe.of(values, layer_groups=facts.layer_groups)


@dataclass(frozen=True)
class Pixels:
    """A data set as workers find it: decoded images in shared memory, labels, splits."""

    #: ``(images, height, width, 3)`` uint8, for each model.
    images: Mapping[str, SharedArray]
    #: ``(images,)``, class numbers; empty where nothing is trained.
    labels: NDArray[np.int64]
    #: Places of each split's images, by the split's name.
    splits: Mapping[str, NDArray[np.int64]]
    classes: int


@dataclass
class FineTuner:
    """Answers trials by fine-tuning; lives as long as its worker and keeps what trials share."""

    settings: TrainingSettings
    express: Expression
    pixels: Pixels
    #: Where checkpoints go; None keeps none.
    checkpoints: Path | None
    _kept: dict[tuple[str, str], Any] = field(default_factory=dict)

    def evaluate(self, trial: Trial) -> Outcome:
        """Fine-tune by the trial's genome; write a checkpoint if it went well."""
        import torch

        from evoft.training.checkpoints import save
        from evoft.training.loop import fine_tune, is_out_of_memory
        from evoft.training.memory import shortage

        torch.set_num_threads(1)
        device = the_device()
        recipe = self.express(trial.genome)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        try:
            model = self.start(recipe, trial.seed).to(device)
            train, val = self._splits(model, recipe)
            trained = fine_tune(
                model,
                recipe,
                train,
                val,
                trial.seed,
                report=trial.report,
                amp=self.settings.amp,
            )
        except (torch.cuda.OutOfMemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            reason = f"not even one image at a time fits: it needs {shortage(error, device)}"
            return Outcome(Status.INFEASIBLE, reason=reason, peak_memory=_gpu_peak(device))
        if self.checkpoints is not None and trained.state:
            path = checkpoint_path(self.checkpoints, trial.key)
            save(trained.state, path, recipe.to_dict(), trial.seed)
        return replace(trained.outcome, peak_memory=_gpu_peak(device))

    def start(self, recipe: Recipe, seed: int) -> torch.nn.Module:
        """Return the recipe's model as training finds it: start weights, a fresh classifier."""
        import torch

        from evoft.training.backbone import build

        weights = self._keep(("weights", recipe.model), lambda: self._start_weights(recipe.model))
        torch.manual_seed(derive(seed, "classifier"))
        model = build(
            recipe.model,
            self.settings,
            self.pixels.classes,
            pretrained=False,
            drop=recipe.drop,
            drop_path=recipe.drop_path,
        )
        model.load_state_dict(weights, strict=False)
        return model

    def _start_weights(self, model: str) -> dict[str, torch.Tensor]:
        from evoft.training.backbone import digest, start_weights

        weights = start_weights(model, self.settings, self.pixels.classes)
        if weights and digest(weights) != self.express.facts[model].weights:
            raise PopulationMismatchError(
                f"the pretrained weights of {model} are not those that this population was made "
                "with: bring them back"
            )
        return weights

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
        """Return which test images a trial's model classifies rightly, ``(test images,)``."""
        import torch

        from evoft.training.loop import predict

        torch.set_num_threads(1)
        model = self.trained(genome, key).to(the_device())
        test = self._examples(self.express(genome).model, "test")
        right: NDArray[np.bool_] = (predict(model, test).argmax(dim=1) == test.labels).cpu().numpy()
        return right

    def export(
        self,
        genome: Genome,
        key: TrialKey,
        folder: Path,
        classes: Sequence[str],
        card: str,
        metrics: Mapping[str, Any],
        replace: bool = False,
    ) -> None:
        """Write the model that a trial left behind as a folder that plain timm loads."""
        from evoft.training.backbone import build
        from evoft.training.export import export

        recipe = self.express(genome)
        # Built again without dropout, so that the folder's config holds what prediction needs.
        model = build(recipe.model, self.settings, len(classes), pretrained=False)
        model.load_state_dict(self.trained(genome, key).state_dict())
        export(
            model,
            folder,
            preprocessing=self.express.facts[recipe.model].preprocessing,
            labels=classes,
            recipe=recipe.to_dict(),
            metrics=metrics,
            card=card,
            replace=replace,
        )

    def _splits(self, model: torch.nn.Module, recipe: Recipe) -> tuple[Examples, Examples]:
        """Return the images of training and validation, with the features that can be shared."""
        from evoft.training.features import FeatureCache
        from evoft.training.freezing import freeze

        train, val = self._examples(recipe.model, "train"), self._examples(recipe.model, "val")
        # Frozen layers that started from random weights are other layers in each trial.
        if not recipe.freeze_depth or not self.express.facts[recipe.model].weights:
            return train, val
        cache: FeatureCache = self._keep(("features", ""), FeatureCache)
        freeze(model, recipe.freeze_depth)
        parts = cache.parts(model, recipe, val)
        val = replace(val, features=cache.features(parts, recipe.model, "val", val))
        if not recipe.changes_images:
            train = replace(train, features=cache.features(parts, recipe.model, "train", train))
        return train, val

    def _keep(self, key: tuple[str, str], make: Any) -> Any:
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def _examples(self, model: str, split: str) -> Examples:
        return self._keep((split, model), lambda: self._load(model, split))  # type: ignore[no-any-return]

    def _load(self, model: str, split: str) -> Examples:
        import torch

        from evoft.training.examples import Examples

        device = the_device()
        places = self.pixels.splits[split]
        preprocessing = self.express.facts[model].preprocessing
        shared = self.pixels.images[model]
        pixels = self._keep(
            ("pixels", str(shared)), lambda: torch.from_numpy(shared.open()).to(device)
        )
        return Examples(
            pixels=pixels,
            places=torch.from_numpy(places).to(device),
            labels=torch.from_numpy(self.pixels.labels[places]).to(device),
            mean=torch.tensor(preprocessing.mean, device=device),
            std=torch.tensor(preprocessing.std, device=device),
            classes=self.pixels.classes,
        )


def checkpoint_path(folder: Path, key: TrialKey) -> Path:
    """Return where a trial's checkpoint is."""
    stage, individual, repeat = key
    name = f"{individual}" if stage == "search" else f"{individual}-final-{repeat}"
    return folder / f"{name}.safetensors"


def the_device() -> torch.device:
    """Return the one device that this process was given."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _gpu_peak(device: torch.device) -> int:
    import torch

    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
