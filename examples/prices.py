"""Say what genomes cost, so that a wide network is trained where it is worth its price.

python examples/prices.py
"""

from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

import evoft

SPACE = evoft.SearchSpace(
    lr=evoft.Float(1e-5, 0.1, log=True), width=evoft.Ordinal([16, 64, 256, 1024], default=64)
)


def fitness(genome: evoft.Genome, trial: evoft.Trial) -> float:
    """Train from the start, for as many epochs as the rung has."""
    images, labels = load_digits(return_X_y=True)
    seed = trial.seed % 2**32
    model = MLPClassifier(genome["width"], learning_rate_init=genome["lr"], random_state=seed)
    for epoch in range(int(trial.epochs or 1)):
        model.partial_fit(images[:1200], labels[:1200], classes=range(10))
        trial.report(epoch + 1, loss=model.loss_)
    return float(model.score(images[1200:], labels[1200:]))


def price(genome: evoft.Genome) -> float:
    """Return what an epoch costs, in any unit: its multiplications, about, and all else."""
    return int(genome["width"]) + 32


if __name__ == "__main__":
    for generation in evoft.evolve(
        fitness, SPACE, epochs=9, generations=3, population_size=6, price=price
    ):
        best = generation.best
        print(f"{len(generation.individuals)} born, best {best.fitness:.4f}, {dict(best.genome)}")
