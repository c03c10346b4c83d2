"""Crop and interpolation of one's own: plain timm sees of the exported model what evoft saw."""

import json
from pathlib import Path

import pytest
import timm
import torch
from PIL import Image

import evoft
from evoft.training.fine_tuner import checkpoint_path

QUICK = ("--strategy", "ga", "--generations", "1", "--population-size", "2", "--epochs", "2",
         "--finalists", "1", "--repeats", "1", "--img-size", "24", "--workers", "1",
         "--devices", "cpu", "--file", "p.h5")  # fmt: skip
CROPPED = ("--crop-pct", "0.5", "--interpolation", "nearest")


def accuracy_by_timm(folder, images):
    """Return plain timm's accuracy, by the transform that the folder describes, and its batch."""
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    # As timm's validate.py has it, which would go by a test size or a test crop were there any.
    config = timm.data.resolve_data_config({}, model=model, use_test_size=True)
    transform = timm.data.create_transform(**config, is_training=False)
    names = model.pretrained_cfg["label_names"]
    paths = sorted(images.glob("*/*.png"))
    batch = torch.stack([transform(Image.open(path).convert("RGB")) for path in paths])
    with torch.inference_mode():
        logits = model(batch)
    told = [names[place] for place in logits.argmax(dim=1).tolist()]
    return sum(t == path.parent.name for t, path in zip(told, paths, strict=True)) / len(
        paths
    ), batch


@pytest.mark.parametrize("flags", [(), CROPPED])
def test_plain_timm_has_the_same_accuracy(cli, pets, tmp_path, flags):
    # A small rate leaves images in doubt, which other pixels would decide otherwise.
    done = cli("evolve", pets, *QUICK, "--lr", 3e-4, "--opt", "sgd", *flags, cwd=tmp_path)
    assert done.code == 0, done.err
    population = evoft.Population.open(tmp_path / "p.h5")
    verdict = population.verdicts[-1]
    accuracy, batch = accuracy_by_timm(tmp_path / "p.best", pets / "test")
    assert accuracy == pytest.approx(verdict.winner_accuracy)
    val, _ = accuracy_by_timm(tmp_path / "p.best", pets / "val")
    assert val == pytest.approx(population.records[verdict.winner_run].outcome.fitness)
    assert batch.shape[2:] == (24, 24)
    config = json.loads((tmp_path / "p.best" / "config.json").read_text())["pretrained_cfg"]
    embedded = Path(evoft.__file__).with_name("training") / "embedded" / "config.json"
    own = json.loads(embedded.read_text())["pretrained_cfg"]
    wanted = (0.5, "nearest") if flags else (own["crop_pct"], own["interpolation"])
    facts = population.header.backbones[0]["preprocessing"]
    for found in (config, facts):
        assert (found["crop_pct"], found["interpolation"]) == wanted
    assert checkpoint_path(tmp_path / "p.checkpoints", verdict.winner_run).is_file()


@pytest.mark.slow
def test_they_are_settled_and_an_individual_is_exported_with_them(cli, pets, tmp_path):
    (tmp_path / "c.toml").write_text('[training]\ncrop_pct = 0.5\ninterpolation = "nearest"\n')
    assert cli("evolve", pets, *QUICK, "-c", "c.toml", cwd=tmp_path).code == 0
    cli("resume", "p.h5", "--crop-pct", 0.9, cwd=tmp_path).refused(2, "`crop_pct` settles", "0.9")
    cli("resume", "p.h5", "--interpolation", "box", cwd=tmp_path).refused(2, "`interpolation` set")
    going_on = cli("resume", "p.h5", "--generations", 2, cwd=tmp_path)
    assert going_on.code == 0, going_on.err
    for path in (tmp_path / "p.checkpoints").iterdir():
        path.unlink()  # so that it is trained again
    done = cli("export", "p.h5", 0, "zero", cwd=tmp_path)
    assert done.code == 0, done.err
    config = json.loads((tmp_path / "zero" / "config.json").read_text())["pretrained_cfg"]
    assert (config["crop_pct"], config["interpolation"]) == (0.5, "nearest")
    val, _ = accuracy_by_timm(tmp_path / "zero", pets / "val")
    metrics = json.loads((tmp_path / "zero" / "metrics.json").read_text())
    assert val == pytest.approx(metrics["validation_accuracy"])
