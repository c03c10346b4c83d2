"""The first look at a run's backbones and devices, taken in a worker."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from evoft.errors import BackboneError, WorkerError, words_of
from evoft.machine import available_memory, usable_cores
from evoft.settings import TrainingSettings
from evoft.training.device import gpu_count, gpu_failed, is_exclusive, the_device
from evoft.training.facts import BackboneFacts, Probes, Survey


@dataclass(frozen=True)
class Surveyor:
    """Takes the first look: which GPUs there are, and what the backbones are like."""

    settings: TrainingSettings
    classes: int
    #: Models whose latency is to be measured.
    timed: tuple[str, ...] = ()

    def survey(self, largest: int = 32, gpus: Sequence[int] | None = None) -> Survey:
        """Return the facts, and what a few steps of training take.

        Args:
            largest: Largest batch size that a recipe may have.
            gpus: Those that are to be used, of which the first is probed and the others are looked
                at; None: all.

        Raises:
            BackboneError: A model that timm does not know, or weights that cannot be had.
            WorkerError: A GPU that is there cannot be used.
        """
        import torch

        from evoft.training.backbone import facts_of

        torch.set_num_threads(1)
        models = self.settings.models
        backbones = tuple(facts_of(m, self.settings, self.classes) for m in models)
        count = gpu_count()
        used = [i for i in (range(count) if gpus is None else gpus) if i < count]
        with _telling_of(used[0]) if used else contextlib.nullcontext():
            if used:
                torch.cuda.set_device(used[0])
            # Before anything is allocated, while all that is free on them is free.
            memory = tuple(_free_memory(i) if i in used else 0 for i in range(count))
            # The probes first: they say what is wrong with images of this size.
            probes = tuple(self._probes(facts, largest) for facts in backbones)
            backbones = tuple(
                self._with_latency(replace(facts, density=found.density))
                for facts, found in zip(backbones, probes, strict=True)
            )
        return Survey(
            backbones,
            gpus=tuple(torch.cuda.get_device_name(i) for i in range(count)),
            probes=probes,
            memory=memory or (available_memory(),),
            cores=usable_cores(),
            exclusive=tuple(i for i in used if is_exclusive(i)),
        )

    def _probes(self, facts: BackboneFacts, largest: int) -> Probes:
        from evoft.training.backbone import build
        from evoft.training.memory_format import laid_out
        from evoft.training.probing import probe

        start = time.perf_counter()
        model = build(facts.model, self.settings, self.classes, pretrained=False)
        seconds = time.perf_counter() - start
        device = the_device()
        probes = probe(
            laid_out(model).to(device),
            facts.model,
            facts.preprocessing,
            self.classes,
            largest=largest,
            device=device,
            amp=self.settings.amp,
        )
        return replace(probes, build_seconds=seconds)

    def _with_latency(self, facts: BackboneFacts) -> BackboneFacts:
        """Return the facts, with the latency where it is to be measured."""
        if facts.model not in self.timed:
            return facts
        from evoft.training.backbone import build
        from evoft.training.latency import latency_of
        from evoft.training.memory_format import laid_out

        model = laid_out(build(facts.model, self.settings, self.classes, pretrained=False))
        size = facts.preprocessing.img_size
        return replace(facts, latency=latency_of(model.to(the_device()), size))

    def check_names(self) -> None:
        """Look up each backbone's name.

        Raises:
            BackboneError: timm does not know it.
        """
        from evoft.training.model_names import unknown_name

        for model in self.settings.models:
            if unknown := unknown_name(model):
                raise BackboneError(unknown)

    def check_arguments(self) -> None:
        """Build each backbone with the arguments that were set, but for those that are on a hub.

        Raises:
            BackboneError: timm cannot build it.
        """
        import torch

        from evoft.training.backbone import build
        from evoft.training.hub import is_repository

        torch.set_num_threads(1)
        for model in self.settings.models:
            if not is_repository(model):
                build(model, self.settings, self.classes, pretrained=False)

    def check_sizes(self) -> None:
        """Look at one image of the size that was set with each backbone.

        Raises:
            SettingsError: It is not one for a backbone.
            BackboneError: A model that timm does not know.
        """
        import torch

        from evoft.training.sizes import check_size

        torch.set_num_threads(1)
        for model in self.settings.models:
            check_size(model, self.settings)

    def check_optimizers(self, names: Sequence[str]) -> None:
        """Take a step with each optimizer.

        Raises:
            SettingsError: timm has no such optimizer, or it cannot be used here.
        """
        from evoft.training.optimization import check_optimizer

        for name in names:
            check_optimizer(name)


def _free_memory(gpu: int) -> int:
    """Return the free bytes of a GPU, given its number."""
    import torch

    with _telling_of(gpu):
        return torch.cuda.mem_get_info(gpu)[0]


@contextlib.contextmanager
def _telling_of(gpu: int) -> Iterator[None]:
    """Tell what became of a GPU, given its number, where it fails or has no room."""
    from evoft.training.memory import is_out_of_memory

    try:
        yield
    except RuntimeError as error:
        if not (gpu_failed(error) or is_out_of_memory(error)):
            raise
        raise WorkerError(
            f"GPU {gpu} cannot be used ({words_of(error, 200)}): free it, name others with "
            "--devices, or use --devices cpu"
        ) from error
