"""Everything that a user can set, checked once at the edge and then handed on frozen.

Three records: how the search breeds, how a trial trains, and how the run is carried out.  The
first two settle the lineage and cannot change over the life of a population file; the third and
the budgets can.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, TypeVar

from evoft.errors import SettingsError
from evoft.ladder import Ladder
from evoft.objectives import FITNESS, objectives_of
from evoft.quantities import seconds, size
from evoft.rules import plain, require, require_whole

#: Who can decide what is trained next, those of them that judge on rungs, and those of these that
#: are nothing without them.
STRATEGIES = ("evolution", "ga", "random", "grid", "hyperband", "asha", "bayes")
CLIMBING = frozenset({"evolution", "hyperband", "asha"})
RUNGS_ONLY = frozenset({"hyperband", "asha"})
#: Those that let some climb whatever their score, to hear how the rungs agree (``evoft.audit``).
AUDITING = frozenset({"evolution"})
#: Those that wait for no outcome, so that as many workers are busy as there are.
BLIND = frozenset({"random", "grid"})

#: Whom the strategy ``bayes`` asks: a tree-structured Parzen estimator or a Gaussian process.
SAMPLERS = ("tpe", "gp")

#: What the fitness is when evoft trains: the share of images that are classified rightly, or the
#: mean over the classes of the share of each.
ACCURACY, BALANCED_ACCURACY = METRICS = ("accuracy", "balanced_accuracy")

#: How pixels are made of others where an image is resized, by timm's names.
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos")

#: The name of the backbone that evoft ships.
EMBEDDED = "embedded"


def _require_kinds(values: Mapping[str, Any], kinds: Mapping[str, tuple[type, str]]) -> None:
    """Check that named values, None apart, are of their kind.

    Raises:
        SettingsError: The first that is not.
    """
    for name, (kind, words) in kinds.items():
        if values[name] is not None and not isinstance(values[name], kind):
            raise SettingsError(f"`{name}` must be {words}, but is {values[name]!r}")


def _require_known(values: Mapping[str, Any], known: Mapping[str, tuple[str, ...]]) -> None:
    """Check that named values, None apart, are among those that are known.

    Raises:
        SettingsError: The first that is not.
    """
    for name, all_of_them in known.items():
        if values[name] is not None and values[name] not in all_of_them:
            raise SettingsError(
                f"`{name}` must be one of {', '.join(all_of_them)}, but is {values[name]!r}"
            )


def _plain_numbers(record: SearchSettings | TrainingSettings | RunSettings | Settings) -> None:
    """Have Python's own numbers in a record that is being made, where numpy's were given."""
    for one in fields(record):
        object.__setattr__(record, one.name, plain(getattr(record, one.name)))


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """How the search goes.  Probabilities have DEAP's names."""

    #: Who decides what is trained next: ``evolution``, ``ga``, ``random``, ...
    strategy: str = "evolution"
    #: What the search is after: the fitness, by the name of the metric that it is, as
    #: ``accuracy``, or as ``fitness``; ``latency`` and ``parameters``, which evoft measures when it
    #: trains; metrics of one's own as in ``energy:min`` or ``f1:max``.
    objectives: Sequence[str] = (FITNESS.name,)
    #: Full trainings in a generation; without rungs, births in it and individuals that live at a
    #: time.
    population_size: int = 12
    #: Generations over the life of the population, founders included; None: until the budget ends.
    generations: int | None = 4
    #: Epochs of a full evaluation by a fitness function of one's own; None: it has no epochs.  A
    #: fine-tuning trial has its own ``epochs``.
    epochs: float | None = None
    #: Epochs of the lowest rung, for strategies that judge on rungs.
    first_rung: float = 1.0
    #: What each rung multiplies the epochs of the one below it by, about.
    rung_factor: float = 3.0
    #: Values of each gene on a grid, at most; None: 3, then 9, and so on while the budget lasts.
    points: int | None = None
    #: Which of Optuna's samplers the strategy ``bayes`` asks: ``tpe`` or ``gp``.
    sampler: str = "tpe"
    #: Probability that an offspring comes from two parents.
    cxpb: float = 0.7
    #: Probability that an offspring of two parents is mutated; one of one parent always is.
    mutpb: float = 0.7
    #: Probability that a mutated offspring's gene is mutated; at least one always is.
    indpb: float = 0.2
    #: Standard deviation of a mutation's step, as a share of the gene's range.
    sigma: float = 0.2
    #: Crowding of simulated binary crossover: the higher, the closer to the parents.
    eta: float = 10.0
    #: Individuals in a selection tournament.
    tournsize: int = 3
    #: How many of the best ever stay alive; the other places go to the youngest.  None: half.
    elite: int | None = None
    #: How many births may be in the open at a birth; None: half of the population's size, or a
    #: quarter of it for the evolution, which every trial in the open leaves knowing less.
    lookahead: int | None = None
    #: Whether all individuals are evaluated with one seed: the same order of images, the same first
    #: weights of the classifier, so that what is luck for one may be luck for another.
    common_seed: bool = False
    #: How many of the best are run again with fresh seeds before one is named.
    finalists: int = 3
    #: How often each finalist is run again.
    repeats: int = 2

    def __post_init__(self) -> None:
        _plain_numbers(self)
        values = asdict(self)
        require(values, _SEARCH_RULES)
        _require_kinds(values, {"common_seed": (bool, "true or false")})
        _require_known(values, {"strategy": STRATEGIES, "sampler": SAMPLERS})
        self._check_objectives()
        require_whole(
            values,
            ("population_size", "generations", "points", "tournsize", "elite", "lookahead",
             "finalists", "repeats"),
        )  # fmt: skip
        for name in ("elite", "lookahead"):
            if values[name] is not None and values[name] >= self.population_size:
                raise SettingsError(
                    f"`{name} < population_size` must hold, but got ({name}={values[name]}, "
                    f"population_size={self.population_size})"
                )

    def _check_objectives(self) -> None:
        objectives = objectives_of(self.objectives)
        object.__setattr__(self, "objectives", tuple(map(str, self.objectives)))
        if not any(one.fitness for one in objectives):
            raise SettingsError(
                f"`objectives` must have {FITNESS.name}, the fitness, among them, but are "
                f"{', '.join(self.objectives)}: it goes by the name of the metric that it is"
            )

    @property
    def elite_places(self) -> int:
        """``elite``, or half of the population's size."""
        return max(1, self.population_size // 2) if self.elite is None else self.elite

    @property
    def births_ahead(self) -> int:
        """``lookahead``, or half or a quarter of the population's size, at least 1."""
        if self.lookahead is not None:
            return self.lookahead
        return max(1, self.population_size // (4 if self.strategy == "evolution" else 2))

    @property
    def births(self) -> int | None:
        """Full trainings over the life of the population; None: as many as the budget allows."""
        return None if self.generations is None else self.generations * self.population_size

    def ladder(self, epochs: float | None, cooldown: float = 0.0) -> Ladder:
        """Return the rungs on which the strategy judges individuals.

        Args:
            epochs: Epochs of a full training; None: it has none, and so there is one rung.
            cooldown: Share of a rung's epochs that serve its judgement alone, ``[0, 1)``.

        Raises:
            SettingsError: The strategy is nothing without rungs and there are no epochs, or the
                lowest rung is longer than a full training.
        """
        if epochs is None:
            if self.strategy in RUNGS_ONLY:
                raise SettingsError(
                    f"`epochs` must be given, for the strategy {self.strategy!r} judges after "
                    "parts of a full evaluation: say how many epochs that has, or take another "
                    "strategy"
                )
            return Ladder()
        if self.strategy not in CLIMBING:
            return Ladder((float(epochs),))
        if self.first_rung > epochs:
            raise SettingsError(
                f"`first_rung <= epochs` must hold, but got (first_rung={self.first_rung:g}, "
                f"epochs={epochs:g}): individuals are first judged within a full training"
            )
        return Ladder.of(epochs, first=self.first_rung, factor=self.rung_factor, cooldown=cooldown)


_SEARCH_RULES = {
    ">= 2": ("population_size", "points"),
    ">= 1": ("generations", "tournsize", "repeats"),
    ">= 0": ("elite", "lookahead", "finalists"),
    "> 0": ("sigma", "eta", "epochs", "first_rung"),
    "> 1": ("rung_factor",),
    "in [0, 1]": ("cxpb", "mutpb", "indpb"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """What is trained, and what every trial has in common."""

    #: A folder, a CSV or npz file, or ``digits``.
    data: str = "digits"
    #: timm models, ``embedded`` among them; several make the backbone a gene.
    models: tuple[str, ...] = (EMBEDDED,)
    #: Start from the pretrained weights rather than from random ones.
    pretrained: bool = True
    #: A file of weights to start from instead of the model's own.
    checkpoint: str | None = None
    #: Arguments for timm's ``create_model``, beside those that evoft gives.
    model_kwargs: Mapping[str, Any] = field(default_factory=dict)
    #: Mean and standard deviation of the channels; None: the backbone's own.
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    #: Side of the square image in pixels; None: the backbone's own.
    img_size: int | None = None
    #: Share of the resized image's side that the crop of its centre keeps, and how it is resized:
    #: one of ``INTERPOLATIONS``; None: the backbone's own.
    crop_pct: float | None = None
    interpolation: str | None = None
    #: What the fitness is, of the images of validation: one of ``METRICS``.
    metric: str = ACCURACY
    #: Most epochs of a trial.
    epochs: int = 5
    #: Epochs without a better validation accuracy before a trial ends early; 0: never.
    patience: int = 0
    #: Share of the epochs, the last ones, over which the learning rate falls before a trial is
    #: judged, where individuals are judged on several rungs; with one rung it falls all the way.
    cooldown: float = 0.25
    #: Shares that are split off for validation and test where the data has no such split.
    val_share: float = 0.2
    test_share: float = 0.2
    #: Most images of the training split that are used; None: all.
    max_train_images: int | None = None
    #: Strengths of augmentation of which each image has fixed versions, the image itself among
    #: them, where frozen layers come first; 0: augmented anew in each epoch there, too.
    views: int = 2
    #: Mixed precision: on a GPU, and on a CPU that has bfloat16 for backbones that gain by it.
    amp: bool = True
    #: Most bytes of features, what frozen layers make of images, that a run keeps; 0: none.  Where
    #: those of a recipe do not fit it is trained in another way, so that this is no run setting.
    cache_size: int = 4 * 2**30

    def __post_init__(self) -> None:
        _plain_numbers(self)
        values = asdict(self)
        _require_kinds(values, _TRAINING_KINDS)
        _require_known(values, {"metric": METRICS, "interpolation": INTERPOLATIONS})
        require(values, _TRAINING_RULES)
        require_whole(
            values, ("epochs", "patience", "img_size", "max_train_images", "views", "cache_size")
        )
        if not self.data:
            raise SettingsError("`data` must be a path or `digits`, but is empty")
        if wrong := [name for name in self.models if not isinstance(name, str)]:
            raise SettingsError(f"`models` must be a list of names, but holds {wrong[0]!r}")
        if not self.models:
            raise SettingsError("`model` must name at least one timm model, but names none")
        if len(set(self.models)) < len(self.models):
            raise SettingsError(f"`model` names a model twice: {', '.join(self.models)}")
        if self.checkpoint is not None and len(self.models) > 1:
            raise SettingsError(
                "`checkpoint` is one backbone's weights, but `model` names several: give one"
            )
        for name in ("mean", "std"):
            channels = values[name]
            if channels is not None and not (
                len(channels) == 3 and all(isinstance(c, int | float) for c in channels)
            ):
                raise SettingsError(f"`{name}` must be three numbers, but is {channels!r}")
        if self.std is not None and min(self.std) <= 0:
            raise SettingsError(f"`std` must be > 0 in each channel, but is {self.std!r}")
        if self.val_share + self.test_share >= 1:
            raise SettingsError(
                "`val_share + test_share < 1` must hold, but got "
                f"(val_share={self.val_share}, test_share={self.test_share})"
            )


_TRAINING_KINDS: dict[str, tuple[type, str]] = {
    "data": (str, "a path or `digits`"),
    "models": (tuple, "a list of names"),
    "checkpoint": (str, "a path"),
    "model_kwargs": (Mapping, "a table"),
    "pretrained": (bool, "true or false"),
    "amp": (bool, "true or false"),
}

_TRAINING_RULES = {
    ">= 1": ("epochs", "img_size", "max_train_images"),
    ">= 0": ("patience", "views", "cache_size"),
    "in (0, 1)": ("val_share", "test_share", "cooldown"),
    "in (0, 1]": ("crop_pct",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """How a run is carried out.  Nothing in here changes which individuals are born."""

    #: Worker processes in all; None: as many as ``workers_per_device`` says.
    workers: int | None = None
    #: Worker processes on each GPU, or on the CPU; None: as many as fit its memory and the cores.
    workers_per_device: int | None = None
    #: ``auto``, ``cpu``, or the numbers of the GPUs to use, as in ``0,1``.
    devices: str = "auto"
    #: Seconds of running over the life of the population file; None: no limit.
    budget: float | None = None
    #: Seconds that one trial may take; None: no limit.
    trial_timeout: float | None = None
    #: Seconds without a sign of life before a worker is taken for hung; None: never.
    stall_timeout: float | None = None
    #: Most bytes of checkpoints and of trainings that may be gone on with; None: no limit.
    max_disk: int | None = None

    def __post_init__(self) -> None:
        _plain_numbers(self)
        values = asdict(self)
        counts = ("workers", "workers_per_device")
        times = ("budget", "trial_timeout", "stall_timeout")
        as_many = "leave it out for as many as the cores and the memory allow"
        require(values, {">= 1": counts}, as_many)
        require(values, {">= 0": ("max_disk",), "> 0": times})
        require_whole(values, (*counts, "max_disk"))
        _require_kinds(values, {"devices": (str, "a text")})
        if not re.fullmatch(r"auto|cpu|\d+(,\d+)*", self.devices):
            raise SettingsError(
                f"`devices` must be auto, cpu or GPU numbers as in 0,1, but is {self.devices!r}"
            )


#: What makes the individuals that are no named founders.
_OPERATORS = {
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
        _plain_numbers(self)
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise SettingsError(f"`seed` must be a whole number, but is {self.seed!r}")
        for name, genes in _table(self.founders, "founders").items():
            _table(genes, f"founders.{name}")
            if name in _OPERATORS:
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
        training = {"views": 0, **_table(data.get("training", {}), "training")}
        search = {"strategy": "ga", **_table(data.get("search", {}), "search")}
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
            fixed=_table(data.get("fixed", {}), "fixed"),
            founders=_table(data.get("founders", {}), "founders"),
        )


def objectives_in_file(data: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the objectives that a file's settings name; the fitness alone where they name none.

    Before it went by the name of its metric, the fitness was called ``accuracy`` under any.
    """
    metric = _table(data.get("training", {}), "training").get("metric", ACCURACY)
    names = _table(data.get("search", {}), "search").get("objectives", (ACCURACY,))
    return tuple(metric if name == ACCURACY else name for name in names)


_R = TypeVar("_R", SearchSettings, TrainingSettings, RunSettings)


def _table(data: object, name: str) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise SettingsError(f"`{name}` must be a table, but is {data!r}")
    return data


def record_of(kind: type[_R], data: object, table: str) -> _R:
    """Return the record of one table of settings.

    Raises:
        SettingsError: A name that the record does not have, or a value that breaks its rule.
    """
    values = dict(_table(data, table))
    known = {f.name for f in fields(kind)}
    if unknown := sorted(values.keys() - known):
        raise SettingsError(f"[{table}] has no `{unknown[0]}`; it has {', '.join(sorted(known))}")
    for name, value in values.items():
        if isinstance(value, list):
            values[name] = tuple(value)
        elif isinstance(value, str) and name in ("budget", "trial_timeout", "stall_timeout"):
            values[name] = seconds(value)
        elif isinstance(value, str) and name in ("cache_size", "max_disk"):
            values[name] = size(value)
        elif value == "auto" and name == "workers_per_device":
            values[name] = None
    try:
        return kind(**values)
    except TypeError as error:
        raise SettingsError(f"[{table}]: {error}") from None
