"""The main job through the installed command: what it prints, what it leaves, how it reads."""

import csv
import io
import json
import math
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import h5py
import pytest
from plain_timm import right_of, told_by_timm
from tiny_images import SHORT

import evoft
from evoft.outcome import CurvePoint
from evoft.recipe import Recipe
from evoft.search.space import SearchSpace
from evoft.training.default_space import DEFAULT_GENES


class TestWhatItPrints:
    def test_the_plan_comes_first(self, finished, pets):
        plan, _, rest = finished.done.out.partition("\n\n")
        rows = dict(line.split(maxsplit=1) for line in plan.splitlines() if line[0] != " ")
        assert rows["data"] == "pets: 96 images of 3 classes (48 train, 24 val, 24 test)"
        assert rows["backbone"].startswith("embedded (pretrained): ")
        assert "24 x 24 pixels" in rows["backbone"]
        assert rows["genes"] == f"{len(DEFAULT_GENES)}: {', '.join(DEFAULT_GENES)}"
        assert rows["individuals"] == "8 in 2 generations, each for at most 2 epochs"
        assert rows["workers"] == "1 on the CPU"
        assert rows["population"] == "populations/pets.h5"
        assert "estimate" in rows
        assert "finals" in rows
        assert "generation 0" in rest

    def test_progress_goes_to_stderr(self, finished):
        assert "trials:" in finished.done.err
        assert "Traceback" not in finished.done.err
        assert "Warning" not in finished.done.err

    def test_a_log_is_not_filled_with_drawings_of_the_bar(self, finished):
        trials = len(evoft.Population.open(finished.file).records)
        # At its beginning and end, with each generation, and when the final runs are known.
        assert finished.done.err.count("trials:") <= 6 < trials

    def test_the_end(self, finished):
        out = finished.done.out
        population = evoft.Population.open(finished.file)
        winner = population.winner
        assert f"best (#{winner.id})" in out
        assert "default (#0)" in out
        for name in Recipe.__dataclass_fields__:
            assert f"\n{name} " in out
        assert "\nvalidation accuracy, 1 fresh seed  " in out
        assert " its final run.\n" in out
        verdict = population.verdicts[-1]
        assert f"{100 * verdict.winner_accuracy:.1f} % (" in out
        assert "ain over the default recipe" in out or "No gain" in out
        for command in ("predict", "lineage", "show", "refit", "resume"):
            assert f"\n  evoft {command} populations/pets." in out
        assert "  evoft refit populations/pets.h5 populations/pets.refit --epochs 6\n" in out

    def test_the_parent_never_imports_torch(self, finished):
        assert finished.done.modules == ""


