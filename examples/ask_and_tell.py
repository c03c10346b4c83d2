"""Own the loop: ask for a trial, evaluate it anywhere, tell its fitness; stop and go on at will.

python examples/ask_and_tell.py mine.h5
"""

import sys
from pathlib import Path

import evoft

SPACE = evoft.SearchSpace(x=evoft.Float(-5.0, 5.0), y=evoft.Integer(-5, 5))


def open_or_make(file: Path) -> evoft.Evolution:
    """Go on with the population if there is one."""
    if file.exists():
        return evoft.reopen(file)
    return evoft.new(SPACE, generations=10, population_size=8, file=file, seed=1)


if __name__ == "__main__":
    file = Path(sys.argv[1] if len(sys.argv) == 2 else sys.exit(__doc__))
    with open_or_make(file) as evolution:
        while (trial := evolution.ask()) is not None:
            x, y = trial.genome["x"], trial.genome["y"]
            evolution.tell(trial, -((x - 1) ** 2) - (y - 2) ** 2)
    if best := evolution.best:  # None where all have failed
        print(f"best #{best.id} of generation {best.generation}: {dict(best.genome)}")
