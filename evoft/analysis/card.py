"""The model card that an exported model carries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from evoft.analysis.largest_class import (
    largest_class_numbers,
    largest_class_of,
    largest_class_sentences,
)
from evoft.analysis.metric import metric_of, words_of
from evoft.analysis.report import Report, report_of
from evoft.analysis.report_data import bounds, metrics_of
from evoft.analysis.sentences import (
    comparison_rows,
    optimism_sentence,
    readings_sentence,
    result_sentences,
)
from evoft.analysis.wording import epochs_text, percent
from evoft.individual import Individual
from evoft.lineage import Population
from evoft.soup import Soup
from evoft.trial import Stage, Trial, TrialKey

_LOADING = """```python
import timm

model = timm.create_model("local-dir:FOLDER", pretrained=True).eval()
config = timm.data.resolve_data_config({}, model=model)
transform = timm.data.create_transform(**config, is_training=False)
labels = model.pretrained_cfg.get("label_names")
```"""


def birth_of(individual: Individual) -> str:
    """Return how an individual was born, as the end of a sentence."""
    if not individual.parents:
        return f"born in generation {individual.generation} as `{individual.operator}`"
    parents = " and ".join(map(str, individual.parents))
    return f"bred in generation {individual.generation} by {individual.operator} from {parents}"


def model_card(
    population: Population, key: TrialKey, again: float | None = None, soup: Soup | None = None
) -> str:
    """Return the text of the folder's README.md.

    Args:
        population: Where the model is from.
        key: The run whose weights the folder holds.
        again: Fitness, when the weights were lost and the run was made again.
        soup: With which other runs' weights those of this one were averaged.
    """
    header, individual = population.header, population[key[1]]
    model = individual.genome.get("model", header.settings["training"]["models"][0])
    origin = f"Individual {individual.id} of an evoft population: {birth_of(individual)}."
    how_good = _soup(population, soup) if soup and soup.taken else _results(population, key, again)
    return card_of(model, origin, header.data, header.environment, how_good)


def card_of(
    model: str,
    origin: str,
    data: Mapping[str, Any],
    environment: Mapping[str, Any],
    how_good: Sequence[str],
) -> str:
    """Return the text of the README.md of any exported model.

    Args:
        model: The backbone's name.
        origin: A sentence on where its recipe is from.
        data: What it was trained on, as a population's header has it.
        environment: With which versions, likewise.
        how_good: Paragraphs.
    """
    splits = ", ".join(f"{count} {split}" for split, count in data["splits"].items())
    classes = [str(name) for name in data["classes"]]
    shown = ", ".join(classes[:20]) + (", ..." if len(classes) > 20 else "")
    parts = [
        "---\nlibrary_name: timm\npipeline_tag: image-classification\ntags: [timm, evoft]\n---\n",
        f"# {model} fine-tuned on {data['name']}\n",
        f"{origin}\n",
        f"- images: {splits}\n- classes ({len(classes)}): {shown}",
        f"- data fingerprint: `{data['fingerprint']}`",
        f"- evoft {environment.get('evoft')}, timm {environment.get('timm')}, "
        f"torch {environment.get('torch')}\n",
        "## How good it is\n",
        *how_good,
        "## How to load it\n",
        _LOADING + "\n",
        "Or without writing code: `evoft predict FOLDER IMAGE...`, and `evoft evaluate FOLDER "
        "DATA` for what it takes images of each class for. `recipe.json` holds how it was trained, "
        "`metrics.json` the numbers above.\n",
    ]
    return "\n".join(parts)


def model_metrics(
    population: Population, key: TrialKey, again: float | None = None, soup: Soup | None = None
) -> dict[str, Any]:
    """Return what ``metrics.json`` says; the arguments are those of ``model_card``."""
    header = population.header
    split = {"seed": header.seed, **header.settings["training"]}
    return _numbers(population, key, again, soup) | {"data": origin_of(header.data, split)}


def origin_of(data: Mapping[str, Any], split: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``metrics.json`` says of the images, by which they can be split as they were.

    Args:
        data: As a population's header has it.
        split: ``seed``, ``val_share``, ``test_share`` and ``max_train_images``, among others.
    """
    return {
        "name": data["name"],
        "images": sum(data["splits"].values()),
        "fingerprint": data["fingerprint"],
        "content": data.get("content"),  # files of earlier versions do not say
        "seed": split["seed"],
        **{name: split.get(name) for name in ("val_share", "test_share", "max_train_images")},
    }