class TestWhatItLeaves:
    def test_files(self, finished):
        names = {path.name for path in (finished.folder / "populations").iterdir()}
        assert {"pets.h5", "pets.best", "pets.checkpoints"} <= names
        assert names <= {"pets.h5", "pets.best", "pets.checkpoints", "pets.journal"}
        assert [path.name for path in finished.folder.iterdir()] == ["populations"]

    def test_the_founders(self, finished):
        population = evoft.Population.open(finished.file)
        default, probe = population[0], population[1]
        assert default.operator == "default"
        space = SearchSpace.from_dict(DEFAULT_GENES)
        assert default.genome == space.default()
        assert probe.operator == "linear probe"
        assert probe.genome["freeze_depth"] == 1.0
        groups = population.header.backbones[0]["layer_groups"]
        assert population.recipe(1)["freeze_depth"] == groups

    def test_only_the_finalists_checkpoints(self, finished):
        population = evoft.Population.open(finished.file)
        finalists = {i.id for i in population if population.finals(i.id)}
        assert 0 in finalists
        assert len(finalists) in (2, 3)
        names = {p.name for p in finished.file.with_suffix(".checkpoints").iterdir()}
        expected = {f"{i}.safetensors" for i in finalists}
        expected |= {f"{i}-final-0.safetensors" for i in finalists}
        assert names == expected

    def test_no_phenotype_twice(self, finished):
        population = evoft.Population.open(finished.file)
        recipes = [json.dumps(population.recipe(i.id), sort_keys=True) for i in population]
        assert len(set(recipes)) == len(recipes) == 8

    def test_the_header(self, finished, pets):
        header = evoft.Population.open(finished.file).header
        assert header.seed == 5
        assert header.data["source"] == header.settings["training"]["data"] == str(pets)
        assert header.data["classes"] == ["cat", "dog", "eel"]
        assert header.settings["training"]["img_size"] == 24
        assert header.environment["evoft"]
        with h5py.File(finished.file) as file:  # without evoft
            assert len(file) > 0

    def test_outcomes(self, finished):
        for individual in evoft.Population.open(finished.file):
            outcome = individual.outcome
            assert len(outcome.curve) == 2
            assert outcome.fitness == outcome.curve[-1].metrics["val_accuracy"]
            assert outcome.seconds > 0
            assert outcome.peak_memory > 2**20

    def test_the_best_model(self, finished):
        folder = finished.file.with_suffix(".best")
        population = evoft.Population.open(finished.file)
        verdict = population.verdicts[-1]
        metrics = json.loads((folder / "metrics.json").read_text())
        assert metrics["winner"]["individual"] == verdict.winner
        assert metrics["winner"]["test_accuracy"]["estimate"] == verdict.winner_accuracy
        assert metrics["default"]["test_accuracy"]["estimate"] == verdict.default_accuracy
        for who in ("winner", "default"):
            for split in ("validation", "test"):
                interval = metrics[who][f"{split}_accuracy"]
                assert 0 <= interval["low"] <= interval["estimate"] <= interval["high"] <= 1
        assert json.loads((folder / "recipe.json").read_text()) == population.recipe(verdict.winner)
        assert json.loads((folder / "config.json").read_text())["label_names"] == [
            "cat", "dog", "eel"
        ]  # fmt: skip
        card = (folder / "README.md").read_text()
        assert card.startswith("---\nlibrary_name: timm")
        assert "| test accuracy |" in card
        assert population.header.data["fingerprint"] in card


def test_plain_timm_predict_and_the_verdict_agree(finished, installed, pets):
    folder = finished.file.with_suffix(".best")
    said = told_by_timm(folder, pets / "test")
    assert len(said) == 24
    done = installed("predict", folder, *said, "--format", "json", cwd=finished.folder)
    assert done.code == 0, done.err
    assert done.err == ""
    rows = json.loads(done.out)
    assert [row["image"] for row in rows] == list(said)
    for row in rows:
        label, probability = said[row["image"]]
        assert row["label"] == label
        assert row["probability"] == pytest.approx(probability, abs=1e-5)
    verdict = evoft.Population.open(finished.file).verdicts[-1]
    assert right_of(said) == verdict.both + verdict.only_winner


