"""What genomes mean to the trainer; nothing in here needs torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evoft.errors import SettingsError
from evoft.genome import Genome
from evoft.ladder import Ladder
from evoft.recipe import Recipe
from evoft.rules import obeys
from evoft.settings import TrainingSettings
from evoft.training.facts import BackboneFacts


@dataclass(frozen=True)
class Expression:
    """From genome to recipe: the fixed values, the genes that count, the backbone's limits."""

    settings: TrainingSettings
    facts: Mapping[str, BackboneFacts]
    #: Recipe fields that are the same for all.
    fixed: Mapping[str, Any]
    #: The genes that count, for each genome: ``SearchSpace.phenotype``.
    phenotype: Any
    #: The rungs on which individuals are judged.
    ladder: Ladder = field(default_factory=Ladder)

    def __call__(self, genome: Genome) -> Recipe:
        """Return the recipe of a genome, in canonical form."""
        values: dict[str, Any] = {
            "model": self.settings.models[0],
            "epochs": self.settings.epochs,
            "patience": self.settings.patience,
            **self.fixed,
            **self.phenotype(genome),
        }
        values |= self._on_rungs(values.get("warmup", 0.0))
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

    def _on_rungs(self, warmup: Any) -> dict[str, Any]:
        """Return what several rungs settle: a cool-down, and a warm-up that is over well before."""
        ladder = self.ladder
        if len(ladder) == 1:
            return {}
        if obeys(warmup, "in [0, 1)"):  # else the recipe says what is wrong with it
            warmup = min(warmup, ladder.longest_warmup)
        return {"cooldown": ladder.cooldown, "warmup": warmup}
