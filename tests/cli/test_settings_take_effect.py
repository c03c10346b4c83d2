"""Configuration, pinned genes, several models and weights of one's own, on whole runs."""

import json
import os
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

import evoft
from evoft.training.checkpoints import seed_of

TINY = ("--generations", "1", "--population-size", "3", "--finalists", "1", "--repeats", "1",
        "--workers", "1", "--devices", "cpu", "--file", "p.h5")  # fmt: skip


def test_configuration_flags_and_models(cli, pets, tmp_path):
    (tmp_path / "c.toml").write_text(
        f"""
        seed = 9
        [training]
        data = {str(pets)!r}
        models = ["embedded", "test_resnet"]
        pretrained = false
        img_size = 24
        epochs = 3
        [search]
        population_size = 7
        cxpb = 0.25
        [fixed]
        opt = "sgd"
        lr = 0.5
        [founders.mine]
        freeze_depth = 0.5
        smoothing = 0.1
        """
    )
    flags = ("--epochs", 1, "--lr", 0.02, "--freeze-depth", 2, "--generations", 1)
    done = cli("evolve", "-c", "c.toml", *flags, *TINY[4:], cwd=tmp_path)
    done.refused(2, "founder `mine`", "freeze_depth")
    assert [path.name for path in tmp_path.iterdir()] == ["c.toml"]

    flags = (*flags[:4], *flags[6:])
    done = cli("evolve", "-c", "c.toml", *flags, *TINY[4:], cwd=tmp_path)
    assert done.code == 0, done.err
    population = evoft.Population.open(tmp_path / "p.h5")
    settings = population.header.settings
    assert population.header.seed == 9
    assert settings["training"]["epochs"] == 1  # the flag wins
    assert settings["search"]["cxpb"] == 0.25  # the file wins over the default
    assert settings["search"]["mutpb"] == 0.7
    assert len(population) == 7
    assert {"lr", "opt"}.isdisjoint(population.header.space)
    recipes = [population.recipe(i.id) for i in population]
    assert {(recipe["lr"], recipe["opt"], recipe["epochs"]) for recipe in recipes
            if recipe["freeze_depth"] < 4} == {(0.02, "sgd", 1)}  # fmt: skip
    assert {recipe["model"] for recipe in recipes} == {"embedded", "test_resnet"}
    assert {recipe["momentum"] for recipe in recipes} != {0.0}
    mine = next(i for i in population if i.operator == "mine")
    assert mine.genome["smoothing"] == 0.1
    assert "(random start)" in done.out
    model = population.recipe(population.winner.id)["model"]
    config = json.loads((tmp_path / "p.best" / "config.json").read_text())
    assert config["architecture"] == {"embedded": "test_byobnet"}.get(model, model)


@pytest.mark.slow
def test_weights_from_a_file(cli, pets, tmp_path):
    torch.manual_seed(4)
    source = timm.create_model("test_resnet", pretrained=False, num_classes=7)
    save_file(source.state_dict(), tmp_path / "mine.safetensors")
    flags = ("--model", "test_resnet", "--checkpoint", "mine.safetensors", "--img-size", 24,
             "--freeze-depth", 1.0, "--epochs", 1)  # fmt: skip
    done = cli("evolve", pets, *flags, *TINY, cwd=tmp_path)
    assert done.code == 0, done.err
    assert "test_resnet (pretrained)" in done.out
    exported = load_file(tmp_path / "p.best" / "model.safetensors")
    trunk = {n: t for n, t in source.state_dict().items() if not n.startswith("fc.")}
    for name, tensor in trunk.items():
        assert torch.equal(exported[name], tensor), name
    assert exported["fc.weight"].shape[0] == 3

    # Other weights under the same name are noticed, and those that moved are asked for.
    save_file({n: t + 1 for n, t in source.state_dict().items()}, tmp_path / "mine.safetensors")
    cli("resume", "p.h5", cwd=tmp_path).refused(5, "other weights of test_resnet")