class TestReading:
    def read(self, cli, finished, *arguments):
        done = cli(*arguments, cwd=finished.folder)
        assert done.code == 0, done.err
        assert done.err == ""
        assert done.modules == ""
        return done.out

    def rows(self, text):
        return list(csv.DictReader(io.StringIO(text)))

    def test_show(self, cli, finished):
        population = evoft.Population.open(finished.file)
        text = self.read(cli, finished, "show", finished.file)
        assert text.startswith("8 individuals, 2 complete generations")
        assert "data pets (48 train, 24 val, 24 test), backbone embedded" in text
        rows = json.loads(self.read(cli, finished, "show", finished.file, "--format", "json"))
        assert [row["id"] for row in rows] == list(range(8))
        assert [row["fitness"] for row in rows] == [i.fitness for i in population]
        table = self.rows(self.read(cli, finished, "show", finished.file, "--format", "csv"))
        assert [float(row["fitness"]) for row in table] == [i.fitness for i in population]

    def test_the_top(self, cli, finished):
        out = self.read(cli, finished, "show", finished.file, "--top", 3, "--format", "json")
        fitness = [row["fitness"] for row in json.loads(out)]
        assert len(fitness) == 3
        assert fitness == sorted(fitness, reverse=True)

    def test_generations(self, cli, finished):
        out = self.read(cli, finished, "show", finished.file, "--generations", "--format", "json")
        rows = json.loads(out)
        assert [row["generation"] for row in rows] == [0, 1]
        assert [row["births"] for row in rows] == [4, 4]
        assert rows[1]["best_so_far"] >= rows[0]["best_so_far"]

    def test_an_individual(self, cli, finished):
        population = evoft.Population.open(finished.file)
        winner = population.winner
        out = self.read(cli, finished, "show", finished.file, winner.id, "--format", "json")
        whole = json.loads(out)
        assert whole["genome"] == dict(winner.genome)
        assert whole["recipe"] == population.recipe(winner.id)
        assert [point["epoch"] for point in whole["curve"]] == [1.0, 2.0]
        assert whole["report"]["winner"]["individual"] == winner.id
        assert len(whole["finals"]) == 1
        curve = self.rows(self.read(cli, finished, "show", finished.file, 0, "--format", "csv"))
        assert [float(point["epoch"]) for point in curve] == [1.0, 2.0]
        text = self.read(cli, finished, "show", finished.file, 0)
        assert "Final runs with fresh seeds" in text
        assert "val_accuracy" in text
        (final,) = population.finals(winner.id)
        assert whole["finals"][0]["curve"] == [
            {"epoch": point.epoch, **point.metrics} for point in final.outcome.curve
        ]
        assert "repeat  epoch  train_accuracy  train_loss" in text

    def test_all_learning_curves(self, cli, finished):
        population = evoft.Population.open(finished.file)
        text = self.read(cli, finished, "show", finished.file, "--curves", "--format", "csv")
        rows = self.rows(text)
        assert list(rows[0]) == [
            "stage", "individual", "repeat", "epoch",
            "train_accuracy", "train_loss", "val_accuracy", "val_loss",
        ]  # fmt: skip
        found = {}
        for row in rows:
            key = row["stage"], int(row["individual"]), int(row["repeat"])
            metrics = {name: float(row[name]) for name in list(row)[4:]}
            found.setdefault(key, []).append(CurvePoint(float(row["epoch"]), metrics))
        wanted = {
            (str(trial.stage), trial.individual, trial.repeat): list(record.outcome.curve)
            for record in population.records.values()
            for trial in [record.trial]
            if record.outcome.curve
        }
        assert found == wanted
        assert {key[0] for key in found} == {"search", "final"}
        one = self.read(cli, finished, "show", finished.file, 0, "--curves", "--format", "json")
        assert {row["individual"] for row in json.loads(one)} == {0}
        assert {row["stage"] for row in json.loads(one)} == {"search", "final"}
        words = "--curves alone or with ID"
        for flags in (["--curves", "--top", 2], [0, "--rungs"], [0, "--curves", "--pareto"]):
            cli("show", finished.file, *flags, cwd=finished.folder).refused(2, words)
        cli("show", finished.file, 99, "--curves", cwd=finished.folder).refused(5, "individual 99")

    def test_lineage(self, cli, finished):
        population = evoft.Population.open(finished.file)
        youngest = population[7]
        for id in (None, 7):
            arguments = ["lineage", finished.file, *([] if id is None else [id])]
            steps = json.loads(self.read(cli, finished, *arguments, "--format", "json"))
            assert steps[-1]["id"] == (population.winner.id if id is None else 7)
            ids = {step["id"] for step in steps}
            for step in steps:
                assert set(step["parents"]) <= ids
        assert set(youngest.parents) <= ids
        changes = steps[-1]["changes"]
        assert changes
        for change in changes:
            assert change["before"] != change["after"]
            assert change["after"] == youngest.genome[change["gene"]]
        table = self.rows(self.read(cli, finished, "lineage", finished.file, 7, "--format", "csv"))
        assert [int(row["id"]) for row in table] == [step["id"] for step in steps]
        text = self.read(cli, finished, "lineage", finished.file, 7)
        assert f"{changes[0]['gene']} " in text
        assert " -> " in text

    def test_fsck(self, cli, finished):
        for form in ("table", "json", "csv"):
            out = self.read(cli, finished, "fsck", finished.file, "--format", form)
            if form == "json":
                assert not [row for row in json.loads(out) if row["severity"] == "error"]

    def test_space(self, cli, finished):
        toml = self.read(cli, finished, "space")
        assert (
            SearchSpace.from_toml(toml).to_dict() == SearchSpace.from_dict(DEFAULT_GENES).to_dict()
        )
        assert set(tomllib.loads(toml)) == set(DEFAULT_GENES)
        two = self.read(cli, finished, "space", "--model", "embedded,resnet10t", "--format", "json")
        assert json.loads(two)["model"]["values"] == ["embedded", "resnet10t"]
        rows = self.rows(self.read(cli, finished, "space", "--format", "csv"))
        assert [row["gene"] for row in rows] == list(DEFAULT_GENES)
        assert all(row["meaning"] for row in rows)
        assert "stochastic depth" in self.read(cli, finished, "space", "--format", "table")

    def test_help_and_version(self, cli, finished):
        text = self.read(cli, finished, "--help")
        for command in ("evolve", "resume", "show", "lineage", "export", "predict", "space"):
            assert command in text
        assert "130 Ctrl-C" in text
        flags = self.read(cli, finished, "evolve", "--help")
        for flag in ("--model", "--img-size", "-b, --batch-size", "--opt", "--lr",
                     "--weight-decay", "--drop", "--drop-path", "--layer-decay", "--sched",
                     "--epochs", "--mixup", "--cutmix", "--reprob", "--smoothing", "--seed",
                     "--workers", "--output", "--config", "--budget", "--aa", "--model-ema",
                     "--warmup-epochs", "--checkpoint", "--amp", "--device",
                     "--pretrained"):  # fmt: skip
            assert flag in flags
        assert "evoft" in self.read(cli, finished, "--version")

    @pytest.mark.parametrize("command", ["show", "lineage", "export"])
    def test_an_unknown_individual(self, cli, finished, command, tmp_path):
        rest = [tmp_path / "x"] if command == "export" else []
        done = cli(command, finished.file, 99, *rest, cwd=tmp_path)
        done.refused(5, "no individual 99", "ids go from 0 to 7")
        assert list(tmp_path.iterdir()) == []

    def test_a_reader_that_stops_reading(self, finished, installed):
        evoft = Path(sys.executable).with_name("evoft")
        for command in ("space", "evolve --help", f"show {finished.file} --curves --format csv"):
            shell = f"set -o pipefail; '{evoft}' {command} | head -c 1"
            done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True,
                                  env=installed.environment)  # fmt: skip
            # It may have written all by then, and 1 is click's for a pipe without a reader.
            assert done.returncode in (0, 1), command
            assert done.stderr == ""

    def test_a_folder_that_was_removed(self, finished, installed):
        evoft = Path(sys.executable).with_name("evoft")
        shell = f"mkdir gone; cd gone; rmdir ../gone; '{evoft}' space"
        done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True,
                              cwd=installed.temporary, env=installed.environment)  # fmt: skip
        assert done.returncode == 6
        assert done.stderr.startswith("evoft: the folder that you are in cannot be found")


