"""Draw the family tree of a population's winner as a Mermaid diagram, which GitHub shows.

python examples/family_tree.py populations/digits.h5
"""

import math
import sys

from evoft import Population
from evoft.lineage import Step, ancestors


def node(step: Step) -> str:
    """Return an individual's box: what it is, its fitness, and the two first things it changed."""
    individual = step.individual
    changes = [f"{c.gene} {short(c.before)} → {short(c.after)}" for c in step.changes]
    more = f"<br/>and {len(changes) - 2} more" if len(changes) > 2 else ""
    lines = [f"<b>#{individual.id}</b> {individual.operator}", f"{individual.fitness:.4f}"]
    if not math.isnan(step.gain):
        lines[1] += f" ({step.gain:+.4f})"
    return f'  i{individual.id}["{"<br/>".join([*lines, *changes[:2]])}{more}"]'


def short(value: object) -> str:
    """Return a value in few characters."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    population = Population.open(sys.argv[1] if len(sys.argv) == 2 else sys.exit(__doc__))
    winner = population.winner or sys.exit("no trial in it has ended well")
    steps = ancestors(population, winner.id)
    print("flowchart TD")
    for step in steps:
        print(node(step))
        for parent in step.parents:
            print(f"  i{parent.id} --> i{step.individual.id}")
