"""Judge a model of one's own after few epochs, and continue those that are worth it.

python examples/rungs.py mine.h5
"""

import pickle
import sys
from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

import evoft

FILE = Path(sys.argv[1] if len(sys.argv) == 2 else sys.exit(__doc__))
SPACE = evoft.SearchSpace(lr=evoft.Float(1e-5, 0.1, log=True), width=evoft.Ordinal([16, 32, 64]))


def fitness(genome: evoft.Genome, trial: evoft.Trial) -> float:
    """Train to ``trial.epochs`` in all, going on from where the rung below ended."""
    assert trial.epochs is not None  # it is without `epochs=`
    images, labels = load_digits(return_X_y=True)
    name = f"{FILE}.{trial.stage}-{trial.individual}-"
    mine, below = Path(f"{name}{trial.rung}"), Path(f"{name}{trial.rung - 1}")
    seed, done = trial.seed % 2**32, 0
    model = MLPClassifier(genome["width"], learning_rate_init=genome["lr"], random_state=seed)
    if below.exists():
        done, model = pickle.loads(below.read_bytes())
    for epoch in range(done, int(trial.epochs)):
        model.partial_fit(images[:1200], labels[:1200], classes=range(10))
        trial.report(epoch + 1, loss=model.loss_)
    Path(f"{mine}.new").write_bytes(pickle.dumps((int(trial.epochs), model)))
    Path(f"{mine}.new").replace(mine)  # killed or not, there is a whole one or none
    return float(model.score(images[1200:], labels[1200:]))


if __name__ == "__main__":
    for g in evoft.evolve(fitness, SPACE, epochs=9, generations=3, population_size=6, file=FILE):
        print(f"{len(g.individuals)} born, {len(g.continued)} continued, best {g.best.fitness:.4f}")