class TestExport:
    def test_the_winner_and_one_whose_weights_were_not_kept(self, cli, finished, tmp_path):
        population = evoft.Population.open(finished.file)
        kept = {i.id for i in population if population.finals(i.id)}
        done = cli("export", finished.file, tmp_path / "winner", cwd=tmp_path)
        assert done.code == 0, done.err
        assert "trained again" not in done.out
        best = finished.file.with_suffix(".best")
        for name in ("model.safetensors", "config.json", "recipe.json", "metrics.json"):
            assert (tmp_path / "winner" / name).read_bytes() == (best / name).read_bytes()

        other = next(i for i in population if i.id not in kept and i.score > -math.inf)
        done = cli("export", finished.file, other.id, tmp_path / "other", cwd=tmp_path)
        assert done.code == 0, done.err
        assert done.modules == ""
        assert f"individual {other.id} was trained again" in done.out
        metrics = json.loads((tmp_path / "other" / "metrics.json").read_text())
        assert metrics["validation_accuracy"] == other.fitness
        assert metrics["stage"] == "search"
        assert "The test split was not read for it." in (tmp_path / "other/README.md").read_text()
        pets = population.header.data["source"]
        said = told_by_timm(tmp_path / "other", f"{pets}/val")
        assert right_of(said) / len(said) == pytest.approx(other.fitness)
        checkpoints = finished.file.with_suffix(".checkpoints")
        assert not (checkpoints / f"{other.id}.safetensors").exists()

    def test_the_default_says_what_was_read_for_it(self, cli, finished, tmp_path):
        verdict = evoft.Population.open(finished.file).verdicts[-1]
        done = cli("export", finished.file, verdict.default, "default", cwd=tmp_path)
        assert done.code == 0, done.err
        metrics = json.loads((tmp_path / "default" / "metrics.json").read_text())
        assert metrics["stage"] == "final"
        assert metrics["repeat"] == verdict.default_repeat
        if verdict.winner != verdict.default:
            assert metrics["test_accuracy"]["estimate"] == verdict.default_accuracy

    def test_a_winner_whose_weights_are_lost_is_the_very_run_that_was_judged(
        self, cli, finished, tmp_path
    ):
        copied = shutil.copy(finished.file, tmp_path / "alone.h5")
        done = cli("export", copied, "winner", cwd=tmp_path)
        assert done.code == 0, done.err
        assert "trained again" in done.out
        best = finished.file.with_suffix(".best")
        for name in ("model.safetensors", "recipe.json", "metrics.json"):
            assert (tmp_path / "winner" / name).read_bytes() == (best / name).read_bytes()

    @pytest.mark.slow
    def test_a_soup_has_the_weights_of_those_who_make_it_better(self, cli, finished, tmp_path):
        population = evoft.Population.open(finished.file)
        done = cli("export", finished.file, tmp_path / "soup", "--soup", cwd=tmp_path)
        assert done.code == 0, done.err
        assert done.modules == ""
        metrics = json.loads((tmp_path / "soup" / "metrics.json").read_text())
        kept = list(finished.file.with_suffix(".checkpoints").glob("*.safetensors"))
        counts = [int(number) for number in re.findall(r"\d+", done.out.splitlines()[0])]
        assert counts[0] == len(kept) - 1 == sum(counts[1:]) > 0
        assert len(metrics.get("soup", [])) == counts[1]
        assert metrics["individual"] == population.winner.id
        if counts[1]:
            assert metrics["validation_accuracy"] >= metrics["validation_accuracy_alone"]
            assert "test_accuracy" not in metrics
            card = (tmp_path / "soup" / "README.md").read_text()
            assert done.out.splitlines()[1] in card
        pets = population.header.data["source"]
        said = told_by_timm(tmp_path / "soup", f"{pets}/val")
        assert right_of(said) / len(said) == pytest.approx(metrics["validation_accuracy"])

    def test_a_soup_of_one_is_the_model_alone(self, cli, finished, tmp_path):
        folder = tmp_path / "alone.checkpoints"
        folder.mkdir()
        file = Path(shutil.copy(finished.file, tmp_path / "alone.h5"))
        words = "can begin no soup, for its weights were not kept: leave out --soup"
        cli("export", file, "soup", "--soup", cwd=tmp_path).refused(8, words)
        _, id, repeat = evoft.Population.open(file).verdicts[-1].winner_run
        name = f"{id}-final-{repeat}.safetensors"
        shutil.copy(finished.file.with_suffix(".checkpoints") / name, folder)
        done = cli("export", file, "soup", "--soup", cwd=tmp_path)
        assert done.code == 0, done.err
        assert "none of its backbone" in done.out
        assert f"no mean of weights is better than individual {id} alone" in done.out
        best = finished.file.with_suffix(".best")
        for written in ("model.safetensors", "recipe.json", "metrics.json"):
            there = (tmp_path / "soup" / written).read_bytes()
            assert there == (best / written).read_bytes()

    @pytest.mark.parametrize("damage", ["gone", "cut"])
    @pytest.mark.slow
    def test_lost_weights_are_trained_again_where_they_are_wanted(
        self, cli, finished, tmp_path, damage
    ):
        file = Path(shutil.copy(finished.file, tmp_path / "alone.h5"))
        _, id, repeat = evoft.Population.open(file).verdicts[-1].winner_run
        name = Path("alone.checkpoints") / f"{id}-final-{repeat}.safetensors"
        if damage == "cut":
            (tmp_path / name).parent.mkdir()
            whole = (finished.file.with_suffix(".checkpoints") / name.name).read_bytes()
            (tmp_path / name).write_bytes(whole[:-100])
            done = cli("export", file, "winner", cwd=tmp_path)
            assert done.code == 0, done.err
            assert f"individual {id} was trained again" in done.out
            (tmp_path / name).write_bytes(whole[:-100])
        done = cli("resume", file, cwd=tmp_path)
        assert done.code == 0, done.err
        assert f"individual {id} is trained again, for the checkpoint" in done.err
        best = finished.file.with_suffix(".best") / "model.safetensors"
        assert (tmp_path / "alone.best" / "model.safetensors").read_bytes() == best.read_bytes()
        if damage == "cut":
            assert (tmp_path / "winner" / "model.safetensors").read_bytes() == best.read_bytes()
        assert (tmp_path / name).is_file()

    def test_a_soup_goes_without_a_damaged_checkpoint_and_names_it(self, cli, finished, tmp_path):
        file = Path(shutil.copy(finished.file, tmp_path / "hurt.h5"))
        there = finished.file.with_suffix(".checkpoints")
        shutil.copytree(there, tmp_path / "hurt.checkpoints")
        _, id, repeat = evoft.Population.open(file).verdicts[-1].winner_run
        own = tmp_path / "hurt.checkpoints" / f"{id}-final-{repeat}.safetensors"
        for path in own.parent.iterdir():
            if path != own:
                path.write_bytes(b"")
        done = cli("export", file, "soup", "--soup", cwd=tmp_path)
        assert done.code == 0, done.err
        count = len(list(own.parent.iterdir())) - 1
        assert done.out.splitlines()[0].endswith(f"0 no better, {count} damaged")
        named = re.findall(r"damaged: (.*); remove it", done.out)
        assert sorted(named) == sorted(str(path) for path in own.parent.iterdir() if path != own)
        own.write_bytes(b"")
        cli("export", file, "other", "--soup", cwd=tmp_path).refused(5, own.name, "remove it, and")

    def test_a_soup_of_changed_images_is_refused(self, cli, finished, pets, tmp_path):
        moved = tmp_path / "moved"
        shutil.copytree(pets, moved)
        next(iter(sorted((moved / "val").rglob("*.png")))).unlink()
        done = cli("export", finished.file, "soup", "--soup", "--data", moved, cwd=tmp_path)
        done.refused(5, "images")
        assert not (tmp_path / "soup").exists()

    def test_a_forgotten_folder_is_not_taken_for_the_id(self, cli, finished, tmp_path):
        cli("export", finished.file, "2", cwd=tmp_path).refused(2, "needs a folder", "./2")

    def test_refusals(self, cli, finished, tmp_path):
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "mine").write_text("precious")
        cli("export", finished.file, "full", cwd=tmp_path).refused(6, "not empty")
        cli("export", finished.file, "full/mine", cwd=tmp_path).refused(6, "no folder")
        cli("export", finished.file, "a", "b", "c", cwd=tmp_path).refused(2, "[ID] DIR")
        cli("export", "missing.h5", "new", cwd=tmp_path).refused(5, "missing.h5")
        assert [path.name for path in tmp_path.iterdir()] == ["full"]

    def test_no_model_goes_where_it_would_be_read_as_a_class(self, cli, finished, pets, tmp_path):
        words = "each folder is taken for a class of images: name another place"
        for folder in (pets / "train" / "mine", pets / "test" / "cat" / "mine"):
            cli("export", finished.file, folder, cwd=tmp_path).refused(6, words)
            assert not folder.exists()
        # Where the images are now counts, not where they were.
        moved = tmp_path / "moved"
        (moved / "train" / "cat").mkdir(parents=True)
        arguments = ("export", finished.file, moved / "train" / "mine", "--data", moved)
        cli(*arguments, cwd=tmp_path).refused(6, words)
        assert not (moved / "train" / "mine").exists()

    def test_no_model_goes_where_the_population_has_its_files(self, cli, finished, tmp_path):
        folder = finished.file.with_suffix(".checkpoints") / "mine"
        cli("export", finished.file, folder, cwd=tmp_path).refused(6, "has its files there")
        assert not folder.exists()


