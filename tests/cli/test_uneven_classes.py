"""A run on classes of unequal size, after the balanced accuracy, with weights in the loss."""

import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from sklearn.metrics import balanced_accuracy_score
from tiny_images import paint

import evoft

QUICK = ("--strategy", "ga", "--generations", "1", "--population-size", "3", "--epochs", "2",
         "--finalists", "1", "--repeats", "1", "--img-size", "24", "--workers", "1",
         "--devices", "cpu", "--file", "p.h5")  # fmt: skip
BALANCED = ("--metric", "balanced_accuracy", "--class-weights", "balanced")


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """A folder in which one class has an eighth of the images."""
    root = paint(tmp_path_factory.mktemp("data") / "pets", {"train": 16, "val": 8, "test": 16})
    for split in ("train", "val", "test"):
        paths = sorted((root / split / "eel").iterdir())
        for path in paths[len(paths) // 8 :]:
            path.unlink()
    return root


def told(folder, images):
    """Return what plain timm says of images, with the transform that the folder describes."""
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    config = timm.data.resolve_data_config({}, model=model)
    transform = timm.data.create_transform(**config, is_training=False)
    batch = torch.stack([transform(Image.open(path).convert("RGB")) for path in images])
    with torch.inference_mode():
        places = model(batch).argmax(dim=1).tolist()
    return [model.pretrained_cfg["label_names"][place] for place in places]


def test_the_whole_run(cli, uneven, tmp_path):
    done = cli("evolve", uneven, *QUICK, *BALANCED, cwd=tmp_path)
    assert done.code == 0, done.err
    population = evoft.Population.open(tmp_path / "p.h5")
    assert population.header.settings["training"]["metric"] == "balanced_accuracy"
    assert population.recipe(0)["class_weights"] == "balanced"
    for record in population.records.values():
        last = record.outcome.curve[-1].metrics
        assert record.outcome.fitness == last["val_balanced_accuracy"]
        assert {"val_accuracy", "val_loss", "train_loss"} < set(last)

    verdict = population.verdicts[-1]
    assert [sum(counts) for counts in verdict.by_class] == [16, 16, 2]
    whole = [verdict.both, verdict.only_winner, verdict.only_default, verdict.neither]
    assert np.sum(verdict.by_class, axis=0).tolist() == whole
    shares = [(both + won) / (both + won + lost + no) for both, won, lost, no in verdict.by_class]
    images = sorted(Path(uneven / "test").glob("*/*.png"))
    labels = [path.parent.name for path in images]
    by_timm = balanced_accuracy_score(labels, told(tmp_path / "p.best", images))
    assert by_timm == pytest.approx(np.mean(shares))

    metrics = json.loads((tmp_path / "p.best" / "metrics.json").read_text())
    assert metrics["winner"]["test_balanced_accuracy"]["estimate"] == pytest.approx(by_timm)
    assert metrics["winner"]["validation_balanced_accuracy"].keys() == {"estimate"}
    assert metrics["test_gain"]["estimate"] == pytest.approx(
        np.mean([(won - lost) / sum(of) for of in verdict.by_class for _, won, lost, _ in [of]])
    )
    for text in (done.out, (tmp_path / "p.best" / "README.md").read_text(),
                 cli("show", "p.h5", cwd=tmp_path).out):  # fmt: skip
        assert "test balanced accuracy" in text
        assert "validation balanced accuracy" in text
        assert "test accuracy" not in text
        assert "Always saying the largest class has a balanced accuracy of 33.3 %." in text
    assert "val_balanced_accuracy" in cli("show", "p.h5", "0", cwd=tmp_path).out


@pytest.mark.slow
def test_another_metric_is_another_population(cli, uneven, tmp_path):
    assert cli("evolve", uneven, *QUICK, *BALANCED, cwd=tmp_path).code == 0
    other = (*QUICK[:-1], "q.h5", "--seed", 1)
    done = cli("evolve", uneven, *other, cwd=tmp_path)
    assert done.code == 0
    assert "Always saying the largest class is right on 47.1 % of the test images." in done.out
    metrics = json.loads((tmp_path / "q.best" / "metrics.json").read_text())
    assert metrics["largest_class"] == {
        "validation_accuracy": pytest.approx(8 / 17), "test_accuracy": pytest.approx(16 / 34)
    }  # fmt: skip
    cli("resume", "p.h5", "--metric", "accuracy", cwd=tmp_path).refused(2, "`metric` settles")
    cli("resume", "p.h5", "--class-weights", "none", cwd=tmp_path).refused(
        2, "`class_weights` settles", "was 'balanced' and is to be 'none'"
    )
    words = "the fitness of one is balanced accuracy, that of the other accuracy"
    cli("compare", "p.h5", "q.h5", cwd=tmp_path).refused(5, words)
    going_on = cli("resume", "p.h5", "--generations", 2, cwd=tmp_path)
    assert going_on.code == 0, going_on.err
    population = evoft.Population.open(tmp_path / "p.h5")
    assert len(population) == 6
    assert all(verdict.by_class for verdict in population.verdicts)
