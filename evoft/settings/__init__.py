"""Everything that a user can set, checked once at the edge and then handed on frozen.

Three records: how the search breeds, how a trial trains, and how the run is carried out.  The
first two settle the lineage and cannot change over the life of a population file; the third and
the budgets can.
"""

from evoft.settings.record import record_of
from evoft.settings.run import RunSettings
from evoft.settings.search import (
    AUDITING,
    BLIND,
    CLIMBING,
    RUNGS_ONLY,
    SAMPLERS,
    STRATEGIES,
    SearchSettings,
)
from evoft.settings.settings import OPERATORS, Settings, objectives_in_file
from evoft.settings.training import (
    ACCURACY,
    BALANCED_ACCURACY,
    EMBEDDED,
    INTERPOLATIONS,
    METRICS,
    TrainingSettings,
)

__all__ = [
    "ACCURACY", "AUDITING", "BALANCED_ACCURACY", "BLIND", "CLIMBING", "EMBEDDED", "INTERPOLATIONS",
    "METRICS", "OPERATORS", "RUNGS_ONLY", "SAMPLERS", "STRATEGIES", "RunSettings",
    "SearchSettings", "Settings", "TrainingSettings", "objectives_in_file", "record_of",
]  # fmt: skip
