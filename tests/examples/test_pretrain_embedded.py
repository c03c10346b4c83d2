"""The embedded backbone: its file, the script that made it, and the images it was made on."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import timm
import torch

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
EMBEDDED = ROOT / "evoft" / "training" / "embedded"


@pytest.fixture
def formula_images(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module("formula_images")


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the script wrote after two tiny epochs."""
    output = tmp_path_factory.mktemp("pretrained")
    command = [sys.executable, str(EXAMPLES / "pretrain_embedded.py"), "--output", str(output)]
    tiny = ["--epochs", "2", "--classes", "2", "--images", "16", "--batch-size", "32"]
    subprocess.run([*command, *tiny], check=True, timeout=120)
    return output


def preprocessing(folder: Path) -> dict[str, Any]:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    described: dict[str, Any] = config["pretrained_cfg"]
    return described


def outputs(folder: Path, classes: int) -> torch.Tensor:
    model = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=classes).eval()
    with torch.inference_mode():
        result: torch.Tensor = model(torch.zeros(2, 3, 32, 32))
    return result


@pytest.mark.parametrize("classes", [1, 10, 1000])
def test_shipped_backbone_loads_in_plain_timm_for_any_classes(classes: int) -> None:
    assert outputs(EMBEDDED, classes).shape == (2, classes)


def test_shipped_backbone_takes_a_megabyte_at_most() -> None:
    assert (EMBEDDED / "model.safetensors").stat().st_size <= 1_000_000


def test_shipped_backbone_brings_its_own_weights() -> None:
    assert torch.equal(outputs(EMBEDDED, 0), outputs(EMBEDDED, 0))


def test_shipped_backbone_states_its_preprocessing_and_licence() -> None:
    config = preprocessing(EMBEDDED)
    assert config["input_size"] == [3, 32, 32]
    assert config["mean"] == config["std"] == [0.5, 0.5, 0.5]
    assert config["license"] == "apache-2.0"


@pytest.mark.slow
def test_script_writes_what_plain_timm_loads(pretrained: Path) -> None:
    assert sorted(path.name for path in pretrained.iterdir()) == [
        "config.json",
        "model.safetensors",
    ]
    assert outputs(pretrained, 7).shape == (2, 7)
    assert torch.isfinite(outputs(pretrained, 0)).all()


@pytest.mark.slow
def test_script_describes_its_result_as_the_shipped_one(pretrained: Path) -> None:
    shipped, made = preprocessing(EMBEDDED), preprocessing(pretrained)
    # Versions of timm differ in what else they write.
    for field in ("input_size", "mean", "std", "interpolation", "crop_pct", "crop_mode"):
        assert made[field] == shipped[field]


@pytest.mark.slow
def test_script_makes_the_shipped_architecture(pretrained: Path) -> None:
    shipped, made = (
        timm.create_model(f"local-dir:{folder}", pretrained=True)
        for folder in (EMBEDDED, pretrained)
    )
    assert str(made) == str(shipped)


@pytest.mark.parametrize("family", range(4))
def test_images_of_a_class_repeat_under_a_seed(formula_images: ModuleType, family: int) -> None:
    masks = formula_images.draw_class(family, 0, 5, seed=3)
    assert masks.shape == (5, 32, 32)
    assert masks.min() >= 0
    assert masks.max() <= 1
    np.testing.assert_array_equal(masks, formula_images.draw_class(family, 0, 5, seed=3))


@pytest.mark.parametrize("family", range(4))
def test_images_vary_within_a_class_and_with_class_and_seed(
    formula_images: ModuleType, family: int
) -> None:
    masks = formula_images.draw_class(family, 0, 5, seed=3)
    assert not np.array_equal(masks[0], masks[1])
    assert not np.array_equal(masks, formula_images.draw_class(family, 1, 5, seed=3))
    assert not np.array_equal(masks, formula_images.draw_class(family, 0, 5, seed=4))


def test_all_classes_are_drawn_in_order_of_label(formula_images: ModuleType) -> None:
    drawn = formula_images.draw_images(classes_per_family=2, images_per_class=3, seed=0)
    assert drawn.masks.shape == (24, 32, 32)
    assert drawn.labels.tolist() == [label for label in range(8) for _ in range(3)]
    assert drawn.classes == 8
    assert drawn.first_texture == 6
