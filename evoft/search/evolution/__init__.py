"""The evolution: a genetic algorithm whose broods a Gaussian process judges, on rungs."""