class TestPredictRefuses:
    def test_what_is_no_model(self, cli, tmp_path):
        done = cli("predict", tmp_path, "x.png", cwd=tmp_path)
        done.refused(4, "holds no model")

    def test_what_is_no_image(self, cli, finished, tmp_path):
        (tmp_path / "x.png").write_text("no image")
        done = cli("predict", finished.file.with_suffix(".best"), "x.png", cwd=tmp_path)
        done.refused(3, "x.png")

    def test_images_none_of_which_can_be_read(self, cli, finished, tmp_path):
        for name in ("x.png", "y.png"):
            (tmp_path / name).write_text("no image")
        best = finished.file.with_suffix(".best")
        done = cli("predict", best, "x.png", "gone.png", "y.png", cwd=tmp_path)
        done.refused(3, "x.png is not an image", "nor can these be used: gone.png, y.png")
        assert done.out == ""


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_images_that_cannot_be_read_are_named_and_the_others_predicted(
    cli, finished, pets, tmp_path, form
):
    (tmp_path / "x.png").write_text("no image")
    whole = pets / "test" / "cat" / "0.png"
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:-300])
    best, other = finished.file.with_suffix(".best"), pets / "test" / "dog" / "0.png"
    alone = cli("predict", best, whole, other, "--format", form, cwd=tmp_path)
    done = cli("predict", best, "x.png", whole, "cut.png", other, "--format", form, cwd=tmp_path)
    assert (alone.code, done.code) == (0, 3)
    assert done.out == alone.out
    first, second = done.err.splitlines()
    assert first.startswith("evoft: x.png is not an image that can be decoded")
    assert second.startswith("evoft: cut.png cannot be decoded")


