"""Trials of a small space, and what they give."""

from dataclasses import replace

from evoft.trial import Trial

#: Genes of a recipe that leaves images as they are.
CLEAN = {"augment": 0.0, "hflip": 0.0, "reprob": 0.0, "mixup": 0.0, "cutmix": 0.0}


def trial(space, number=1, **genes):
    return Trial(number, space.complete({"batch_size": 8, "freeze_depth": 0.5, **genes}), 5)


def same_but_for_cost(one, other):
    return replace(one, peak_memory=0) == replace(other, peak_memory=0)


def shared_with(workers, tuner):
    """Return the tuner with its images where worker processes find them."""
    images = {}
    for model, shared in tuner.pixels.images.items():
        place, array = workers.share(shared.shape, shared.dtype)
        array[:] = shared.open()
        images[model] = place
    return replace(tuner, pixels=replace(tuner.pixels, images=images))
