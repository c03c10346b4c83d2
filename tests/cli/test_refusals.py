"""Every mistake of a user's: told in a sentence, before any training, with nothing left behind."""

import os

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from tiny_images import paint

#: Small enough to end at once should a mistake not be noticed.
QUICK = ("--generations", "1", "--population-size", "3", "--epochs", "1", "--img-size", "16",
         "--devices", "cpu", "--workers", "1")  # fmt: skip


@pytest.fixture
def refused(cli, tmp_path):
    """``refused(code, words, *arguments)``: `evoft evolve` refuses and leaves nothing behind."""

    def check(code, words, *arguments):
        before = sorted(tmp_path.rglob("*"))
        done = cli("evolve", *arguments, cwd=tmp_path)
        done.refused(code, *words)
        assert done.out == ""
        assert done.modules == ""
        assert sorted(tmp_path.rglob("*")) == before

    return check


def harm(root, kind):
    """Spoil a good folder; return the words that the message must have."""
    if kind == "empty class":
        (root / "train" / "fox").mkdir()
        return ["`fox`"]
    if kind == "class that val lacks":
        for path in (root / "val" / "eel").iterdir():
            path.unlink()
        return ["`eel`", "val"]
    if kind == "not an image":
        (root / "train" / "cat" / "1.png").write_text("no image")
        return ["train/cat/1.png"]
    if kind == "truncated image":
        path = root / "test" / "dog" / "0.png"
        path.write_bytes(path.read_bytes()[:-300])
        return ["test/dog/0.png"]
    if kind == "same image in two splits":
        (root / "test" / "cat" / "0.png").write_bytes((root / "train/cat/1.png").read_bytes())
        return ["train/cat/1.png", "test/cat/0.png", "same image"]
    if kind == "single class":
        for split in ("train", "val", "test"):
            for name in ("dog", "eel"):
                for path in (root / split / name).iterdir():
                    path.unlink()
                (root / split / name).rmdir()
        return ["single class", "`cat`"]
    assert kind == "no images"
    for path in root.rglob("*.png"):
        path.rename(path.with_suffix(".txt"))
    return ["no images"]


class TestData:
    @pytest.mark.parametrize(
        "kind",
        ["empty class", "class that val lacks", "not an image", "truncated image",
         "same image in two splits", "single class", "no images"],
    )  # fmt: skip
    def test_a_folder(self, refused, tmp_path, kind):
        root = paint(tmp_path / "pets", {"train": 4, "val": 2, "test": 2})
        refused(3, harm(root, kind), root, *QUICK)

    def test_what_is_not_there(self, refused):
        refused(3, ["nowhere does not exist", "folder"], "nowhere", *QUICK)

    def test_a_name_that_is_empty(self, refused):
        refused(2, ["`data` must be a path or `digits`, but is empty"], "", *QUICK)

    def test_tables_and_arrays(self, refused, tmp_path):
        Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "a.png")
        (tmp_path / "a.csv").write_text("filepath,label\na.png,x\nmissing.png,y\n")
        refused(3, ["missing.png"], "a.csv", *QUICK)
        (tmp_path / "b.npz").write_bytes(b"no npz")
        refused(3, ["b.npz"], "b.npz", *QUICK)

    def test_classes_too_small_to_split(self, refused, tmp_path):
        root = tmp_path / "few"
        for name in ("cat", "dog"):
            (root / name).mkdir(parents=True)
            Image.fromarray(np.full((4, 4, 3), len(name), np.uint8)).save(root / name / "1.png")
        refused(3, ["few"], root, *QUICK)

    def test_fewer_images_than_classes(self, refused):
        words = ["`max_train_images` must be at least the number of classes, 10"]
        refused(2, words, "digits", *QUICK, "--max-train-images", 5)


