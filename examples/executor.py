"""Evaluate on an executor: processes of this machine, or a dask cluster of many.

python examples/executor.py [ADDRESS OF A DASK SCHEDULER]
"""

import sys
from concurrent.futures import Executor, ProcessPoolExecutor

from sklearn.datasets import load_iris
from sklearn.model_selection import cross_val_score
from sklearn.svm import SVC

import evoft

SPACE = evoft.SearchSpace(
    C=evoft.Float(1e-3, 1e3, log=True),
    gamma=evoft.Float(1e-4, 10, log=True),
    kernel=evoft.Choice(["rbf", "sigmoid"]),
)


def fitness(genome: evoft.Genome, trial: evoft.Trial) -> float:
    """Return the accuracy over five folds: the same wherever it is computed."""
    images, labels = load_iris(return_X_y=True)
    return float(cross_val_score(SVC(**genome), images, labels, cv=5).mean())


def search(executor: Executor) -> None:
    for generation in evoft.evolve(fitness, SPACE, executor=executor, generations=4):
        print(f"generation {generation.index}: {generation.best.fitness:.4f}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        from distributed import Client

        search(Client(sys.argv[1]).get_executor())
    else:
        with ProcessPoolExecutor(2) as pool:
            search(pool)
