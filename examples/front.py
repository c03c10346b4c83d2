"""Evolve for two objectives that are at odds, and print the Pareto front.

python examples/front.py mine.h5
"""

import sys

from sklearn.datasets import load_digits
from sklearn.tree import DecisionTreeClassifier

import evoft

SPACE = evoft.SearchSpace(
    max_depth=evoft.Integer(2, 16),
    min_samples_leaf=evoft.Integer(1, 32, log=True),
    max_features=evoft.Float(0.05, 1.0),
)


def fitness(genome: evoft.Genome, trial: evoft.Trial) -> evoft.Outcome:
    """Return a tree's accuracy, which is to be high, and its leaves, which are to be few."""
    images, labels = load_digits(return_X_y=True)
    tree = DecisionTreeClassifier(**genome, random_state=trial.seed % 2**32)
    tree.fit(images[:1200], labels[:1200])
    accuracy = tree.score(images[1200:], labels[1200:])
    return evoft.Outcome.of_fitness(accuracy, metrics={"leaves": tree.get_n_leaves()})


if __name__ == "__main__":
    file = sys.argv[1] if len(sys.argv) == 2 else sys.exit(__doc__)
    ga = evoft.SearchSettings(strategy="ga", population_size=12)
    for _ in evoft.evolve(
        fitness, SPACE, objectives=("accuracy", "leaves:min"), generations=10, file=file, search=ga
    ):
        pass
    front = evoft.front_of(evoft.Population.open(file))
    for individual in front.individuals:
        values = front.values(individual)
        print(f"#{individual.id}: {values['accuracy']:.4f} with {values['leaves']:.0f} leaves")