class TestSettings:
    """What is noticed before a worker is needed."""

    @pytest.mark.parametrize(
        ("flags", "words"),
        [
            (["--crop-pct", 0], ["`crop_pct` must be in (0, 1], but is 0"]),
            (["--clip-grad", -1], ["`clip_grad` must be >= 0, but is -1"]),
            (["--class-weights", "heavy"],
             ["`class_weights` must be one of none, balanced, but is 'heavy'"]),
            (["--epochs", 0], ["`epochs` must be >= 1, but is 0"]),
            (["--rung-factor", 1], ["`rung_factor` must be > 1, but is 1"]),
            (["--first-rung", 0], ["`first_rung` must be > 0, but is 0"]),
            (["--population-size", 1], ["`population_size` must be >= 2"]),
            (["--cxpb", 1.5], ["`cxpb` must be in [0, 1], but is 1.5"]),
            (["--elite", 3], ["`elite < population_size`"]),
            (["--val-share", 0.6, "--test-share", 0.5], ["`val_share + test_share < 1`"]),
            (["--workers", -1], ["`workers` must be >= 1, but is -1: leave it out for as many as"]),
            (["--devices", "gpu"], ["`devices` must be auto, cpu or GPU numbers"]),
            (["--img-size", -1], ["`img_size`"]),
            (["--std", 0, 1, 1], ["`std` must be > 0"]),
            (["--mean", 124, 116, 104], ["`mean` must be in [0, 1]", "by 255"]),
            (["--finalists", 0], ["`finalists` must be >= 1"]),
            (["--model", "a,a"], ["names a model twice"]),
            (["--model", "a,b", "--checkpoint", "x"], ["`model` names several"]),
            (["--checkpoint", "x", "--no-pretrained"],
             ["`pretrained` is false", "leave --no-pretrained out"]),
            (["--objective", "accuracy", "--objective", "energy:min"],
             ["`objectives` of fine-tuning are", "energy:min, which no trial reports"]),
            (["--objective", "accuracy", "--objective", "latency"],
             ["`latency` must differ between individuals", "embedded: name several models"]),
            (["--file", "pets.hdf"], ["named *.h5"]),
            (["--model-kwargs", "x"], ["NAME=VALUE"]),
            (["--warmup-epochs", 5, "--epochs", 2], ["`--warmup-epochs` must be in [0, 2)"]),
            (["--aa", "rand-m11"], ["`augment` must be in [0, 1], but is 1.1"]),
            (["--workers-per-device", 0], ["`workers_per_device` must be >= 1, but is 0"]),
            (["-c", "nowhere.toml"], ["nowhere.toml cannot be read"]),
            (["--space", "nowhere.toml"], ["nowhere.toml cannot be read"]),
        ],
    )  # fmt: skip
    def test_a_flag(self, refused, flags, words):
        refused(2, words, "digits", *QUICK, *flags)

    @pytest.mark.parametrize(
        ("flag", "value"),
        [("--epochs", "two"), ("--strategy", "annealing"), ("--budget", "soon"), ("--aa", "augmix"),
         ("--lr", "fast"), ("--nosuch", "1"), ("--workers-per-device", "many"),
         ("--trial-timeout", "-3s"), ("--mean", "0.5"), ("--cache-size", "4X")],
    )  # fmt: skip
    def test_a_value_of_the_wrong_kind_shows_the_usage(self, cli, tmp_path, flag, value):
        done = cli("evolve", "digits", flag, value, cwd=tmp_path)
        assert done.code == 2
        assert "Traceback" not in done.err
        assert "\nError: " in f"\n{done.err}"
        assert flag in done.err
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("epochs = = 2", ["mine.toml is not valid TOML"]),
            (
                "epochs = 2",
                ["the configuration has no `epochs`", "founders, space: mend mine.toml"],
            ),
            ("\ufeff[training]\nepoch = 2", ["[training] has no `epoch`"]),
            ("[training]\nepoch = 2", ["[training] has no `epoch`"]),
            ("[training]\nepochs = 'two'", ["`epochs` must be a number, but is 'two'"]),
            ("[training]\nmodels = 'embedded'", ["`models` must be a list of names"]),
            ("[training]\nmodels = [3]", ["`models` must be a list of names, but holds 3"]),
            ("[training]\ndata = 3", ["`data` must be a path"]),
            ("[training]\npretrained = 'no'", ["`pretrained` must be true or false"]),
            ("[training]\ncheckpoint = 3", ["`checkpoint` must be a path"]),
            ("[training]\nmodel_kwargs = 3", ["`model_kwargs` must be a table"]),
            ("[run]\nbudget = 'soon'", ["a length of time is written as"]),
            ("[run]\ndevices = 0", ["`devices` must be a text, but is 0"]),
            ("[search]\nstrategy = 'annealing'", ["`strategy` must be one of ", "'annealing'"]),
            ("[search]\nepochs = 3", ["`epochs` of [search]", "under [training]"]),
            ("search = 3", ["`search` must be a table, but is 3"]),
            ("space = 3", ["`space` must be a table, but is 3"]),
            ("fixed = 'lr'", ["`fixed` must be a table"]),
            ("[founders]\nmine = 3", ["founders.mine", "must be a table"]),
            ("seed = 'x'", ["`seed` must be a whole number"]),
            ("[space]\nlr = 3", ["lr: a gene is a table"]),
            ("[space.lr]\ntype = 'real'", ["lr", "real"]),
            (
                "[space.lr]\ntype = 'float'\nlow = 0.1\nhigh = 0.2\ndefault = 0.5",
                ["lr: `default` must be one of the gene's values, but 0.5 is not in [0.1, 0.2]"],
            ),
            ("[space.lr]\ntype = 'float'\nlow = 2.0\nhigh = 1.0", ["lr: `low < high`"]),
        ],
    )
    def test_a_configuration(self, refused, tmp_path, text, words):
        (tmp_path / "mine.toml").write_text(text)
        # No flags, which would win over what is wrong.
        refused(2, words, "-c", "mine.toml")

    @pytest.mark.parametrize(
        ("flags", "words"),
        [
            (["-b", 0], ["`batch_size` must be >= 1, but is 0"]),
            (["--lr", -1], ["`lr` must be > 0, but is -1"]),
            (["--drop", 2], ["`drop` must be in [0, 1), but is 2"]),
            (["--freeze-depth", "half"], ["`freeze_depth` must be a number, but is 'half'"]),
        ],
    )
    def test_a_fixed_gene(self, refused, flags, words):
        refused(2, words, "digits", *QUICK, *flags)

    def test_a_space(self, refused, tmp_path):
        (tmp_path / "s.toml").write_text("[lr")
        refused(2, ["not valid TOML"], "digits", *QUICK, "--space", "s.toml")
        (tmp_path / "s.toml").write_text("")
        refused(2, ["at least one gene"], "digits", *QUICK, "--space", "s.toml")

    def test_nothing_left_to_search(self, refused, tmp_path):
        (tmp_path / "s.toml").write_text("[lr]\ntype = 'float'\nlow = 0.1\nhigh = 0.2\n")
        words = ["every gene is fixed"]
        refused(2, words, "digits", *QUICK, "--space", "s.toml", "--lr", 0.1)

    def test_founders_that_cannot_be_had(self, refused, finished, tmp_path):
        (tmp_path / "s.toml").write_text("[model_ema]\ntype = 'float'\nlow = 0.0\nhigh = 0.9\n")
        flags = ("digits", *QUICK, "--space", "s.toml")
        refused(5, ["there is no population file"], *flags, "--founders", "nowhere.h5")
        words = ["no founder can come from pets.h5", "this space (model_ema)"]
        refused(2, words, *flags, "--founders", finished.file)
        twice = ("--founders", finished.file, "--founders", finished.file)
        refused(2, ["name it once"], *flags[:-2], *twice)

    def test_an_output_that_is_there(self, refused, tmp_path):
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "mine").write_text("precious")
        refused(6, ["full is there already and not empty"], "digits", *QUICK, "--output", "full")

    def test_an_output_that_could_never_be_written(self, refused, tmp_path):
        (tmp_path / "notes").write_text("")
        output = ("--output", tmp_path / "notes" / "deep" / "out")
        refused(6, [f"{tmp_path / 'notes'} is no folder"], "digits", *QUICK, *output)

    def test_an_output_that_may_not_be_written(self, refused, tmp_path):
        (tmp_path / "theirs").mkdir(mode=0o500)
        if os.access(tmp_path / "theirs", os.W_OK):
            pytest.skip("whoever may write everywhere is refused nothing")
        output = ("--output", tmp_path / "theirs" / "out")
        refused(6, ["theirs cannot be written to"], "digits", *QUICK, *output)

    def test_what_evoft_did_not_export_is_not_overwritten(self, refused, tmp_path):
        folder = tmp_path / "populations" / "digits.best"
        folder.mkdir(parents=True)
        (folder / "mine").write_text("precious")
        refused(6, ["digits.best is there already and not empty"], "digits", *QUICK)
        assert (folder / "mine").read_text() == "precious"

    def test_a_folder_that_cannot_be_written(self, refused, tmp_path):
        (tmp_path / "file").write_text("")
        flags = ("digits", *QUICK, "--file", tmp_path / "file" / "p.h5")
        refused(6, [str(tmp_path / "file")], *flags)