class TestDamage:
    def test_a_truncated_file(self, cli, finished, tmp_path):
        file = tmp_path / "p.h5"
        file.write_bytes(finished.file.read_bytes()[:-100])
        for command in (("show", file), ("lineage", file), ("resume", file)):
            cli(*command, cwd=tmp_path).refused(5, "p.h5")
        assert cli("fsck", file, cwd=tmp_path).code == 5

    def test_a_file_of_another_kind(self, cli, tmp_path):
        (tmp_path / "p.h5").write_text("hello")
        cli("show", "p.h5", cwd=tmp_path).refused(5, "p.h5")
        cli("show", "nowhere.h5", cwd=tmp_path).refused(5, "nowhere.h5")

    def test_a_fitness_function_of_its_own_is_not_fine_tuned(self, cli, tmp_path):
        space = evoft.SearchSpace(x=evoft.Float(0.0, 1.0))
        run = evoft.new(space, generations=1, population_size=2, file=tmp_path / "mine.h5")
        with run:
            while (trial := run.ask()) is not None:
                run.tell(trial, float(trial.genome["x"]))
        cli("resume", "mine.h5", cwd=tmp_path).refused(5, "evoft.resume(")
        cli("export", "mine.h5", "x", cwd=tmp_path).refused(5, "no fine-tuned models")
        assert cli("show", "mine.h5", cwd=tmp_path).code == 0
        assert not (tmp_path / "x").exists()


