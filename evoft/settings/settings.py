"""All of a fine-tuning run's settings, from a configuration or from a population file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from evoft.errors import SettingsError
from evoft.ladder import Ladder
from evoft.rules import plain_fields
from evoft.settings.record import record_of, table
from evoft.settings.run import RunSettings
from evoft.settings.search import SAMPLERS, SearchSettings
from evoft.settings.training import ACCURACY, TrainingSettings

#: What makes the individuals that are no named founders.
OPERATORS = {
    "default", "prior", "sample", "crossover", "differential", "mutation", "crossover+mutation",
    "resampling", "immigrant", "grid", *SAMPLERS,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All of a fine-tuning run's settings."""

    seed: int = 0
    search: SearchSettings = field(default_factory=SearchSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    run: RunSettings = field(default_factory=RunSettings)
    #: Recipe fields that are fixed to one value and taken out of the search.
    fixed: Mapping[str, Any] = field(default_factory=dict)
    #: Individuals of generation 0 beside the default: the genes that differ from it, by name.
    founders: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        plain_fields(self)
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise SettingsError(f"`seed` must be a whole number, but is {self.seed!r}")
        for name, genes in table(self.founders, "founders").items():
            table(genes, f"founders.{name}")
            if name in OPERATORS:
                raise SettingsError(f"a founder cannot be named {name!r}: choose another name")
        if len(self.founders) >= self.search.population_size:
            raise SettingsError(
                "`population_size` must have room for the default and every founder, but got "
                f"(population_size={self.search.population_size}, founders={len(self.founders)})"
            )

    def epochs(self, *, fine_tuning: bool) -> float | None:
        """Return the epochs of a full training, or of a full evaluation by one's own function."""
        return float(self.training.epochs) if fine_tuning else self.search.epochs

    def ladder(self, *, fine_tuning: bool) -> Ladder:
        """Return the rungs on which individuals are judged.

        Raises:
            SettingsError: They do not fit the epochs of a full training.
        """
        cooldown = self.training.cooldown if fine_tuning else 0.0
        return self.search.ladder(self.epochs(fine_tuning=fine_tuning), cooldown)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain JSON data, one table a record."""
        return asdict(self)

    def to_file(self) -> dict[str, Any]:
        """Return the settings as a population file holds them, whatever later defaults will be."""
        search = replace(self.search, lookahead=self.search.births_ahead)
        return replace(self, search=search).to_dict()

    @staticmethod
    def of_file(data: Mapping[str, Any]) -> Settings:
        """Return the settings that a population file holds, as they were meant when it was made.

        Raises:
            SettingsError: An unknown table or name, or a value that breaks its rule.
        """
        # Before there were views, images were augmented anew in each epoch; before there were
        # strategies, every search was a plain genetic algorithm; and where a file says nothing of
        # `lookahead`, it was half of the population's size for every strategy.
        training = {"views": 0, **table(data.get("training", {}), "training")}
        search = {"strategy": "ga", **table(data.get("search", {}), "search")}
        if "objectives" in search:
            search["objectives"] = objectives_in_file(data)
        size = search.get("population_size", SearchSettings().population_size)
        if search.get("lookahead") is None and isinstance(size, int):
            search["lookahead"] = size // 2
        return Settings.from_dict({**data, "training": training, "search": search})

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Settings:
        """Return the settings that a configuration file gives.

        Raises:
            SettingsError: An unknown table or name, or a value that breaks its rule.
        """
        tables = {"search": SearchSettings, "training": TrainingSettings, "run": RunSettings}
        known = {*tables, "seed", "fixed", "founders"}
        if unknown := sorted(data.keys() - known):
            raise SettingsError(
                f"the configuration has no `{unknown[0]}`; it has {', '.join(sorted(known))}"
            )
        return Settings(
            seed=data.get("seed", 0),
            search=record_of(SearchSettings, data.get("search", {}), "search"),
            training=record_of(TrainingSettings, data.get("training", {}), "training"),
            run=record_of(RunSettings, data.get("run", {}), "run"),
            fixed=table(data.get("fixed", {}), "fixed"),
            founders=table(data.get("founders", {}), "founders"),
        )


def objectives_in_file(data: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the objectives that a file's settings name; the fitness alone where they name none.

    Before it went by the name of its metric, the fitness was called ``accuracy`` under any.
    """
    metric = table(data.get("training", {}), "training").get("metric", ACCURACY)
    names = table(data.get("search", {}), "search").get("objectives", (ACCURACY,))
    return tuple(metric if name == ACCURACY else name for name in names)
