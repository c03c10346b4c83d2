"""Several objectives at once: ranks, crowding and hypervolume, compiled by numba."""