def test_a_curve_of_uneven_metrics_is_shown(cli, tmp_path):
    space = evoft.SearchSpace(x=evoft.Float(0.0, 1.0))
    with evoft.new(space, population_size=2, file=tmp_path / "mine.h5") as evolution:
        trial = evolution.ask()
        points = (CurvePoint(1.0, {"loss": 1.0}), CurvePoint(2.0, {"acc": 0.5}))
        evolution.tell(trial, evoft.Outcome(evoft.Status.OK, 0.5, curve=points))
    done = cli("show", "mine.h5", 0, "--format", "csv", cwd=tmp_path)
    assert done.out == "epoch,loss,acc\n1.0,1.0,\n2.0,,0.5\n"
    assert cli("show", "mine.h5", 0, cwd=tmp_path).code == 0
    cli("show", "mine.h5", 0, "--top", 3, cwd=tmp_path).refused(2, "one of")


def test_a_spent_budget_is_told_and_the_way_on_works(cli, pets, tmp_path):
    flags = ("--budget", "1s", "--population-size", 3, "--epochs", 1, "--finalists", 1,
             "--repeats", 1, "--img-size", 24, "--devices", "cpu", "-j", 1)  # fmt: skip
    done = cli("evolve", pets, *flags, cwd=tmp_path)
    assert done.code == 0, done.err
    assert "The budget of 1 s over the life of the population is spent." in done.out
    assert "evoft resume populations/pets.h5 --budget 2s" in done.out


