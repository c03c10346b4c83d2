"""Checkpoints, exports that plain timm loads, and predictions from them."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from evoft.errors import (
    BackboneError,
    DataError,
    PopulationDamagedError,
    StorageError,
    WorkerError,
)
from evoft.outcome import Status
from evoft.search.space import SearchSpace
from evoft.settings import TrainingSettings
from evoft.training import checkpoints
from evoft.training.backbone import build
from evoft.training.checkpoints import load, save, seed_of, trained_state
from evoft.training.default_space import DEFAULT_GENES
from evoft.training.fine_tuner import checkpoint_path
from evoft.training.freezing import freeze, trained_names
from evoft.training.judging import predict
from evoft.training.memory_format import laid_out
from evoft.training.prediction import predict_files
from evoft.trial import Trial

FROZEN = {"freeze_depth": 0.5, "batch_size": 16, "drop": 0.3, "drop_path": 0.2}
KINDS = {
    "embedded": (TrainingSettings(), {"lr": 1e-2}),
    "embedded frozen": (TrainingSettings(), FROZEN),
    "random start": (
        TrainingSettings(models=("test_resnet",), pretrained=False, img_size=32), {"lr": 1e-2}
    ),
    "random start frozen": (
        TrainingSettings(models=("test_resnet",), pretrained=False, img_size=32), FROZEN
    ),
    "model arguments": (
        TrainingSettings(
            models=("mobilenetv2_035",), pretrained=False, img_size=32, mean=(0.5, 0.4, 0.3),
            std=(0.2, 0.3, 0.4), model_kwargs={"pad_type": "same", "bn_eps": 1e-3},
        ),
        FROZEN,
    ),
    "transformer": (TrainingSettings(models=("test_vit",), pretrained=False, img_size=48), FROZEN),
    "layers of several names": (
        TrainingSettings(
            models=("coat_tiny",), pretrained=False, img_size=64,
            model_kwargs={
                "embed_dims": [32] * 4, "serial_depths": [1] * 4, "parallel_depth": 1,
            },
        ),
        FROZEN,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def exports(make_tuner, tmp_path_factory):
    """For each kind: the folder, the tuner, the trial and its outcome."""
    space = SearchSpace.from_dict(DEFAULT_GENES)
    root = tmp_path_factory.mktemp("exports")
    made = {}
    for number, (kind, (settings, genes)) in enumerate(KINDS.items()):
        tuner = make_tuner(settings, root / "checkpoints" / str(number), DEFAULT_GENES)
        trial = Trial(number, space.complete(genes), 11 + number)
        outcome = tuner.evaluate(trial)
        assert outcome.status is Status.OK, outcome.reason
        folder = root / kind
        labels = [f"digit {i}" for i in range(10)]
        tuner.export([(trial.genome, trial.key)], folder, labels, f"# {kind}", {"accuracy": 0.5})
        made[kind] = folder, tuner, trial, outcome
    return made


#: Loads every folder with timm alone and gives the logits of its images.
ALONE = """
import sys
import numpy as np, timm, torch
torch.set_num_threads(1)
for folder in sys.argv[1:]:
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    config = timm.data.resolve_data_config({}, model=model)
    images = torch.from_numpy(np.load(folder + ".images.npy"))
    mean, std = (torch.tensor(config[k])[:, None, None] for k in ("mean", "std"))
    pixels = (images.permute(0, 3, 1, 2).float() / 255 - mean) / std
    assert pixels.shape[1:] == config["input_size"], (pixels.shape, config["input_size"])
    with torch.inference_mode():
        np.save(folder + ".logits.npy", model(pixels).numpy())
