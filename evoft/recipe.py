"""What a genome means to the trainer: a frozen record of typed fine-tuning settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

from evoft.errors import SettingsError
from evoft.rules import require, require_whole


@dataclass(frozen=True, slots=True)
class Recipe:
    """One fine-tuning run, whole: two equal recipes with equal seeds train the same model.

    Names follow timm's flags where timm has the thing.  ``Recipe.of`` gives the record in its
    canonical form, in which whatever has no effect is at its neutral value, so that two genomes
    that mean the same training have equal recipes.
    """

    #: timm model name, or ``embedded`` for the backbone that evoft ships.
    model: str
    #: Most epochs; fewer when early stopping ends the run.
    epochs: int
    #: Epochs without a better validation accuracy before the run ends early; 0 never ends it.
    patience: int = 0
    #: Peak learning rate of the backbone's last layer group.
    lr: float = 1e-3
    #: The classifier's learning rate is ``lr`` times this.
    head_lr_factor: float = 1.0
    #: L2: decoupled for adamw and lamb-like optimizers, added to the gradient for the others.
    weight_decay: float = 0.0
    #: Weight of the sum of absolute trainable weights (vectors and biases apart) in the loss.
    l1: float = 0.0
    batch_size: int = 32
    #: Dropout before the classifier, ``[0, 1)``.
    drop: float = 0.0
    #: Stochastic depth, ``[0, 1)``.
    drop_path: float = 0.0
    #: Layer groups frozen, counted from the stem; as many as the backbone has: head alone.
    freeze_depth: int = 0
    #: Any name that timm's optimizer factory knows.
    opt: str = "adamw"
    #: Momentum, for the optimizers that have one.
    momentum: float = 0.9
    #: Each layer group's learning rate is this times the next one's, towards the stem.
    layer_decay: float = 1.0
    #: ``constant``, ``linear``, ``cosine`` or ``step``.
    sched: str = "cosine"
    #: Share of the epochs over which the learning rate rises from zero, ``[0, 1)``.
    warmup: float = 0.0
    #: Share of the epochs, the last ones, over which the learning rate falls as ``sched`` has it,
    #: ``(0, 1]``; until then it stands at its peak.  1: it falls from the end of the warm-up on.
    cooldown: float = 1.0
    #: Label smoothing, ``[0, 1)``.
    smoothing: float = 0.0
    #: Alpha of mixup; 0 is none.
    mixup: float = 0.0
    #: Alpha of CutMix; 0 is none.
    cutmix: float = 0.0
    #: Strength of the random augmentation, ``[0, 1]``; 0 is none.
    augment: float = 0.0
    #: Probability of a horizontal flip, ``[0, 1]``.
    hflip: float = 0.0
    #: Probability of erasing a random rectangle, ``[0, 1]``.
    reprob: float = 0.0
    #: Decay of the moving average of the weights that is judged and kept, ``[0, 1)``; 0 is none.
    model_ema: float = 0.0
    #: ``none``, or ``balanced``: each class of the training split has an equal say in the loss.
    class_weights: str = "none"
    #: Norm that all gradients of a step together are scaled down to where it is larger; 0 is none.
    clip_grad: float = 0.0

    @staticmethod
    def of(values: Mapping[str, Any], *, layer_groups: int) -> Recipe:
        """Return the recipe of ``values`` in canonical form.

        Args:
            values: Fields of the recipe by name.  ``freeze_depth`` may be an integer, a count of
                layer groups that is clipped to ``layer_groups``, or a float, a share of them.
            layer_groups: How many layer groups the backbone has, its classifier apart.

        Raises:
            SettingsError: A name that is no field, or a value outside its range.
        """
        known = {field.name for field in fields(Recipe)}
        if unknown := set(values) - known:
            raise SettingsError(
                f"a recipe has no `{sorted(unknown)[0]}`; it has {', '.join(sorted(known))}"
            )
        depth = _depth(values.get("freeze_depth", 0), layer_groups)
        recipe = Recipe(**{**values, "freeze_depth": depth})
        _check(recipe)
        return _canonical(recipe, layer_groups)

    @property
    def changes_images(self) -> bool:
        """Whether training sees an image otherwise than it is: augmented or mixed with another."""
        return any((self.augment, self.hflip, self.reprob, self.mixup, self.cutmix))

    def until(self, epochs: float | None) -> dict[str, Any]:
        """Return the fields of the training that ends, and is judged, after so many epochs.

        Args:
            epochs: Above 0, at most the recipe's own; None: these.  The warm-up takes as many
                epochs as ever.
        """
        if epochs is None or epochs == self.epochs:
            return self.to_dict()
        return {**self.to_dict(), "epochs": epochs, "warmup": self.warmup * self.epochs / epochs}

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, as plain JSON data."""
        return asdict(self)


