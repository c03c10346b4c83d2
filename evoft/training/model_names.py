"""What a backbone's name stands for: one of timm's models, a folder, a repository of the hub."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import timm
from timm.models import get_deprecated_models, load_model_config_from_hf

from evoft.errors import words_of
from evoft.settings import EMBEDDED


def timm_name(model: str) -> str:
    """Return what timm calls the model; the embedded one is a folder in the hub's format.

    A name that timm has retired is the one that it goes by now.
    """
    if model == EMBEDDED:
        return f"local-dir:{files('evoft.training') / 'embedded'}"
    return get_deprecated_models().get(model) or model


def has_fixed_size(model: str) -> bool:
    """Tell whether a model is made for one size of images, so that another is to be asked for.

    Raises:
        Exception: Of huggingface_hub, where a repository cannot be reached.
    """
    source, _, place = timm_name(model).partition(":")
    if not place:
        entry = timm.get_pretrained_cfg(source)
        return entry is not None and bool(entry.fixed_input_size)
    if source == "local-dir":
        return bool(_described(place)[0].get("fixed_input_size"))
    entry, _, _ = load_model_config_from_hf(place)
    return bool(entry.get("fixed_input_size"))


def _described(folder: str) -> tuple[Mapping[str, Any], str]:
    """Return timm's entry of the model in a folder, and what is wrong with it if anything is."""
    try:
        config = json.loads(Path(folder, "config.json").read_text())
        architecture, entry = config["architecture"], dict(config.get("pretrained_cfg", config))
        known = timm.is_model(architecture)
    except Exception as error:
        return {}, _indescribable(folder, f"{type(error).__name__}: {words_of(error, 120)}")
    wrong = f"timm has no model named {architecture!r}"
    return entry, "" if known else _indescribable(folder, wrong)


def _indescribable(folder: str, why: str) -> str:
    return (
        f"{folder}/config.json does not say which model of timm's is there ({why}): give a folder "
        "that `evoft export` or timm's `save_for_hf` made"
    )


def unknown_name(model: str) -> str:
    """Return that timm does not know a model, or not the weights that its name ends with.

    Empty where it does, of a repository, whose name alone tells nothing, and of a folder that is
    not there.
    """
    source, _, place = model.partition(":")
    if source == "local-dir" and os.path.isfile(os.path.join(place, "config.json")):
        return _described(place)[1]
    if model == EMBEDDED or place:
        return ""
    architecture, _, tag = model.partition(".")
    if not timm.is_model(architecture):
        if os.path.isfile(os.path.join(model, "config.json")):
            return f"{model!r} is no name but a folder: name it as `local-dir:{model}`"
        near = difflib.get_close_matches(model, timm.list_models(), 5)
        hint = f"; it knows {', '.join(near)}" if near else ""
        return f"timm has no model named {model!r}{hint}: `timm.list_models()` lists them all"
    tagged = timm.list_pretrained(f"{architecture}.*") if tag else []
    if not tagged or model in tagged:
        return ""
    near = difflib.get_close_matches(model, tagged, 5, cutoff=0.0)
    return (
        f"timm has no weights {tag!r} of {architecture}; it knows {', '.join(near)}: "
        f"`timm.list_pretrained('{architecture}.*')` lists them all"
    )
