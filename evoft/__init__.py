"""evoft: evolves fine-tuning recipes, or any fitness function of one's own.

``evoft evolve`` on the command line fine-tunes image models; from Python, ``evoft.evolve(fitness,
space)`` maximises whatever ``fitness`` returns.  Importing evoft does not import torch.
"""

from evoft.errors import EvoftError
from evoft.evolution import Evolution
from evoft.genome import Genome
from evoft.individual import Generation, Individual
from evoft.library import evolve, new, reopen, resume
from evoft.lineage import Population
from evoft.outcome import Outcome, Status
from evoft.search.genes import Choice, Float, Integer, Ordinal
from evoft.search.space import SearchSpace
from evoft.settings import SearchSettings
from evoft.trial import Trial

__all__ = [
    "Choice",
    "EvoftError",
    "Evolution",
    "Float",
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
    "new",
    "reopen",
    "resume",
]