def whole(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe that a file has, with the fields that evoft did not know when it was made.

    Those are as they were then: at what has no effect.
    """
    unknown = [field for field in fields(Recipe) if field.name not in recorded]
    neutral = {field.name: field.default for field in unknown if field.default is not MISSING}
    return {**recorded, **neutral}


def takes_momentum(opt: str) -> bool:
    """Tell whether the optimizer has a ``momentum`` of its own rather than betas."""
    return opt.lower().removeprefix("lookahead_") in _MOMENTUM


#: timm's optimizers whose steps depend on ``momentum``; a test goes through all that timm has.
_MOMENTUM = frozenset({
    "sgd", "sgdw", "sgdp", "sgdc", "csgdw", "csgdp", "csgdc", "momentum", "nesterov", "nesterovw",
    "rmsprop", "rmsproptf", "rmsproptfw", "rmsproptfc", "crmsproptf", "lars", "nlars", "larc",
    "nlarc", "madgrad", "madgradw", "muon", "nmuon", "adamuon", "nadamuon", "kron", "kronw",
    "kronc", "adafactorbv", "adafactorbvc", "cadafactorbv", "cadafactorbvc", "fusedsgd", "bnbsgd",
    "bnbsgd8bit",
})  # fmt: skip
_SCHEDULES = ("constant", "linear", "cosine", "step")
_CLASS_WEIGHTS = ("none", "balanced")

_RULES = {
    "> 0": ("lr", "head_lr_factor", "layer_decay"),
    ">= 0": (
        "weight_decay",
        "l1",
        "mixup",
        "cutmix",
        "freeze_depth",
        "patience",
        "clip_grad",
    ),
    ">= 1": ("batch_size", "epochs"),
    "in [0, 1)": ("momentum", "drop", "drop_path", "warmup", "smoothing", "model_ema"),
    "in [0, 1]": ("augment", "hflip", "reprob"),
    "in (0, 1]": ("cooldown",),
}


def _depth(depth: float, layer_groups: int) -> int:
    """Return a freeze depth, a count or a share of the layer groups, as a count of them."""
    require({"freeze_depth": depth}, {">= 0": ("freeze_depth",)})
    if isinstance(depth, int):
        return min(depth, layer_groups)
    if depth > 1:
        raise SettingsError(
            f"`freeze_depth` as a share must be in [0, 1], but is {depth!r}: write a whole number "
            "to count layer groups"
        )
    return round(depth * layer_groups)


def _check(recipe: Recipe) -> None:
    values = recipe.to_dict()
    for name in ("model", "opt"):
        if not isinstance(values[name], str):
            raise SettingsError(f"`{name}` must be a name, but is {values[name]!r}")
    require(values, _RULES)
    require_whole(values, ("batch_size", "epochs", "patience"))
    if recipe.sched not in _SCHEDULES:
        raise SettingsError(
            f"`sched` must be one of {', '.join(_SCHEDULES)}, but is {recipe.sched!r}"
        )
    if recipe.class_weights not in _CLASS_WEIGHTS:
        raise SettingsError(
            f"`class_weights` must be one of {', '.join(_CLASS_WEIGHTS)}, but is "
            f"{recipe.class_weights!r}"
        )


def _canonical(recipe: Recipe, layer_groups: int) -> Recipe:
    """Set what has no effect to its neutral value, so that equal trainings are equal recipes."""
    changes: dict[str, Any] = {}
    if not takes_momentum(recipe.opt):
        changes["momentum"] = 0.0
    if recipe.sched == "constant" or recipe.cooldown >= 1.0 - recipe.warmup:
        changes["cooldown"] = 1.0
    if recipe.freeze_depth == layer_groups:
        # Only the classifier trains: no layer to decay over, and no path to drop, for a frozen
        # block is in eval mode.  The one rate that counts is the classifier's.
        changes["layer_decay"] = 1.0
        changes["drop_path"] = 0.0
        changes["lr"] = recipe.lr * recipe.head_lr_factor
        changes["head_lr_factor"] = 1.0
    return Recipe(**{**recipe.to_dict(), **changes})