@pytest.mark.slow
def test_final_runs_that_a_budget_leaves_out_are_told_and_made_with_a_larger_one(
    cli, pets, tmp_path
):
    flags = ("--budget", "0.01s", "--population-size", 2, "--generations", 1, "--epochs", 1,
             "--finalists", 1, "--repeats", 3, "--img-size", 24, "--devices", "cpu", "-j", 1,
             "--strategy", "ga", "--file", "p.h5")  # fmt: skip
    done = cli("evolve", pets, *flags, cwd=tmp_path)
    assert done.code == 0, done.err
    assert "\nThe budget of 1 s over the life of the population is spent, which leaves out 2" in (
        done.out
    )
    assert "validation accuracy, 1 fresh seed  " in done.out
    assert "evoft resume p.h5 --budget 2s" in done.out
    population = evoft.Population.open(tmp_path / "p.h5")
    assert (len(population), len(population.finals(0))) == (1, 1)
    again = cli("resume", "p.h5", "--budget", "1h", cwd=tmp_path)
    assert again.code == 0, again.err
    assert "leaves out" not in again.out
    population = evoft.Population.open(tmp_path / "p.h5")
    assert (len(population), len(population.finals(0))) == (2, 3)


def test_a_dry_run_says_what_a_run_does_and_leaves_nothing(cli, finished, pets, tmp_path):
    done = cli("evolve", pets, *SHORT, "--dry-run", cwd=tmp_path)
    assert done.code == 0, done.err
    said, of_run = (
        [line for line in one.out.splitlines() if not line.startswith(("estimate", "workers"))]
        for one in (done, finished.done)
    )
    assert said[0].startswith("data         pets: ")
    assert said[-1] == "population   populations/pets.h5"
    assert said == of_run[: len(said)]
    assert "\nestimate     about " in done.out
    assert list(tmp_path.iterdir()) == []
    again = cli("evolve", pets, *SHORT, "--dry-run", "--file", finished.file, cwd=tmp_path)
    again.refused(5, "is there already: go on with it by `evoft resume")


def test_an_existing_file_is_refused_and_resume_named(cli, finished, pets, tmp_path):
    before = finished.file.read_bytes()
    done = cli("evolve", pets, "--file", finished.file, cwd=tmp_path)
    done.refused(5, f"evoft resume {finished.file}")
    assert finished.file.read_bytes() == before
    assert list(tmp_path.iterdir()) == []


def test_resuming_a_finished_run_changes_nothing(cli, finished, lineage_of, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "copy")
    file = tmp_path / "copy" / "populations" / "pets.h5"
    before = lineage_of(file)
    done = cli("resume", file, cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.modules == ""
    assert lineage_of(file) == before
    assert "already done" in done.out


def test_a_total_that_adds_nothing_is_told(cli, finished, lineage_of, tmp_path):
    folder = shutil.copytree(finished.folder, tmp_path / "copy")
    done = cli("resume", "populations/pets.h5", "--generations", 1, cwd=folder)
    assert done.code == 0, done.err
    assert done.err.startswith(
        "--generations is a total over the life of the population, which has had 2, so 1 adds "
        "none: for 1 more give --generations 3\n"
    )
    assert "evoft resume populations/pets.h5 --generations 4" in done.out
    assert lineage_of(folder / "populations" / "pets.h5") == lineage_of(finished.file)


def test_a_run_in_which_all_fail_says_so_and_how_the_last_did(cli, pets, tmp_path):
    hopeless = ("--opt", "sgd", "--lr", "1e30", "--population-size", 3, "--generations", 1)
    done = cli("evolve", pets, *SHORT, *hopeless, cwd=tmp_path)
    assert done.code == 8, done.err
    told = "the loss was not finite in epoch 1): nothing can be named best"
    assert f"evoft: none of 3 individuals ended well (the last: {told}" in done.err
    shown = cli("show", "populations/pets.h5", cwd=tmp_path)
    assert "\nbest in the search: none, for all have failed\n" in shown.out
