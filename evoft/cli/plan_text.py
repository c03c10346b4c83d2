"""What a run is going to do, told before its first trial."""

from __future__ import annotations

from evoft.cli.output import counted, duration, short
from evoft.fine_tuning import Plan
from evoft.recipe import Recipe, takes_momentum
from evoft.search.checks import kept_busy
from evoft.search.genes import Choice
from evoft.settings import EMBEDDED, SearchSettings, TrainingSettings

#: Genes and fixed values with fewer of which a space was hardly meant to be all that is searched.
_FEW = 3


def plan_text(plan: Plan, left: float | None) -> str:
    """Return what the run is going to do, for people.

    Args:
        plan: The run's.
        left: Seconds that it is going to take; None: open.
    """
    images, search = plan.images, plan.settings.search
    splits = ", ".join(f"{count} {split}" for split, count in images.counts().items())
    budget = plan.settings.run.budget
    estimate = "ends with the budget" if left is None else f"about {duration(left)}"
    if budget is not None:
        estimate += f", at most {duration(budget)} by --budget"
    where = ", ".join(sorted({_device_name(plan, device) for device in plan.devices}))
    rows = [
        (
            "data",
            f"{images.name}: {len(images)} images of {len(images.classes)} classes ({splits})",
        ),
        *(("", note) for note in images.notes),
        *(("backbone", _backbone(plan, i)) for i in range(len(plan.backbones))),
        ("", _small(plan.settings.training)),
        ("genes", f"{len(plan.space)}: {', '.join(plan.space)}"),
        ("", _few(plan)),
        ("fixed", _fixed(plan)),
        ("strategy", search.strategy),
        ("objectives", ", ".join(search.objectives) if len(search.objectives) > 1 else ""),
        ("individuals", _individuals(plan)),
        ("generation", _generation(plan)),
        ("already done", _done(plan)),
        ("finals", _finals(plan)),
        ("workers", f"{len(plan.devices)} on {where}"),
        ("", plan.limit),
        ("", _idle(plan.settings.search, len(plan.devices))),
        ("estimate", estimate),
        ("population", str(plan.file)),
    ]
    return "\n".join(f"{name:<13}{text}" for name, text in rows if text) + "\n"


def _backbone(plan: Plan, index: int) -> str:
    facts = plan.backbones[index]
    height, width = facts.preprocessing.img_size
    start = "pretrained" if facts.weights else "random start"
    return (
        f"{facts.model} ({start}): {facts.parameters:,} parameters in {facts.layer_groups} layer "
        f"groups and a classifier, {height} x {width} pixels"
    )


def _small(training: TrainingSettings) -> str:
    """Return what whoever named no backbone should know of the one that is taken then."""
    if training.models != (EMBEDDED,) or training.data == "digits":
        return ""
    return "it is small, and there to work offline: for photos name one of timm's with --model"


def _few(plan: Plan) -> str:
    """Return what whoever wrote a space of a gene or two should know, unless the rest is fixed."""
    if len(plan.space) + len(plan.settings.fixed) >= _FEW:
        return ""
    return (
        "your space replaces the default one: to search its other genes too, start from "
        "`evoft space > mine.toml`"
    )


def _fixed(plan: Plan) -> str:
    longest = plan.ladder.longest_warmup
    words = {name: f"{name} = {value}" for name, value in plan.settings.fixed.items()}
    if (warmup := plan.settings.fixed.get("warmup", 0.0)) > longest:
        words["warmup"] = f"warmup = {short(longest)} ({short(warmup)} is too long for the rungs)"
    depth = plan.settings.fixed.get("freeze_depth")
    if isinstance(depth, int) and depth > (most := _most_groups(plan)):
        words["freeze_depth"] = f"freeze_depth = {most} ({depth} is more than there are)"
    if "momentum" in words and not any(map(takes_momentum, _optimizers(plan))):
        words["momentum"] += " (which does not count with this optimizer)"
    return ", ".join(words.values())


def _most_groups(plan: Plan) -> int:
    return max(facts.layer_groups for facts in plan.backbones)


def _optimizers(plan: Plan) -> tuple[str, ...]:
    """Return all optimizers that a trial may have."""
    gene = plan.space.get("opt")
    if isinstance(gene, Choice):
        return tuple(map(str, gene.values))
    return (str(plan.settings.fixed.get("opt", Recipe(model="", epochs=1).opt)),)


def _individuals(plan: Plan) -> str:
    search, ladder = plan.settings.search, plan.ladder
    if ladder.top:
        judged = f"judged after {_listed([f'{epochs:g}' for epochs in ladder.rungs])} epochs"
        if search.generations is None:
            return f"as many as the budget allows, {judged}"
        generations = counted(search.generations, "generation")
        return f"as many as {search.births} full trainings in {generations} pay for, {judged}"
    births = "as many as the budget allows"
    if search.generations is not None:
        births = f"{search.births} in {counted(search.generations, 'generation')}"
    return f"{births}, each for at most {counted(plan.settings.training.epochs, 'epoch')}"


def _generation(plan: Plan) -> str:
    size = plan.settings.search.population_size
    words = f"as much training as {size} full ones, of those that are born and those continued"
    return words if plan.ladder.top else ""


def _listed(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _done(plan: Plan) -> str:
    judged = "trials of the search" if plan.ladder.top else "individuals"
    if not plan.judged:
        return ""
    return f"{plan.judged} {judged}, {counted(plan.finals, 'final run')}"


def _finals(plan: Plan) -> str:
    search = plan.settings.search
    best = "best" if search.finalists == 1 else f"{search.finalists} best"
    again = counted(search.repeats, "fresh seed")
    return (
        f"the {best} and the default recipe again with {again} each, then the test split, once "
        "for each winner"
    )


def _idle(search: SearchSettings, workers: int) -> str:
    """Return how many of the workers the search can keep busy; empty where that is all."""
    if (busy := kept_busy(search, workers)) == workers:
        return ""
    return (
        f"of which the search keeps at most {busy} busy, for {counted(busy - 1, 'trial')} may be "
        "open at a decision: more with --lookahead in a new population"
    )


def _device_name(plan: Plan, device: str) -> str:
    return "the CPU" if device == "cpu" else f"GPU {device} ({plan.gpus[int(device)]})"
