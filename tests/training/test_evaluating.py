"""An exported model on many images, and on labelled ones."""

import csv
import json
import shutil

import numpy as np
import pytest
import timm
from PIL import Image
from safetensors.torch import load_file, save_file

from evoft.errors import BackboneError, DataError
from evoft.search.space import SearchSpace
from evoft.settings import TrainingSettings
from evoft.training.data import read_images
from evoft.training.default_space import DEFAULT_GENES
from evoft.training.evaluating import evaluate_model
from evoft.training.exported import open_exported
from evoft.training.prediction import predict_files
from evoft.trial import Trial

LABELS = ["red", "green", "blue"]


@pytest.fixture(scope="module")
def model(make_tuner, tmp_path_factory):
    """A model whose ten classes are digits."""
    root = tmp_path_factory.mktemp("model")
    tuner = make_tuner(TrainingSettings(epochs=1), root / "checkpoints", DEFAULT_GENES)
    trial = Trial(0, SearchSpace.from_dict(DEFAULT_GENES).complete({"lr": 1e-3}), 7)
    tuner.evaluate(trial)
    labels = [str(i) for i in range(10)]
    tuner.export([(trial.genome, trial.key)], root / "model", labels, "", {})
    return root / "model"


@pytest.fixture
def numbers(tmp_path):
    """A folder of class folders, some of whose classes are the model's."""
    digits = read_images("digits", seed=0)
    root = tmp_path / "numbers"
    for index in range(40):
        label = digits.classes[digits.labels[index]]
        folder = root / label
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(digits.pixels.array[index]).resize((32, 32)).save(folder / f"{index}.png")
    return root


def with_origin(model, folder, **changes):
    """Copy a model that says on what data it was trained."""
    images = read_images("digits", seed=3, val_share=0.2, test_share=0.1)
    origin = {
        "name": "digits", "images": len(images), "fingerprint": images.fingerprint,
        "content": images.content, "seed": 3, "val_share": 0.2, "test_share": 0.1,
        "max_train_images": None,
    }  # fmt: skip
    shutil.copytree(model, folder)
    (folder / "metrics.json").write_text(json.dumps({"data": origin | changes}))
    return folder, images


class TestPredict:
    def test_a_model_of_no_numbers_is_told_and_not_asked(self, model, numbers, tmp_path):
        broken = tmp_path / "broken"
        shutil.copytree(model, broken)
        weights = load_file(broken / "model.safetensors")
        name = next(name for name in weights if name.endswith("weight"))
        weights[name] = weights[name] * float("nan")
        save_file(weights, broken / "model.safetensors", {"format": "pt"})
        for ask in (lambda: predict_files(broken, [str(numbers)]),
                    lambda: evaluate_model(broken, str(numbers))):  # fmt: skip
            with pytest.raises(BackboneError, match="gives no finite numbers"):
                ask()

    def test_a_folder_stands_for_all_images_in_and_below_it(self, model, numbers):
        (numbers / "notes.txt").write_text("no image")
        (numbers / "loop").symlink_to(numbers)
        files = sorted(str(path) for path in numbers.rglob("*.png") if "loop" not in path.parts)
        predictions = predict_files(model, [str(numbers)])
        assert sorted(p.image for p in predictions) == files
        alone = {p.image: p for f in files for p in predict_files(model, [f])}
        for prediction in predictions:
            one = alone[prediction.image]
            assert prediction.labels == one.labels
            assert prediction.probabilities == pytest.approx(one.probabilities, abs=1e-5)

    def test_the_most_probable_come_first(self, model, numbers):
        file = str(next(numbers.rglob("*.png")))
        (three,) = predict_files(model, [file], top=3)
        (every,) = predict_files(model, [file], top=99)
        assert len(three.labels) == 3
        assert three.labels == every.labels[:3]
        assert sorted(every.labels) == [str(i) for i in range(10)]
        assert list(every.probabilities) == sorted(every.probabilities, reverse=True)
        assert sum(every.probabilities) == pytest.approx(1, abs=1e-5)

    def test_a_folder_without_images(self, model, tmp_path):
        with pytest.raises(DataError, match="no image in"):
            predict_files(model, [str(tmp_path)])


