"""The default search space of fine-tuning recipes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: The genes that ``evoft evolve`` searches unless a space is given, in ``SearchSpace.to_dict``'s
#: form.  The defaults together are the default recipe that the winner is compared with: AdamW
#: with a cosine schedule, a tenth of it warm-up, light augmentation, nothing frozen.
DEFAULT_GENES: Mapping[str, Mapping[str, Any]] = {
    "lr": {"type": "float", "low": 1e-5, "high": 1e-1, "log": True, "default": 1e-3},
    "head_lr_factor": {"type": "float", "low": 0.1, "high": 100.0, "log": True, "default": 1.0},
    "weight_decay": {"type": "float", "low": 1e-6, "high": 0.3, "log": True, "default": 1e-2},
    "l1": {
        "type": "ordinal",
        "values": [0.0, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3],
        "default": 0.0,
    },
    "batch_size": {"type": "ordinal", "values": [8, 16, 32, 64, 128], "default": 32},
    "drop": {"type": "float", "low": 0.0, "high": 0.6, "default": 0.0},
    "drop_path": {"type": "float", "low": 0.0, "high": 0.4, "default": 0.0},
    "freeze_depth": {
        "type": "ordinal",
        "values": [0.0, 0.25, 0.5, 0.75, 1.0],
        "default": 0.0,
    },
    "opt": {"type": "choice", "values": ["adamw", "adam", "sgd", "rmsprop"], "default": "adamw"},
    "momentum": {
        "type": "float",
        "low": 0.0,
        "high": 0.98,
        "default": 0.9,
        "when": {"opt": ["sgd", "rmsprop"]},
    },
    "layer_decay": {"type": "float", "low": 0.4, "high": 1.0, "default": 1.0},
    "sched": {
        "type": "choice",
        "values": ["cosine", "linear", "step", "constant"],
        "default": "cosine",
    },
    "warmup": {"type": "float", "low": 0.0, "high": 0.4, "default": 0.1},
    "smoothing": {"type": "float", "low": 0.0, "high": 0.3, "default": 0.0},
    "mixup": {"type": "ordinal", "values": [0.0, 0.1, 0.2, 0.4, 0.8], "default": 0.0},
    "cutmix": {"type": "ordinal", "values": [0.0, 0.25, 0.5, 1.0], "default": 0.0},
    "augment": {"type": "float", "low": 0.0, "high": 1.0, "default": 0.2},
    "hflip": {"type": "choice", "values": [0.0, 0.5], "default": 0.0},
    "reprob": {"type": "ordinal", "values": [0.0, 0.1, 0.25, 0.5], "default": 0.0},
}

#: What each gene is, for the README, ``evoft space`` and the reference.
MEANINGS: Mapping[str, str] = {
    "model": "backbone, when several are given",
    "lr": "peak learning rate of the backbone's last layer group",
    "head_lr_factor": "the classifier's learning rate as a multiple of lr",
    "weight_decay": "L2: decoupled or in the gradient, as the optimizer has it",
    "l1": "weight of the sum of absolute weights in the loss",
    "batch_size": "images in a step",
    "drop": "dropout before the classifier",
    "drop_path": "stochastic depth",
    "freeze_depth": "share (or number) of the layer groups that are frozen, from the stem on",
    "opt": "any optimizer of timm's",
    "momentum": "momentum of sgd and rmsprop",
    "layer_decay": "each layer group's learning rate as a multiple of the next one's",
    "sched": "course of the learning rate after the warm-up",
    "warmup": "share of the epochs over which the learning rate rises",
    "cooldown": "share of the epochs, the last, over which it falls; 1: all after the warm-up",
    "smoothing": "label smoothing",
    "mixup": "alpha of mixup; 0 is none",
    "cutmix": "alpha of CutMix; 0 is none",
    "augment": "strength of rotation, scale, shear, shift and colour changes",
    "hflip": "probability of a horizontal flip",
    "reprob": "probability of erasing a random rectangle",
    "model_ema": "decay of the weights' moving average that is judged and kept; 0 is none",
    "class_weights": "balanced: classes weigh alike in the loss, whatever their sizes; or none",
    "clip_grad": "norm that a step's gradients are scaled down to where it is larger; 0 is none",
    "epochs": "epochs of a trial, when it is a gene rather than a setting",
    "patience": "epochs without a better validation accuracy before a trial ends early",
}


def default_genes(models: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """Return the default space, with the backbone as its first gene when there are several."""
    if len(models) == 1:
        return dict(DEFAULT_GENES)
    return {"model": {"type": "choice", "values": list(models)}, **DEFAULT_GENES}
