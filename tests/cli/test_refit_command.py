"""``evoft refit``: a recipe that was found, trained anew for longer or on other images."""

import json
import os
import signal

import pytest
from plain_timm import right_of, told_by_timm
from tiny_images import SHORT, paint

import evoft


def read(folder, name):
    return json.loads((folder / name).read_text())


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


def test_a_recipe_is_trained_for_longer_and_nothing_else_is_changed(cli, finished, pets, tmp_path):
    before = finished.file.read_bytes()
    done = cli("refit", finished.file, "longer", "--epochs", 4, cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.modules == ""
    population = evoft.Population.open(finished.file)
    winner, folder = population.winner.id, tmp_path / "longer"
    assert f"individual {winner}: 4 epochs on the 48 images of train, seed 0" in done.out
    told = [line for line in done.out.splitlines() if line.startswith("epoch ")]
    assert told[-1].startswith("epoch 4: train_loss ")
    assert read(folder, "recipe.json") == {**population.recipe(winner), "epochs": 4}
    metrics = read(folder, "metrics.json")
    assert (metrics["stage"], metrics["individual"], metrics["seed"]) == ("refit", winner, 0)
    assert f"val_accuracy {metrics['validation_accuracy']:.4f}" in told[-1]
    assert f"Validation accuracy {100 * metrics['validation_accuracy']:.1f} %." in done.out
    said = told_by_timm(folder, pets / "test")
    assert right_of(said) / len(said) == pytest.approx(metrics["test_accuracy"]["estimate"])
    assert "choose among refits by validation" in done.out
    card = (folder / "README.md").read_text()
    assert f"The recipe of individual {winner} of an evoft population" in card
    assert "4 epochs on the 48 images of train" in card
    assert finished.file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["longer"]


def test_the_same_seed_is_the_same_model_and_validation_images_are_trained_on_too(
    cli, finished, tmp_path
):
    def refit(name, *arguments):
        done = cli("refit", finished.file, 0, name, *arguments, cwd=tmp_path)
        assert done.code == 0, done.err
        return done.out

    refit("one")
    refit("again", "--seed", 0)
    refit("other", "--seed", 1)
    said = refit("all", "--with-val")
    one, again, other, both = (weights(tmp_path / n) for n in ("one", "again", "other", "all"))
    assert one == again
    assert len({one, other, both}) == 3
    assert "2 epochs on the 72 images of train and val" in said
    assert "val_" not in said
    assert "so they say nothing of it" in said
    metrics = read(tmp_path / "all", "metrics.json")
    assert metrics["with_val"] is True
    assert metrics["validation_accuracy"] is None
    assert "test_accuracy" in metrics
    done = cli("evaluate", "all", evoft.Population.open(finished.file).header.data["source"],
               "--format", "json", cwd=tmp_path)  # fmt: skip
    evaluation = json.loads(done.out)
    assert (evaluation["images"], evaluation["split"]) == (24, "test")
    assert evaluation["accuracy"] == pytest.approx(metrics["test_accuracy"])


@pytest.mark.slow
def test_other_images_may_have_other_classes(cli, finished, tmp_path):
    birds = paint(tmp_path / "birds", {"train": 6, "val": 4, "test": 4}, seed=1)
    for split in ("train", "val", "test"):
        (birds / split / "eel").rename(birds / split / "owl")
        (birds / split / "dog").rename(birds / split / "tit")
    done = cli("refit", finished.file, "out", "--data", "birds", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "birds: 18 train, 12 val, 12 test" in done.out
    assert "choose among refits" not in done.out
    assert read(tmp_path / "out", "config.json")["label_names"] == ["cat", "owl", "tit"]


@pytest.mark.slow
def test_all_images_are_trained_on_where_the_search_had_fewer(cli, pets, tmp_path):
    short = (*SHORT, "--finalists", 1, "--max-train-images", 12)
    done = cli("evolve", pets, *short, "--file", "few.h5", cwd=tmp_path)
    assert done.code == 0, done.err
    done = cli("refit", "few.h5", "out", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "on the 48 images of train" in done.out
    done = cli("evaluate", "out", pets, "--format", "json", cwd=tmp_path)
    assert json.loads(done.out)["trained_on"] is True


def test_mistakes_are_told_before_anything_is_trained(cli, finished, pets, tmp_path):
    def refused(code, *words, given=("out",), file=finished.file):
        cli("refit", file, *given, cwd=tmp_path).refused(code, *words)

    refused(2, "`epochs` must be >= 1, but is 0", given=("out", "--epochs", 0))
    refused(2, "`patience` must be 0 where the validation images are trained on, but is 2",
            given=("out", "--with-val", "--patience", 2))  # fmt: skip
    refused(2, "`evoft refit FILE [ID] DIR` needs a folder after the ID 3", given=("3",))
    refused(3, "nowhere", given=("out", "--data", "nowhere"))
    refused(5, "no individual 99", given=("99", "out"))
    refused(6, "each folder is taken for a class", given=(pets / "train" / "mine",))
    space = evoft.SearchSpace(x=evoft.Float(0.0, 1.0))
    with evoft.new(space, generations=1, population_size=2, file=tmp_path / "mine.h5") as run:
        while (trial := run.ask()) is not None:
            run.tell(trial, float(trial.genome["x"]))
    refused(5, "no fine-tuned models", file="mine.h5")
    assert not (tmp_path / "out").exists()


def test_what_is_stopped_leaves_nothing_and_says_so(cli, finished, tmp_path):
    process = cli.start("refit", finished.file, "out", "--epochs", 100000, cwd=tmp_path)
    assert any(line.startswith("epoch ") for line in iter(process.stdout.readline, ""))
    assert len(list(cli.temporary.glob("evoft-*"))) == 1
    os.kill(process.pid, signal.SIGTERM)
    done = cli.end(process)
    assert done.code == 143
    assert "Stopped; nothing was written." in done.err
    assert list(tmp_path.iterdir()) == []
    assert list(cli.temporary.glob("evoft-*")) == []