def _numbers(
    population: Population, key: TrialKey, again: float | None, soup: Soup | None
) -> dict[str, Any]:
    fitness, run = population.records[key].outcome.fitness, _run(population, key)
    metric = metric_of(population)
    name = f"validation_{metric}"
    largest = largest_class_numbers(largest_class_of(population), metric)
    if soup and soup.taken:
        others = [_run(population, other) for other in soup.taken]
        return {**run, "soup": others, name: soup.fitness, f"{name}_alone": soup.alone, **largest}
    if again is not None and again != fitness:
        return {**run, name: again, f"{name}_recorded": fitness, **largest}
    report = report_of(population)
    role = _judged_as(population, key)
    if report is not None and role == "winner":
        return {**run, **metrics_of(report)}
    accuracies = {**run, name: fitness, **largest}
    if report is not None and report.default and role == "default":
        accuracies[f"test_{metric}"] = bounds(report.default.test)
    return accuracies


def _run(population: Population, key: TrialKey) -> dict[str, Any]:
    trial = population.records[key].trial
    run: dict[str, Any] = {
        "individual": trial.individual,
        "stage": str(trial.stage),
        "repeat": trial.repeat,
    }
    return run if trial.epochs is None else {**run, "epochs": trial.epochs}


def _judged_as(population: Population, key: TrialKey) -> str | None:
    """Return what the test split was last read for this run as; None if it was not."""
    verdict = population.verdicts[-1] if population.verdicts else None
    if verdict is None:
        return None
    return {verdict.default_run: "default", verdict.winner_run: "winner"}.get(key)


def _results(population: Population, key: TrialKey, again: float | None) -> list[str]:
    fitness, metric = population.records[key].outcome.fitness, words_of(metric_of(population))
    largest = largest_class_sentences(largest_class_of(population), "val", metric_of(population))
    if again is not None and again != fitness:
        return [
            f"Its weights had not been kept, so it was trained again: validation {metric} "
            f"{100 * again:.1f} % now, where the record says {100 * fitness:.1f} %. The test split "
            "was not read for these weights.\n",
            *(f"{sentence}\n" for sentence in largest),
        ]
    report = report_of(population)
    role = _judged_as(population, key)
    if report is not None and role == "winner":
        return _comparison(report)
    lines = [_run_sentence(population.records[key].trial, fitness, metric), *largest]
    if report is not None and report.default and role == "default":
        lines.append(
            f"Test {metric} {percent(report.default.test)}: it was read for this model as the "
            "default recipe that the winner was compared with."
        )
    else:
        lines.append("The test split was not read for it.")
    return ["\n".join(lines) + "\n"]


def _soup(population: Population, soup: Soup) -> list[str]:
    metric = metric_of(population)
    return [
        f"{soup_sentence(population, soup)} The test split was not read for it.\n",
        *(f"{s}\n" for s in largest_class_sentences(largest_class_of(population), "val", metric)),
    ]


def soup_sentence(population: Population, soup: Soup) -> str:
    """Return how good a soup of several runs is, and of whose."""
    runs = Counter(key[1] for key in (soup.base, *soup.taken))
    whose = ", ".join(f"#{id} ({count})" if count > 1 else f"#{id}" for id, count in runs.items())
    return (
        f"The mean of the weights of {1 + len(soup.taken)} runs, of {whose}: "
        f"validation {words_of(metric_of(population))} {100 * soup.fitness:.1f} %, the first of "
        f"them alone {100 * soup.alone:.1f} %. They were chosen by that, so it is an optimistic "
        "number."
    )


def _run_sentence(trial: Trial, fitness: float, metric: str) -> str:
    accuracy = f"Validation {metric} {100 * fitness:.1f} %"
    if trial.stage is Stage.FINAL:
        return f"{accuracy} in a final run with a fresh seed."
    after = "" if trial.epochs is None else f" after {epochs_text(trial.epochs)}"
    return (
        f"{accuracy}{after} in the search, as one of many that were compared: an optimistic number."
    )


def _comparison(report: Report) -> list[str]:
    lines = ["| | this model | default recipe |", "|---|---|---|"]
    lines += [f"| {name} | {mine} | {other} |" for name, mine, other in comparison_rows(report)]
    return [
        "\n".join(lines) + "\n",
        *(f"{sentence}\n" for sentence in result_sentences(report)),
        f"{readings_sentence(report)} {optimism_sentence(report)}\n",
    ]
