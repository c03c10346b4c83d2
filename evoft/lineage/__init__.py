"""The population file: its journal, its readers, its one writer, and who came from whom."""

from evoft.lineage.ancestry import Change, Step, ancestors, changes_between, expressed
from evoft.lineage.elders import elders_of
from evoft.lineage.fallen import nobody_left, told_of_fallen
from evoft.lineage.fsck import Finding, check
from evoft.lineage.generations import Generations
from evoft.lineage.mending import repair
from evoft.lineage.paths import Paths
from evoft.lineage.population import Population
from evoft.lineage.record import Record, out_of_turn
from evoft.lineage.store import Store

__all__ = [
    "Change",
    "Finding",
    "Generations",
    "Paths",
    "Population",
    "Record",
    "Step",
    "Store",
    "ancestors",
    "changes_between",
    "check",
    "elders_of",
    "expressed",
    "nobody_left",
    "out_of_turn",
    "repair",
    "told_of_fallen",
]
