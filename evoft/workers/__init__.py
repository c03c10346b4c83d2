"""The workers: processes that evaluate trials, one a slot, and nothing else."""
