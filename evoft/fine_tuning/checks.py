"""What is refused before anything is trained: recipes that cannot be, data that are others."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

from evoft.errors import PopulationMismatchError, SettingsError
from evoft.fine_tuning.plan import Plan
from evoft.genome import Value
from evoft.header import Header
from evoft.objectives import LATENCY, PARAMETERS, objective_of, objectives_of
from evoft.quantities import size_text
from evoft.recipe import Recipe
from evoft.search.bayes import require_optuna
from evoft.search.checks import check_settled
from evoft.search.gene import Gene
from evoft.search.genes import Choice, Ordinal
from evoft.search.space import SearchSpace
from evoft.settings import SearchSettings, Settings, TrainingSettings
from evoft.training.data import Preprocessing
from evoft.training.default_space import default_genes
from evoft.training.expression import Expression
from evoft.training.facts import BackboneFacts

#: What is not fixed, and so a gene's or the default recipe's.
_FREE = object()


def searched_space(space: SearchSpace | None, settings: Settings) -> SearchSpace:
    """Return the space less what is fixed; several models are a gene in any space."""
    models = settings.training.models
    if space is None:
        space = SearchSpace.from_dict(default_genes(models))
    elif len(models) > 1 and "model" not in space:
        space = SearchSpace({"model": Choice(models), **space})
    return space.pin(**settings.fixed)


def check_search(settings: Settings) -> None:
    """Refuse a search that cannot name a best recipe, has epochs of its own, or lacks a library.

    Raises:
        SettingsError: What is wrong, and what to do.
    """
    if not settings.search.finalists:
        raise SettingsError(
            "`finalists` must be >= 1 to name a best model, but is 0: only final runs are judged"
        )
    if settings.search.epochs is not None:
        raise SettingsError(
            "`epochs` of [search] are those of a fitness function of one's own: give the epochs of "
            "a trial under [training]"
        )
    if settings.search.strategy == "bayes":
        require_optuna()


def check_channels(training: TrainingSettings) -> None:
    """Refuse a mean or standard deviation that is meant for pixels from 0 to 255.

    Raises:
        SettingsError: Which, and what to do.
    """
    for name, channels in (("mean", training.mean), ("std", training.std)):
        if channels is not None and not all(0 <= channel <= 1 for channel in channels):
            raise SettingsError(
                f"`{name}` must be in [0, 1], for pixels are from 0 to 1, but is {channels!r}: "
                "divide what is meant for pixels from 0 to 255 by 255"
            )


def with_fitness_named(settings: Settings) -> Settings:
    """Return the settings in which the fitness, where it is all that is sought, has its name."""
    if settings.search.objectives != SearchSettings().objectives:
        return settings
    objectives = (settings.training.metric,)
    return replace(settings, search=replace(settings.search, objectives=objectives))


def check_objectives(settings: Settings, space: SearchSpace) -> None:
    """Refuse what no trial reports, and what is the same for everybody.

    Args:
        settings: With the objectives.
        space: What is searched, less what is fixed.

    Raises:
        SettingsError: Which objective, and what to do.
    """
    objectives = objectives_of(settings.search.objectives)
    fitness = objective_of(settings.training.metric)
    if misnamed := [one for one in objectives if one.fitness and one != fitness]:
        raise SettingsError(
            f"the objective `{misnamed[0]}` is not the fitness, which is {fitness} by --metric: "
            f"write --objective {fitness}"
        )
    measured = (fitness, LATENCY, PARAMETERS)
    if unmeasured := [one for one in objectives if one not in measured]:
        raise SettingsError(
            f"`objectives` of fine-tuning are {', '.join(map(str, measured))}, but there is "
            f"{unmeasured[0]}, which no trial reports"
        )
    # No other gene makes a model larger or slower.
    models = _samples(space["model"]) if "model" in space else []
    of_model = [one for one in objectives if not one.fitness]
    if of_model and len(models) < 2:
        model = settings.fixed.get("model", settings.training.models[0])
        raise SettingsError(
            f"the objective `{of_model[0]}` must differ between individuals, but all of them are "
            f"trained from {model}: name several models, as in --model resnet18,resnet50, or take "
            "it out"
        )


def unseen(model: str) -> BackboneFacts:
    """Return what a backbone is taken for until it is looked at: whatever a recipe sets, it has.

    With these facts ``check_recipes`` finds, before a worker is needed, each value that no backbone
    would take.
    """
    images = Preprocessing((1, 1), (0.0,) * 3, (1.0,) * 3, "nearest", 1.0, "center")
    return BackboneFacts(model, 1, 0, images, drop=True, drop_path=True, weights="")


def check_recipes(
    express: Expression, space: SearchSpace, named: Mapping[str, Mapping[str, Value]]
) -> list[Recipe]:
    """Return the recipes at each gene's bounds and values, and those of the named founders.

    Raises:
        SettingsError: A gene, bound or founder that no recipe has, and what is wrong with it.
    """
    names = set(Recipe.__dataclass_fields__)
    for name in space:
        if name not in names:
            raise SettingsError(
                f"the gene `{name}` has no meaning to the trainer, which knows "
                f"{', '.join(sorted(names))}"
            )
    parts: list[tuple[str, Mapping[str, Value]]] = [
        (f"the gene `{name}`", {name: value})
        for name, gene in space.items()
        for value in _samples(gene)
    ]
    parts += [(f"the founder `{name}`", part) for name, part in named.items()]
    # The default by itself comes first: what is wrong with a fixed value is no gene's fault.
    default = express(space.default())
    return [default, *(_expressed(express, space, part, whose) for whose, part in parts)]


def _samples(gene: Gene) -> list[Value]:
    """Return all values of a list, or the bounds and a few between them of a range."""
    if isinstance(gene, Ordinal | Choice):
        return list(gene.values)
    return [gene.at(unit) for unit in (0.0, 0.25, 0.5, 0.75, 1.0)]


def _expressed(
    express: Expression, space: SearchSpace, part: Mapping[str, Value], whose: str
) -> Recipe:
    """Return the recipe of the default genome with some genes set, where all of them count."""
    try:
        genome = space.complete(part)
        for name in part:
            for other, wanted in (space[name].when or {}).items():
                genome = genome.replace(**{other: wanted[0]})
        return express(genome)
    except SettingsError as error:
        raise type(error)(f"{whose}: {error}") from None


def largest_batch(space: SearchSpace, fixed: Mapping[str, Any]) -> int:
    """Return the largest batch size that a recipe may have."""
    if "batch_size" in space:
        return max(int(size) for size in _samples(space["batch_size"]))
    return int(fixed.get("batch_size", Recipe(model="", epochs=1).batch_size))


def check_lineage(before: Settings, after: Settings) -> None:
    """Refuse to go on with settings that would have made another lineage.

    Raises:
        SettingsError: The first such setting, what it was and what it is to be.
    """
    fixed = sorted({*before.fixed, *after.fixed})
    pairs = zip(_settling(before, fixed), _settling(after, fixed), strict=True)
    for (name, was), (_, now) in pairs:
        if was != now:
            raise SettingsError(
                f"`{name}` settles the lineage and cannot change over the life of a population, "
                f"but was {_told(name, was)} and is to be {_told(name, now)}: go on without it, or "
                "start a new population"
            )


def _told(name: str, value: Any) -> str:
    if value is _FREE:
        return "free"
    return size_text(value) if name == "cache_size" else repr(value)


def _settling(settings: Settings, fixed: Iterable[str]) -> list[tuple[str, Any]]:
    """Return the settings that settle the lineage, with their names, and so for what is fixed."""
    search, training = asdict(settings.search), asdict(settings.training)
    for name in ("generations", "finalists", "repeats"):  # of which there may be more
        del search[name]
    del training["data"]  # its place may change; its content is compared by its fingerprint
    values = [(name, settings.fixed.get(name, _FREE)) for name in fixed]
    tables = [("seed", settings.seed), *values, ("founders", settings.founders)]
    return [*search.items(), *training.items(), *tables]


def check_same(header: Header, plan: Plan) -> None:
    """Refuse to go on with other data or other weights than the population was made with."""
    if plan.images.fingerprint != header.data["fingerprint"]:
        raise PopulationMismatchError(
            f"{plan.file} was made with other data than {plan.images.source} holds now: bring the "
            "same images and splits back, give their place with --data, or start a new population"
        )
    for facts, before in zip(plan.backbones, header.backbones, strict=True):
        if facts.weights != before["weights"] or facts.layer_groups != before["layer_groups"]:
            raise PopulationMismatchError(
                f"{plan.file} was made with other weights of {facts.model} than there are now: "
                "bring the same weights back, or start a new population"
            )


def check_rungs(settings: Settings, space: SearchSpace) -> None:
    """Refuse what several rungs leave no room for: other lengths, another end of a trial.

    Raises:
        SettingsError: A setting, fixed value or gene that the rungs settle.
    """
    ladder = settings.ladder(fine_tuning=True)
    if len(ladder) == 1:
        return
    rungs = f"the rungs of {', '.join(f'{epochs:.3g}' for epochs in ladder.rungs)} epochs"
    patience = settings.fixed.get("patience", settings.training.patience)
    if patience or "patience" in space:
        raise SettingsError(
            f"`patience` must be 0 with the strategy {settings.search.strategy}, whose individuals "
            f"are judged on {rungs}, but is {'a gene' if 'patience' in space else patience}: take "
            "it out, or choose a strategy that trains everybody to the end"
        )
    for name in ("epochs", "cooldown"):
        names = {*space, *settings.fixed}
        check_settled(names, name, settings.search, f"set --{name} for all")


def shortened_warmup(settings: Settings) -> str | None:
    """Return a sentence on a fixed warm-up that the rungs cut short; None: it is as it was set.

    Args:
        settings: Those of a run whose recipes are sound.
    """
    return _shortened(settings, " is fixed at", settings.fixed.get("warmup", 0.0))


def shortened_founders(
    settings: Settings, own: Mapping[str, Mapping[str, Value]]
) -> Iterator[str | None]:
    """Yield the same on each founder's warm-up.

    Args:
        settings: Those of a run whose recipes are sound.
        own: The founders that the user has named.  To one of an earlier population the rungs may
            have done the same there.
    """
    for name, part in own.items():
        warmup = part.get("warmup", 0.0)
        assert isinstance(warmup, int | float)
        yield _shortened(settings, f" of the founder `{name}` is", warmup)


def _shortened(settings: Settings, whose: str, warmup: float) -> str | None:
    ladder = settings.ladder(fine_tuning=True)
    longest, epochs = ladder.longest_warmup, ladder.epochs
    if warmup <= longest:
        return None
    first = min(epochs, math.ceil(warmup / longest * ladder.rungs[0] - 1e-9))
    alone = "" if first < epochs else ", a single rung,"
    return (
        f"`warmup`{whose} {warmup:.3g} ({warmup * epochs:.3g} of {epochs:g} epochs), but on "
        f"the rungs of {', '.join(f'{rung:.3g}' for rung in ladder.rungs)} epochs becomes "
        f"{longest:.3g} ({longest * epochs:.3g} epochs), to end well before the first cool-down: "
        f"--first-rung {first:g}{alone} leaves room for it"
    )
