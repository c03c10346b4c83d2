"""timm backbones: building one, its weights, and what there is to know of it."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import timm
import torch
from timm.data import resolve_data_config
from timm.layers import DropPath
from timm.models import load_state_dict
from torch import Tensor, nn

from evoft.errors import BackboneError, words_of
from evoft.settings import TrainingSettings
from evoft.training.data import Preprocessing
from evoft.training.facts import BackboneFacts
from evoft.training.freezing import classifier_names, layer_groups
from evoft.training.hub import place_to_fetch_from, unreachable
from evoft.training.model_names import has_fixed_size, timm_name, unknown_name

_logger = logging.getLogger(__name__)


def build(
    model: str,
    settings: TrainingSettings,
    classes: int,
    *,
    pretrained: bool,
    drop: float = 0.0,
    drop_path: float = 0.0,
) -> nn.Module:
    """Return a timm model with a fresh classifier.

    Args:
        model: timm's name, or ``embedded``.
        settings: Where the weights come from, and the size of the image.
        classes: Outputs of the classifier.
        pretrained: Whether to load weights; they may be loaded later from another copy instead.
        drop: Dropout before the classifier.
        drop_path: Stochastic depth.

    Raises:
        BackboneError: timm does not know the model, or its weights cannot be had, or it has no
            classifier, or it would take images of other than three channels.
    """
    kwargs: dict[str, Any] = dict(settings.model_kwargs)
    if kwargs.get("in_chans", 3) != 3:
        raise BackboneError(
            "images have three channels here, grey ones too: leave in_chans out of --model-kwargs"
        )
    if drop:
        kwargs["drop_rate"] = drop
    if drop_path:
        kwargs["drop_path_rate"] = drop_path
    overlay = _overlay(settings, pretrained)
    try:
        if settings.img_size and has_fixed_size(model):
            kwargs["img_size"] = settings.img_size
        with _quiet():
            built = timm.create_model(
                timm_name(model),
                pretrained=pretrained,
                num_classes=classes,
                pretrained_cfg_overlay=overlay,
                **kwargs,
            )
    except Exception as error:
        raise BackboneError(_tell(model, settings, pretrained, error)) from error
    assert isinstance(built, nn.Module)
    if not hasattr(built, "get_classifier"):
        raise BackboneError(_headless(model))
    return built


def _headless(model: str) -> str:
    """Return what is wrong with a model that ends in features, and which one to take."""
    whole = model.partition(".")[0].removesuffix("_enc")
    other = f"{whole}, or another" if timm.is_model(whole) and whole != model else "another"
    return f"{model} is an encoder, without a classifier to train: take {other}"


def _overlay(settings: TrainingSettings, pretrained: bool) -> dict[str, Any] | None:
    overlay: dict[str, Any] = {}
    if settings.checkpoint and pretrained:
        # Without a source timm takes the file, wherever the model's own weights are.
        overlay |= {"file": settings.checkpoint, "source": ""}
    for name in ("mean", "std"):
        if (value := getattr(settings, name)) is not None:
            overlay[name] = tuple(value)
    return overlay or None


@contextlib.contextmanager
def _quiet() -> Any:
    """Keep timm's remarks to itself: what matters of them is said by evoft."""
    loggers = [logging.getLogger(name) for name in ("timm", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _tell(model: str, settings: TrainingSettings, pretrained: bool, error: Exception) -> str:
    words = words_of(error, 240) or type(error).__name__
    way_out = ": mend --model-kwargs, or leave it out" if settings.model_kwargs else ""
    if isinstance(error, TypeError):
        return f"timm cannot build {model} with these arguments ({words}){way_out}"
    if unknown := unknown_name(model):
        return unknown
    if pretrained and settings.checkpoint:
        return _useless(settings.checkpoint, model, words)
    if pretrained:
        return _not_had(model, words)
    return f"timm cannot build {model} ({words}){way_out}"


def _useless(checkpoint: str, model: str, words: str) -> str:
    """Return what is wrong with a file of weights that a model did not take, for what reason."""
    try:
        if not checkpoint.endswith(".npz"):  # which each architecture reads in a way of its own
            load_state_dict(checkpoint)
    except Exception as error:
        if "nsupported global" in str(error):
            return (
                f"{checkpoint} holds Python objects beside its weights, which may run any code "
                "when they are read: save the weights alone, by `torch.save(model.state_dict(), "
                "FILE)`"
            )
        return (
            f"{checkpoint} cannot be read as weights ({type(error).__name__}: "
            f"{words_of(error, 120)}): give a file by torch.save, or one by "
            "safetensors whose name says so"
        )
    return (
        f"the weights in {checkpoint} do not fit {model} ({words}): give a file that was saved "
        "from this architecture"
    )


def _not_had(model: str, words: str) -> str:
    return (
        f"the pretrained weights of {model} cannot be had ({words}): give a file with "
        "--checkpoint FILE, or start from random weights with --no-pretrained"
    )


def start_weights(model: str, settings: TrainingSettings, classes: int) -> dict[str, Tensor]:
    """Return the pretrained state of the trunk by name; empty for a random start.

    What a file lacks is random, the same each time: `complete_weights` sees to that.

    Raises:
        BackboneError: The weights cannot be had.
    """
    if not settings.pretrained:
        return {}
    if settings.checkpoint and not Path(settings.checkpoint).is_file():
        raise BackboneError(f"there is no file of weights {settings.checkpoint}")
    return _trunk(model, settings, classes, seed=0)


def complete_weights(model: str, settings: TrainingSettings, classes: int) -> dict[str, Tensor]:
    """Return what `start_weights` does, which is then known to lack nothing.

    Raises:
        BackboneError: The weights cannot be had, or a file lacks some.
    """
    if not settings.checkpoint:
        return start_weights(model, settings, classes)
    with _noting_what_is_missing() as missing:
        weights = start_weights(model, settings, classes)
    # What an architecture loads in a way of its own differs between seeds where it is lacking.
    other = _trunk(model, settings, classes, seed=1) if weights else {}
    for name, tensor in weights.items():
        if not tensor.is_floating_point():  # places and counts, which a model knows by itself
            continue
        if not torch.isfinite(tensor).all():
            raise BackboneError(
                f"the weights in {settings.checkpoint} are no numbers in {name}: the training that "
                "they are from went wrong"
            )
        if name in missing or not torch.equal(tensor, other[name]):
            raise BackboneError(
                f"the weights in {settings.checkpoint} do not fit {model} (they have no "
                f"{name}): give a file that was saved from this architecture"
            )
    return weights


@contextlib.contextmanager
def _noting_what_is_missing() -> Iterator[set[str]]:
    """Collect the names that models do not find in the weights they load meanwhile.

    timm passes over them, and some are constants, which look as if they had been loaded.
    """
    missing: set[str] = set()
    load = nn.Module.load_state_dict

    def noting(self: nn.Module, *arguments: Any, **options: Any) -> Any:
        found = load(self, *arguments, **options)
        missing.update(found.missing_keys)
        return found

    nn.Module.load_state_dict = noting  # type: ignore[method-assign]
    try:
        yield missing
    finally:
        nn.Module.load_state_dict = load  # type: ignore[method-assign]


def _trunk(model: str, settings: TrainingSettings, classes: int, *, seed: int) -> dict[str, Tensor]:
    """Return the state of a pretrained model, its classifier apart."""
    if not settings.checkpoint and (place := place_to_fetch_from(model)) is not None:
        _logger.warning(
            "fetching the pretrained weights of %s from %s: if it cannot be reached, half a minute "
            "or so goes by until that is known",
            model,
            place,
        )
        if why := unreachable(place):
            raise BackboneError(_not_had(model, f"{place} cannot be reached: {why}"))
    torch.manual_seed(seed)
    whole = build(model, settings, classes, pretrained=True)
    head = classifier_names(whole)
    return {name: tensor for name, tensor in whole.state_dict().items() if name not in head}


def digest(state: dict[str, Tensor]) -> str:
    """Return the SHA-256 of named tensors: names, shapes, types and values."""
    sha = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        sha.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        sha.update(tensor.flatten().view(torch.uint8).numpy().data)
    return sha.hexdigest()


def preprocessing_of(model: nn.Module, settings: TrainingSettings | None = None) -> Preprocessing:
    """Return how images are prepared for a backbone, by timm's data config and the settings.

    Raises:
        BackboneError: It takes no images of three channels, or wants them as evoft cannot.
    """
    names = ("img_size", "mean", "std", "crop_pct", "interpolation")
    arguments = {name: value for name in names if (value := getattr(settings, name, None))}
    config = resolve_data_config(arguments, model=model)
    mean, std = tuple(map(float, config["mean"])), tuple(map(float, config["std"]))
    if len(mean) != 3 or config["input_size"][0] != 3:
        name = getattr(model, "pretrained_cfg", {}).get("architecture", "the backbone")
        raise BackboneError(f"{name} does not take images of three channels: take another")
    return Preprocessing(
        img_size=(int(config["input_size"][1]), int(config["input_size"][2])),
        mean=mean,
        std=std,  # type: ignore[arg-type]
        interpolation=str(config["interpolation"]),
        crop_pct=float(config["crop_pct"]),
        crop_mode=str(config.get("crop_mode") or "center"),
    )


def facts_of(model: str, settings: TrainingSettings, classes: int) -> BackboneFacts:
    """Return what there is to know of a backbone; loads its weights.

    Raises:
        BackboneError: timm does not know the model, or its weights cannot be had.
    """
    weights = complete_weights(model, settings, classes)
    built = build(model, settings, classes, pretrained=False)
    return BackboneFacts(
        model=model,
        layer_groups=len(layer_groups(built)),
        parameters=sum(p.numel() for p in built.parameters()),
        preprocessing=preprocessing_of(built, settings),
        drop=_has_dropout(model, settings, classes),
        drop_path=_has_drop_path(model, settings, classes),
        weights=digest(weights) if weights else "",
    )


def _has_drop_path(model: str, settings: TrainingSettings, classes: int) -> bool:
    with contextlib.suppress(BackboneError):
        built = build(model, settings, classes, pretrained=False, drop_path=0.5)
        paths = (m for m in built.modules() if isinstance(m, DropPath))
        return any((path.drop_prob or 0.0) > 0 for path in paths)
    return False


def _has_dropout(model: str, settings: TrainingSettings, classes: int) -> bool:
    with contextlib.suppress(BackboneError):
        built = build(model, settings, classes, pretrained=False, drop=0.5)
        return any(isinstance(m, nn.Dropout) and m.p > 0 for m in built.modules()) or (
            getattr(built, "drop_rate", 0.0) == 0.5
        )
    return False