class TestEvaluate:
    def test_every_image_beside_its_label(self, model, numbers):
        evaluation = evaluate_model(model, str(numbers))
        said = {p.image: p for p in predict_files(model, [str(numbers)])}
        assert evaluation.split == "all"
        assert not evaluation.trained_on
        assert set(evaluation.images) == set(said)
        for image, truth, taken_for, probability in zip(
            evaluation.images, evaluation.truth, evaluation.taken_for, evaluation.probability,
            strict=True,
        ):  # fmt: skip
            assert evaluation.labels[truth] == image.split("/")[-2]
            assert evaluation.labels[taken_for] == said[image].labels[0]
            assert probability == pytest.approx(said[image].probabilities[0], abs=1e-5)

    def test_a_split_of_a_csv(self, model, numbers, tmp_path):
        files = sorted(numbers.rglob("*.png"))
        table = tmp_path / "table.csv"
        with open(table, "w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["filepath", "label", "split"])
            for i, path in enumerate(files):
                rows.writerow([path, path.parent.name, ["train", "val", "test"][i % 3]])
        assert len(evaluate_model(model, str(table)).images) == len(files[2::3])
        val = evaluate_model(model, str(table), "val")
        assert [image.split(" ")[0] for image in val.images] == [str(f) for f in files[1::3]]
        assert len(evaluate_model(model, str(table), "all").images) == len(files)

    def test_what_it_was_trained_on_is_split_as_it_was(self, model, tmp_path):
        folder, images = with_origin(model, tmp_path / "told")
        evaluation = evaluate_model(folder, "digits")
        test = images.indices("test")
        assert evaluation.trained_on
        assert evaluation.split == "test"
        assert evaluation.truth.tolist() == images.labels[test].tolist()
        assert evaluation.images == tuple(f"image {i} of digits" for i in test)
        assert len(evaluate_model(folder, "digits", "all").images) == len(images)

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"data": "photos"}', '{"data": {}}'])
    def test_where_nothing_says_what_it_was_trained_on(self, model, numbers, tmp_path, text):
        folder, _ = with_origin(model, tmp_path / "told")
        (folder / "metrics.json").write_text(text)
        assert not evaluate_model(folder, str(numbers)).trained_on

    def test_other_data_is_not_taken_for_it(self, model, numbers, tmp_path):
        folder, _ = with_origin(model, tmp_path / "told", images=1)
        evaluation = evaluate_model(folder, str(numbers))
        assert not evaluation.trained_on
        assert evaluation.split == "all"

    def test_images_that_it_was_trained_on_in_another_order(self, model, tmp_path):
        folder, _ = with_origin(model, tmp_path / "told", fingerprint="another")
        with pytest.raises(DataError, match="another order"):
            evaluate_model(folder, "digits")

    def test_an_image_that_cannot_be_read(self, model, numbers):
        broken = next(numbers.rglob("*.png"))
        broken.write_bytes(b"no image")
        evaluation = evaluate_model(model, str(numbers))
        assert len(evaluation.images) == 39
        assert str(broken) not in evaluation.images
        assert [str(broken) in str(error) for error in evaluation.unusable] == [True]
        for path in numbers.rglob("*.png"):
            path.write_bytes(b"no image")
        with pytest.raises(DataError, match="nor can these be used"):
            evaluate_model(model, str(numbers))

    def test_refusals(self, model, numbers, tmp_path):
        (numbers / "3").rename(numbers / "three")
        with pytest.raises(DataError, match=r"images of `three`, but the model in .* knows `0`"):
            evaluate_model(model, str(numbers))
        shutil.rmtree(numbers / "three")
        with pytest.raises(DataError, match=r"no images in val: give another --split"):
            evaluate_model(model, str(numbers), "val")
        (tmp_path / "empty").mkdir()
        with pytest.raises(DataError, match="has no images"):
            evaluate_model(model, str(tmp_path / "empty"))


def test_arrays_are_seen_as_files_are(model, numbers, tmp_path):
    files = sorted(numbers.rglob("*.png"))
    np.savez(
        tmp_path / "numbers.npz",
        x=np.stack([np.asarray(Image.open(f)) for f in files]),
        y=np.array([f.parent.name for f in files]),
    )
    from_files = evaluate_model(model, str(numbers))
    from_arrays = evaluate_model(model, str(tmp_path / "numbers.npz"))
    seen = dict(zip(from_files.images, from_files.taken_for, strict=True))
    assert [seen[str(f)] for f in files] == from_arrays.taken_for.tolist()


class TestModelsOfOthers:
    """Folders in the hub's format that evoft did not write."""

    @staticmethod
    def labels(folder, classes, names):
        made = timm.create_model("test_vit", num_classes=classes)
        told = {"label_names": names} if names else None
        timm.models.save_for_hf(made, folder, safe_serialization=True, model_config=told)
        return open_exported(folder).labels

    def test_names_of_classes_by_their_numbers(self, tmp_path):
        assert self.labels(tmp_path, 3, {"0": "cat", "2": "cow"}) == ("cat", "1", "cow")

    def test_names_that_are_too_few(self, tmp_path):
        with pytest.raises(BackboneError, match=r"has 5 classes, but `label_names` .* names 2"):
            self.labels(tmp_path, 5, ["cat", "dog"])

    def test_no_classifier(self, tmp_path):
        with pytest.raises(BackboneError, match="has no classifier"):
            self.labels(tmp_path, 0, None)

    def test_a_file(self, tmp_path):
        (tmp_path / "a.h5").touch()
        with pytest.raises(BackboneError, match=r"a\.h5 is a file, not a model's folder: give a"):
            open_exported(tmp_path / "a.h5")
