"""Where timm is going to fetch pretrained weights from, which may take a while."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import urlparse

import timm
import torch
from huggingface_hub import constants, get_hf_file_metadata, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError

from evoft.errors import words_of
from evoft.training.model_names import timm_name

#: What timm looks for in a repository whose entry names no file.
_USUAL = "pytorch_model.bin"
#: Prefixes of names of models that are repositories of the hub.
_PREFIXES = ("hf-hub", "hf_hub")
#: Seconds before each time that a hub is asked whether it is there.
_WAITS = (0.0, 1.0, 2.0)


def is_repository(model: str) -> bool:
    """Tell whether a model's name is that of a repository of the hub."""
    return model.rpartition(":")[0] in _PREFIXES


def place_to_fetch_from(model: str) -> str | None:
    """Return the address of a model's pretrained weights; None where nothing is to be fetched.

    Args:
        model: timm's name. One that timm does not know is not fetched either.
    """
    source, _, repository = model.rpartition(":")
    if source:
        return _on_the_hub(repository, _USUAL) if is_repository(model) else None
    try:
        entry = timm.get_pretrained_cfg(timm_name(model))
    except RuntimeError:  # an unknown tag
        return None
    if entry is None:
        return None
    if entry.hf_hub_id:
        return _on_the_hub(entry.hf_hub_id, entry.hf_hub_filename or _USUAL)
    return _at_a_url(entry.url) if entry.url else None


def unreachable(place: str) -> str:
    """Return why a repository's hub cannot be reached; empty where it answers, if only "no".

    huggingface_hub asks seven times for each name that the file may have, for up to a minute a
    time, and takes no setting for that.  Here a time is ``HF_HUB_ETAG_TIMEOUT``, by itself 10 s.

    Args:
        place: What ``place_to_fetch_from`` gave; of an address outside the hub nothing is known.
    """
    if not place.startswith(f"{constants.ENDPOINT}/"):
        return ""
    why = ""
    for wait in _WAITS:
        time.sleep(wait)
        try:
            get_hf_file_metadata(place)
        except HfHubHTTPError:
            return ""
        except Exception as error:  # of the HTTP library, which is another in each hub's version
            why = words_of(error, 240) or type(error).__name__
        else:
            return ""
    return why


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
