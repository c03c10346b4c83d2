"""evoft: evolves fine-tuning recipes, or any fitness function of one's own.

``evoft evolve`` on the command line fine-tunes image models; from Python, ``evoft.evolve(fitness,
space)`` maximises whatever ``fitness`` returns.  Importing evoft does not import torch, and what it
offers is imported when it is first asked for, so that the command is there at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evoft.analysis.pareto import Front, front_of
    from evoft.arguments import SearchSettings
    from evoft.errors import EvoftError
    from evoft.evolution import Evolution
    from evoft.genome import Genome
    from evoft.individual import Generation, Individual
    from evoft.library import evolve, new, reopen, resume
    from evoft.lineage import Population
    from evoft.outcome import Outcome, Status
    from evoft.search.genes import Choice, Float, Integer, Ordinal
    from evoft.search.space import SearchSpace
    from evoft.trial import Trial

#: Where each name is.
_HOMES = {
    "Choice": "evoft.search.genes",
    "EvoftError": "evoft.errors",
    "Evolution": "evoft.evolution",
    "Float": "evoft.search.genes",
    "Front": "evoft.analysis.pareto",
    "Generation": "evoft.individual",
    "Genome": "evoft.genome",
    "Individual": "evoft.individual",
    "Integer": "evoft.search.genes",
    "Ordinal": "evoft.search.genes",
    "Outcome": "evoft.outcome",
    "Population": "evoft.lineage",
    "SearchSettings": "evoft.arguments",
    "SearchSpace": "evoft.search.space",
    "Status": "evoft.outcome",
    "Trial": "evoft.trial",
    "evolve": "evoft.library",
    "front_of": "evoft.analysis.pareto",
    "new": "evoft.library",
    "reopen": "evoft.library",
    "resume": "evoft.library",
}

__all__ = [
    "Choice",
    "EvoftError",
    "Evolution",
    "Float",
    "Front",
    "Generation",
    "Genome",
    "Individual",
    "Integer",
    "Ordinal",
    "Outcome",
    "Population",
    "SearchSettings",
    "SearchSpace",
    "Status",
    "Trial",
    "evolve",
    "front_of",
    "new",
    "reopen",
    "resume",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name in _HOMES:
            return globals().setdefault(name, getattr(import_module(_HOMES[name]), name))
        try:
            # A part of evoft, as in `evoft.lineage`, which was always there without an import.
            return import_module(f"evoft.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"evoft.{name}":  # it is there, but something that it needs is not
                raise
            raise AttributeError(f"module 'evoft' has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
