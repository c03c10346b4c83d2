"""Where timm is going to fetch pretrained weights from, which may take a while."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlparse

import timm
import torch
from huggingface_hub import constants, try_to_load_from_cache

#: What timm looks for in a repository whose entry names no file.
_USUAL = "pytorch_model.bin"
#: Prefixes of names of models that are repositories of the hub.
_PREFIXES = ("hf-hub", "hf_hub")


def place_to_fetch_from(model: str) -> str | None:
    """Return the address of a model's pretrained weights; None where nothing is to be fetched.

    Args:
        model: timm's name. One that timm does not know is not fetched either.
    """
    source, _, repository = model.rpartition(":")
    if source:
        return _on_the_hub(repository, _USUAL) if source in _PREFIXES else None
    try:
        entry = timm.get_pretrained_cfg(model)
    except RuntimeError:  # an unknown tag
        return None
    if entry is None:
        return None
    if entry.hf_hub_id:
        return _on_the_hub(entry.hf_hub_id, entry.hf_hub_filename or _USUAL)
    return _at_a_url(entry.url) if entry.url else None


def _on_the_hub(repository: str, file: str) -> str | None:
    if constants.HF_HUB_OFFLINE:
        return None
    name, _, revision = repository.partition("@")
    names = {file, f"{file.rpartition('.')[0]}.safetensors", "model.safetensors"}
    for one in names:
        if isinstance(try_to_load_from_cache(name, one, revision=revision or None), str):
            return None
    return f"{constants.ENDPOINT}/{name}"


def _at_a_url(url: str) -> str | None:
    kept = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(url).path).name
    return None if kept.exists() else url
