"""The model card of a refit: a recipe that was found, trained anew."""

from __future__ import annotations

from typing import Any

from evoft.analysis.card import birth_of, card_of, origin_of
from evoft.analysis.intervals import Interval, balanced_interval, share_interval
from evoft.analysis.largest_class import largest_class_sentences
from evoft.analysis.metric import metric_of, words_of
from evoft.analysis.report_data import bounds
from evoft.analysis.wording import epochs_text, percent
from evoft.lineage import Population
from evoft.refit import Refit, Refitted
from evoft.settings import ACCURACY


def refit_card(population: Population, refitted: Refitted) -> str:
    """Return the text of the folder's README.md.

    Args:
        population: Where the recipe is from.
        refitted: What was trained.
    """
    fit, individual = refitted.fit, population[refitted.fit.individual]
    origin = (
        f"The recipe of individual {individual.id} of an evoft population, {birth_of(individual)}, "
        f"trained anew: {training_words(fit)}."
    )
    how_good = "\n".join(result_lines(population, refitted)) + "\n"
    return card_of(fit.recipe["model"], origin, fit.data, fit.environment, [how_good])


def training_words(fit: Refit) -> str:
    """Return for how long a refit trains, and on what."""
    splits, epochs = fit.data["splits"], epochs_text(fit.recipe["epochs"])
    images = splits["train"]
    if not fit.with_val:
        return f"{epochs} on the {images} images of train, seed {fit.seed}"
    both = images + splits["val"]
    return f"{epochs} on the {both} images of train and val, seed {fit.seed}"


def result_lines(population: Population, refitted: Refitted) -> list[str]:
    """Return how good the model is, in sentences."""
    metric, fit = metric_of(population), refitted.fit
    words, validation = words_of(metric), f"{100 * refitted.outcome.fitness:.1f} %"
    lines = [f"Test {words} {percent(test_interval(refitted, metric))}."]
    if fit.with_val:
        lines.append("It was trained on the validation images too, so they say nothing of it.")
    else:
        lines.append(f"Validation {words} {validation}.")
    share = fit.data["largest_class"]["test"] / fit.data["splits"]["test"]
    if metric != ACCURACY:
        share = 1 / len(fit.data["classes"])
    lines += largest_class_sentences({"test": share}, "test", metric)
    if fit.same_images:
        lines.append(
            "The test images are those that the population's winner is tested on: choose among "
            "refits by validation, for who chooses by the test takes luck for skill."
        )
    return lines


def test_interval(refitted: Refitted, metric: str) -> Interval:
    """Return the metric on the test images."""
    if metric == ACCURACY:
        return share_interval(sum(refitted.right), sum(refitted.images))
    return balanced_interval(refitted.right, refitted.images)


def refit_metrics(population: Population, refitted: Refitted) -> dict[str, Any]:
    """Return what ``metrics.json`` says; the arguments are those of ``refit_card``."""
    metric, fit = metric_of(population), refitted.fit
    fitness = None if fit.with_val else refitted.outcome.fitness
    return {
        "individual": fit.individual,
        "stage": "refit",
        "seed": fit.seed,
        "with_val": fit.with_val,
        f"validation_{metric}": fitness,
        f"test_{metric}": bounds(test_interval(refitted, metric)),
        "data": origin_of(fit.data, fit.split),
    }
