"""A fine-tuning run from settings to the best model: what ``evoft evolve`` and ``resume`` do.

The parent process, in which this runs, never imports torch: backbones are looked at, trained,
judged and exported in workers.
"""

from evoft.fine_tuning.plan import Plan
from evoft.fine_tuning.session import FineTuning
from evoft.fine_tuning.starting import resume, start

__all__ = ["FineTuning", "Plan", "resume", "start"]
