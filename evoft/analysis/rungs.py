"""How the rungs agree on whom to rank where, as the audit found it (``evoft.audit``)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from evoft.audit import FEWEST, Agreement, agreements
from evoft.lineage import Population
from evoft.lineage.generations import settings_of
from evoft.settings import AUDITING

#: On fewer audited individuals a rank correlation is as good as a guess, and is not given.
_SOME = 5


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Two neighbouring rungs."""

    #: Epochs at the lower one and at the higher one.
    low: float
    high: float
    agreement: Agreement

    @property
    def given_up(self) -> bool:
        """Whether nobody is judged by the lower one any more; the lowest rung alone can be."""
        return self.agreement.rung == 0 and self.agreement.is_low


def neighbours_of(population: Population) -> tuple[Neighbours, ...]:
    """Return each pair of neighbouring rungs, the lowest first.

    None where everybody is trained in full, or where the strategy audits nobody: those who climb
    by their scores say nothing of the others.
    """
    header = population.header
    settings = settings_of(header)
    if settings is None or settings.search.strategy not in AUDITING or not population.on_rungs:
        return ()
    rungs = settings.ladder(fine_tuning=bool(header.data)).rungs
    found = agreements(population, header.seed, len(rungs))
    return tuple(Neighbours(rungs[one.rung], rungs[one.rung + 1], one) for one in found)


def agreement_words(pair: Neighbours) -> str:
    """Return how two rungs agree, for people."""
    count, correlation = pair.agreement.count, pair.agreement.correlation
    audited = f"{count} {'individual' if count == 1 else 'individuals'} drawn at random"
    rungs = f"{pair.low:g} and {pair.high:g} epochs"
    if count < _SOME:
        return f"{rungs}: too few to tell how alike they rank ({audited})"
    if math.isnan(correlation):
        return f"{rungs}: nothing to rank, for the scores are all equal ({audited})"
    words = f"{rungs}: rank correlation {correlation:.2f} on {audited}"
    if count < FEWEST:
        return f"{words}, too few to be sure of it"
    if not pair.given_up:
        return words
    unit = "epoch" if pair.low == 1 else "epochs"
    return f"{words}, so judging after {pair.low:g} {unit} is given up"


def agreement_lines(pairs: tuple[Neighbours, ...]) -> list[str]:
    """Return one line for each pair of rungs, under one heading."""
    heads = ["rungs", *[""] * len(pairs)]
    return [f"{head:<13}{agreement_words(p)}" for head, p in zip(heads, pairs, strict=False)]


def agreement_rows(pairs: tuple[Neighbours, ...]) -> list[dict[str, Any]]:
    """Return the pairs as plain data, the correlation None where it has no meaning."""
    return [
        {
            "epochs": pair.low,
            "next_epochs": pair.high,
            "individuals": pair.agreement.count,
            "correlation": None
            if math.isnan(pair.agreement.correlation)
            else pair.agreement.correlation,
            "given_up": pair.given_up,
        }
        for pair in pairs
    ]
