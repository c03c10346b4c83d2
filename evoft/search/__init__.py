"""The search: genes and spaces, DEAP operators on them, and the evolution that breeds."""