assert not any(name.split(".")[0] == "evoft" for name in sys.modules)
"""


@pytest.fixture(scope="module")
def alone(exports):
    folders = []
    for folder, tuner, _, _ in exports.values():
        test = tuner.commons.examples(tuner.settings.models[0], "test")
        np.save(f"{folder}.images.npy", test.pixels[test.places].numpy())
        folders.append(str(folder))
    subprocess.run([sys.executable, "-c", ALONE, *folders], check=True, cwd=folder.parent)
    return {kind: np.load(f"{exports[kind][0]}.logits.npy") for kind in exports}


@pytest.mark.parametrize("kind", KINDS)
class TestExport:
    def test_plain_timm_gives_the_same_logits(self, exports, alone, kind):
        _, tuner, trial, outcome = exports[kind]
        name = tuner.settings.models[0]
        model = tuner.trained(trial.genome, trial.key)
        logits = predict(model, tuner.commons.examples(name, "test")).numpy()
        assert np.allclose(alone[kind], logits, atol=1e-5)
        assert (alone[kind].argmax(1) == logits.argmax(1)).all()
        val = tuner.commons.examples(name, "val")
        right = (predict(model, val).argmax(1) == val.labels).float().mean()
        assert float(right) == pytest.approx(outcome.fitness)

    def test_what_lies_in_the_folder(self, exports, kind):
        folder, tuner, trial, _ = exports[kind]
        assert {path.name for path in folder.iterdir()} == {
            "config.json", "model.safetensors", "recipe.json", "metrics.json", "README.md"
        }  # fmt: skip
        config = json.loads((folder / "config.json").read_text())
        assert config["label_names"] == [f"digit {i}" for i in range(10)]
        assert config["num_classes"] == 10
        preprocessing = tuner.express.facts[tuner.settings.models[0]].preprocessing
        stated = config["pretrained_cfg"]
        assert tuple(stated["input_size"][1:]) == preprocessing.img_size
        assert tuple(stated["mean"]) == preprocessing.mean
        assert tuple(stated["std"]) == preprocessing.std
        assert stated["interpolation"] == preprocessing.interpolation
        recipe = json.loads((folder / "recipe.json").read_text())
        assert recipe == tuner.express(trial.genome).to_dict()
        assert json.loads((folder / "metrics.json").read_text()) == {"accuracy": 0.5}
        assert (folder / "README.md").read_text() == f"# {kind}"
        modes = {path.stat().st_mode & 0o777 for path in folder.iterdir()}
        assert len(modes) == 1

    def test_evofts_prediction_is_the_same(self, exports, alone, kind, tmp_path):
        folder, tuner, _, _ = exports[kind]
        test = tuner.commons.examples(tuner.settings.models[0], "test")
        paths = []
        for i in range(4):
            paths.append(str(tmp_path / f"{i}.png"))
            Image.fromarray(test.pixels[test.places[i]].numpy()).save(paths[-1])
        predictions = predict_files(folder, paths)
        crop = tuner.express.facts[tuner.settings.models[0]].preprocessing.crop_pct
        assert [p.image for p in predictions] == paths
        for i, prediction in enumerate(predictions):
            (label,), (probability,) = prediction.labels, prediction.probabilities
            assert 0.1 <= probability <= 1.0
            if crop == 1.0:  # else what was cropped already is cropped once more
                row = torch.from_numpy(alone[kind][i]).softmax(0)
                assert label == f"digit {int(row.argmax())}"
                assert probability == pytest.approx(float(row.max()), abs=1e-5)


class TestExportRefuses:
    def test_a_folder_with_something_in_it(self, exports, tmp_path):
        _, tuner, trial, _ = exports["embedded"]
        (tmp_path / "mine").write_text("precious")
        with pytest.raises(StorageError, match="not empty"):
            tuner.export([(trial.genome, trial.key)], tmp_path, ["a"] * 10, "", {})
        assert [path.name for path in tmp_path.iterdir()] == ["mine"]

    def test_a_place_that_cannot_be_written(self, exports, tmp_path):
        _, tuner, trial, _ = exports["embedded"]
        (tmp_path / "file").write_text("")
        with pytest.raises(StorageError, match="cannot be written"):
            tuner.export([(trial.genome, trial.key)], tmp_path / "file" / "x", ["a"] * 10, "", {})
        assert [path.name for path in tmp_path.iterdir()] == ["file"]

    def test_a_disk_that_is_full(self, exports, tmp_path, limited_files):
        _, tuner, trial, _ = exports["embedded"]
        with (
            limited_files(20_000),
            pytest.raises(StorageError, match=r"cannot be written.*: free some space"),
        ):
            tuner.export([(trial.genome, trial.key)], tmp_path / "x", ["a"] * 10, "", {})
        assert list(tmp_path.iterdir()) == []

    def test_a_link_is_followed_and_stays_one(self, exports, tmp_path):
        _, tuner, trial, _ = exports["embedded"]
        there, link = tmp_path / "disk" / "there", tmp_path / "link"
        there.mkdir(parents=True)
        (there / "old").write_text("")
        link.symlink_to(there)
        for _ in range(2):
            left = [(trial.genome, trial.key)]
            tuner.export(left, link, ["a"] * 10, "", {}, replace=True)
            assert link.is_symlink()
            assert (there / "model.safetensors").is_file()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "link"]
        assert [path.name for path in (tmp_path / "disk").iterdir()] == ["there"]
        assert (there / "old").read_text() == ""  # for somebody else put it there
        dangling = tmp_path / "dangling"
        dangling.symlink_to(tmp_path / "new")
        tuner.export([(trial.genome, trial.key)], dangling, ["a"] * 10, "", {})
        assert (tmp_path / "new" / "model.safetensors").is_file()

    def test_what_others_put_into_an_earlier_folder_is_kept(self, exports, tmp_path):
        _, tuner, trial, _ = exports["embedded"]
        folder, left = tmp_path / "best", [(trial.genome, trial.key)]
        tuner.export(left, folder, ["a"] * 10, "first", {})
        (folder / "model.onnx").write_text("mine")
        (folder / "notes").mkdir()
        (folder / "notes" / "a.txt").write_text("mine, too")
        (folder / "nowhere").symlink_to("gone")
        tuner.export(left, folder, ["a"] * 10, "second", {}, replace=True)
        assert (folder / "README.md").read_text() == "second"
        assert (folder / "model.onnx").read_text() == "mine"
        assert (folder / "notes" / "a.txt").read_text() == "mine, too"
        assert os.readlink(folder / "nowhere") == "gone"
        assert [path.name for path in tmp_path.iterdir()] == ["best"]

    def test_a_name_that_is_no_text(self, exports, tmp_path):
        _, tuner, trial, _ = exports["embedded"]
        classes = ["cl\udcff", *"abcdefghi"]
        left = [(trial.genome, trial.key)]
        tuner.export(left, tmp_path / "x", classes, "of cl\udcff and ü", {"of": classes})
        card = (tmp_path / "x" / "README.md").read_text(encoding="utf-8")
        assert card == "of cl\\udcff and ü"

    def test_too_little_memory(self, exports, tmp_path, monkeypatch):
        _, tuner, trial, _ = exports["embedded"]

        def scarce(*_):
            raise MemoryError

        monkeypatch.setattr(type(tuner), "trained", scarce)
        with pytest.raises(WorkerError, match=r"too little memory to export the model .* again"):
            tuner.export([(trial.genome, trial.key)], tmp_path / "x", ["a"] * 10, "", {})

    def test_an_empty_folder_is_filled(self, exports, tmp_path):
        _, tuner, trial, _ = exports["embedded"]
        tuner.export([(trial.genome, trial.key)], tmp_path, ["a"] * 10, "", {})
        assert (tmp_path / "model.safetensors").is_file()


class TestPredictRefuses:
    def test_a_folder_without_a_model(self, tmp_path):
        for folder in (tmp_path, tmp_path / "missing"):
            with pytest.raises(BackboneError, match="holds no model"):
                predict_files(folder, ["x.png"])

    def test_a_damaged_model(self, exports, tmp_path):
        folder = exports["embedded"][0]
        for path in folder.iterdir():
            (tmp_path / path.name).write_bytes(path.read_bytes()[:-50])
        (tmp_path / "config.json").write_text((folder / "config.json").read_text())
        with pytest.raises(BackboneError, match="holds no model"):
            predict_files(tmp_path, ["x.png"])

    def test_a_file_that_is_no_image(self, exports, tmp_path):
        (tmp_path / "x.png").write_text("no image")
        for name in ("x.png", "missing.png"):
            with pytest.raises(DataError, match=name):
                predict_files(exports["embedded"][0], [str(tmp_path / name)])


class TestCheckpoint:
    @pytest.fixture
    def model(self, exports):
        _, tuner, trial, _ = exports["embedded frozen"]
        return tuner.trained(trial.genome, trial.key)

    def test_it_holds_the_trained_part_only(self, exports, model):
        _, tuner, trial, _ = exports["embedded frozen"]
        path = checkpoint_path(tuner.checkpoints, trial.key)
        names = set(load_file(path))
        assert names == trained_names(model)
        assert names < set(model.state_dict())
        assert seed_of(path) == trial.seed

    def test_round_trip(self, model, tmp_path):
        path = tmp_path / "deep" / "c.safetensors"
        state = trained_state(model)
        save(state, path, {"lr": 1.0}, 5)
        for parameter in model.parameters():
            parameter.data.zero_()
        load(model, path)
        assert all(torch.equal(state[n], t) for n, t in model.state_dict().items() if n in state)
        assert os.listdir(path.parent) == ["c.safetensors"]

    def test_the_state_is_a_copy(self, model):
        state = trained_state(model)
        before = {n: t.clone() for n, t in state.items()}
        for parameter in model.parameters():
            parameter.data.add_(1.0)
        assert all(torch.equal(before[n], t) for n, t in state.items())

    @pytest.mark.parametrize("when", ["save_file", "fsync", "replace"])
    def test_a_disk_that_fails_leaves_the_old_file(self, model, tmp_path, monkeypatch, when):
        path = tmp_path / "c.safetensors"
        save(trained_state(model), path, {}, 1)
        old = path.read_bytes()

        def fail(*_, **__):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(checkpoints if when == "save_file" else os, when, fail)
        with pytest.raises(StorageError, match="No space left"):
            save({"x": torch.zeros(3)}, path, {}, 2)
        monkeypatch.undo()
        assert path.read_bytes() == old
        assert os.listdir(tmp_path) == ["c.safetensors"]

    def test_another_models_is_refused(self, exports, model):
        for kind in ("embedded", "transformer"):
            _, tuner, trial, _ = exports[kind]
            with pytest.raises(PopulationDamagedError, match="another model or recipe"):
                load(model, checkpoint_path(tuner.checkpoints, trial.key))

    def test_another_depth_is_refused(self, exports, model):
        _, tuner, trial, _ = exports["embedded frozen"]
        freeze(model, 1)
        with pytest.raises(PopulationDamagedError, match="another model or recipe"):
            load(model, checkpoint_path(tuner.checkpoints, trial.key))

    @pytest.mark.parametrize("harm", ["missing", "empty", "cut", "garbage", "no seed", "shape"])
    def test_a_damaged_one_is_refused(self, exports, model, tmp_path, harm):
        _, tuner, trial, _ = exports["embedded frozen"]
        good = checkpoint_path(tuner.checkpoints, trial.key)
        path = tmp_path / "c.safetensors"
        state = load_file(good)
        if harm == "cut":
            path.write_bytes(good.read_bytes()[:-7])
        elif harm == "garbage":
            path.write_bytes(os.urandom(1000))
        elif harm == "empty":
            path.write_bytes(b"")
        elif harm == "no seed":
            save_file(state, path)
        elif harm == "shape":
            save_file({n: torch.zeros(1) for n in state}, path, metadata={"seed": "1"})
        for read in (seed_of, lambda path: load(model, path)):
            if (read is seed_of, harm) in ((True, "shape"), (False, "no seed")):
                continue  # the one does not look at what the other needs
            with pytest.raises(PopulationDamagedError, match="checkpoint"):
                read(path)


def test_what_is_kept_is_a_copy_in_plain_order():
    settings = TrainingSettings(models=("test_resnet",), pretrained=False)
    model = laid_out(build("test_resnet", settings, 3, pretrained=False))
    state = trained_state(model)
    live = model.state_dict()
    assert set(state) == set(live)
    for name, tensor in state.items():
        assert torch.equal(tensor, live[name])
        assert tensor.is_contiguous()
        assert tensor.data_ptr() != live[name].data_ptr()