class TestBackbone:
    """What only a look at the backbone tells: each costs seconds, so others are tried in-process
    by tests/training/test_backbone.py and tests/fine_tuning."""

    @pytest.fixture(autouse=True)
    def _files(self, tmp_path):
        save_file({"a": torch.zeros(3)}, tmp_path / "other.safetensors")
        (tmp_path / "unknown.toml").write_text(
            "[learning_rate]\ntype = 'float'\nlow = 0.1\nhigh = 0.2\n"
        )

    @pytest.mark.parametrize(
        ("code", "flags", "words"),
        [
            (4, "--model resnet18x", ["no model named 'resnet18x'", "resnet18"]),
            (4, "--model resnet10t", ["resnet10t cannot be had", "--checkpoint FILE",
                                      "--no-pretrained"]),
            (4, "--checkpoint nowhere.safetensors", ["no file of weights", "nowhere.safetensors"]),
            (4, "--checkpoint other.safetensors", ["other.safetensors do not fit embedded"]),
            (2, "--devices 7", ["names GPU 7"]),
            (2, "--device cuda:7", ["names GPU 7"]),
            (2, "--device cuda", ["names GPU 0"]),
            (2, "--space unknown.toml", ["`learning_rate` has no meaning to the trainer"]),
            (2, "--img-size 1", ["`img_size` is 1, which is too small for embedded",
                                 "give --img-size 4 or more"]),
            (2, "--opt nosuch", ["the optimizer 'nosuch'", "list_optimizers"]),
        ],
    )  # fmt: skip
    def test_it_is_told(self, refused, code, flags, words):
        refused(code, words, "digits", *QUICK, *flags.split())
