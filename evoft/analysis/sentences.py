"""A report in a table and sentences, for people."""

from __future__ import annotations

from evoft.analysis.largest_class import largest_class_sentences
from evoft.analysis.metric import words_of
from evoft.analysis.report import Report, Tie
from evoft.analysis.wording import epochs_text, percent, plain
from evoft.settings import ACCURACY


def comparison_rows(report: Report) -> list[tuple[str, str, str]]:
    """Return the rows of the table that sets the best recipe beside the default."""
    default = report.default
    rows = []
    for name in report.winner.recipe:
        mine = plain(report.winner.recipe[name])
        other = plain(default.recipe[name]) if default else "failed"
        rows.append((name, mine, other))
    return rows + accuracy_rows(report)


def accuracy_rows(report: Report) -> list[tuple[str, str, str]]:
    """Return the rows of that table that say how good the two are."""
    default, rows = report.default, []
    runs = len(report.winner.validation_runs)
    seeds = "1 fresh seed" if runs == 1 else f"mean of {runs} fresh seeds"
    if default and (others := len(default.validation_runs)) != runs:
        seeds += f" (default: {others})"
    rows.append(
        (
            f"validation {words_of(report.metric)}, {seeds}",
            percent(report.winner.validation),
            percent(default.validation) if default else "failed",
        )
    )
    rows.append(
        (
            f"test {words_of(report.metric)}",
            percent(report.winner.test),
            percent(default.test) if default else "failed",
        )
    )
    return rows


def result_sentences(report: Report) -> list[str]:
    """Return what there is to say of the test split: what is nothing, and what was gained."""
    return [
        *largest_class_sentences(report.largest_class, "test", report.metric),
        gain_sentence(report),
        *([tie_sentence(report.tie)] if report.tie else []),
    ]


def gain_sentence(report: Report) -> str:
    """Return what the winner gained over the default recipe on the test split, honestly."""
    if report.gain is None:
        return "The default recipe never ended well, so there is nothing to compare with."
    if report.default and report.default.id == report.winner.id:
        return "The default recipe won: nothing that was bred beat it. No gain."
    gain = report.gain
    points = "points" if report.metric == ACCURACY else f"points of {words_of(report.metric)}"
    numbers = (
        f"{100 * gain.estimate:+.1f} {points} on the test images "
        f"(95 % interval {100 * gain.low:+.1f} to {100 * gain.high:+.1f})"
    )
    if report.significant:
        return f"Gain over the default recipe: {numbers}."
    return f"No significant gain over the default recipe: {numbers}."


def tie_sentence(tie: Tie) -> str:
    """Return why another than the finalist of the best mean won."""
    winner, leader = tie.winner, tie.leader
    if winner.parameters != leader.parameters:
        cheaper = f"it has {winner.parameters:,.0f} parameters, not {leader.parameters:,.0f}"
    elif winner.frozen != leader.frozen:
        cheaper = f"it freezes {winner.frozen} layer groups, not {leader.frozen}"
    else:
        cheaper = "it is the elder"
    return (
        f"The final runs do not tell #{winner.id} from #{leader.id}, whose mean is "
        f"{100 * (leader.mean - winner.mean):.2f} points better (standard error "
        f"{100 * tie.error:.2f}): #{winner.id} won, for {cheaper}."
    )


def optimism_sentence(report: Report) -> str:
    """Return how far the search misjudged the winner, by its final runs."""
    points = round(100 * report.optimism, 1)
    search = "the search"
    finals = "final run" if len(report.winner.validation_runs) == 1 else "final runs"
    if report.epochs is not None:
        search += f", after {epochs_text(report.epochs)},"
    if not points:
        return f"In {search} it looked as good as in its {finals}."
    better = "better" if points > 0 else "worse"
    return f"In {search} it looked {abs(points):.1f} points {better} than in its {finals}."


def readings_sentence(report: Report) -> str:
    """Return how often the test split was read, which makes its numbers less honest each time."""
    if report.readings == 1:
        return "The test split was read once."
    return (
        f"The test split was read {report.readings} times over the life of this population, each "
        "time for another winner: its numbers are a little optimistic."
    )