@pytest.mark.slow
def test_a_frozen_random_start_is_exported_as_it_was_trained(cli, pets, tmp_path):
    flags = ("--model", "test_resnet", "--no-pretrained", "--img-size", 24, "--epochs", 2,
             "--freeze-depth", 0.5)  # fmt: skip
    done = cli("evolve", pets, *flags, *TINY, cwd=tmp_path)
    assert done.code == 0, done.err
    population = evoft.Population.open(tmp_path / "p.h5")
    verdict = population.verdicts[-1]
    final = population.finals(verdict.winner)[0]
    path = tmp_path / "p.checkpoints" / f"{verdict.winner}-final-0.safetensors"
    assert seed_of(path) == final.trial.seed
    images = sorted(map(str, (pets / "val").glob("*/*.png")))
    told = cli("predict", "p.best", *images, "--format", "json", cwd=tmp_path)
    rows = json.loads(told.out)
    right = sum(row["label"] == Path(row["image"]).parent.name for row in rows)
    assert right / len(rows) == pytest.approx(final.outcome.fitness)


@pytest.mark.slow
def test_real_weights_and_photos(cli, tmp_path):
    beside = Path(__file__).parents[3] / "shared" / "data"
    data = Path(os.environ.get("EVOFT_DATA", beside))
    weights = data / "weights" / "mobilenetv2_035.in1k.safetensors"
    if not weights.is_file():
        pytest.skip(f"no real data at {data}: name its folder by EVOFT_DATA")
    signs = next((data / "images" / "sign_digits").glob("**/0")).parent
    done = cli(
        "evolve", signs, "--model", "mobilenetv2_035", "--checkpoint", weights,
        "--model-kwargs", "pad_type=same", "--model-kwargs", "bn_eps=1e-3",
        "--mean", 0.5, 0.5, 0.5, "--std", 0.5, 0.5, 0.5, "--img-size", 32,
        "--max-train-images", 60, "--val-share", 0.05, "--test-share", 0.05, "--epochs", 1,
        *TINY, cwd=tmp_path,
    )  # fmt: skip
    assert done.code == 0, done.err
    config = json.loads((tmp_path / "p.best" / "config.json").read_text())
    assert config["model_args"]["pad_type"] == "same"
    assert config["pretrained_cfg"]["mean"] == [0.5, 0.5, 0.5]


def test_founders_from_an_earlier_population(cli, pets, finished, tmp_path):
    elder = tmp_path / "elder.h5"
    elder.write_bytes(finished.file.read_bytes())
    (tmp_path / "mine.toml").write_text(
        """
        [lr]
        type = "float"
        low = 1e-6
        high = 1.0
        log = true
        default = 1e-3
        [drop]
        type = "float"
        low = 0.0
        high = 0.9
        default = 0.25
        [model_ema]
        type = "ordinal"
        values = [0.0, 0.9]
        """
    )
    done = cli("evolve", pets, "--founders", "elder.h5", "--space", "mine.toml", "--epochs", 1,
               "--img-size", 16, *TINY, cwd=tmp_path)  # fmt: skip
    assert done.code == 0, done.err
    said = [line for line in done.err.splitlines() if line.startswith("founders come from")]
    assert len(said) == 1
    assert said[0].startswith("founders come from elder.h5 with model_ema at the default and ")
    population, there = evoft.Population.open(tmp_path / "p.h5"), evoft.Population.open(elder)
    default, founder, sample = population
    assert (default.operator, sample.operator) == ("default", "sample")
    best = max(there, key=lambda i: (i.score, -i.id))
    assert founder.operator == f"#{best.id} of elder.h5"
    assert dict(founder.genome) == {
        "lr": best.genome["lr"], "drop": best.genome["drop"], "model_ema": 0.9,
    }  # fmt: skip
    assert list(population.header.settings["founders"]) == [founder.operator]


def test_a_belief_in_a_default(cli, pets, tmp_path):
    (tmp_path / "mine.toml").write_text(
        """
        [lr]
        type = "float"
        low = 1e-5
        high = 1e-1
        log = true
        default = 1e-3
        confidence = "high"
        """
    )
    done = cli("evolve", pets, "--space", "mine.toml", "--epochs", 1, "--img-size", 16, *TINY[:2],
               "--population-size", 5, *TINY[4:], cwd=tmp_path)  # fmt: skip
    assert done.code == 0, done.err
    population = evoft.Population.open(tmp_path / "p.h5")
    assert [i.operator for i in population] == ["default", "prior", "prior", "sample", "sample"]
    assert population.header.space["lr"]["confidence"] == "high"
