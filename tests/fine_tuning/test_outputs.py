"""Files of a run that would lie in each other's way, or be read as images."""

import os
import re

import pytest

from evoft.cli.progress import require_output
from evoft.errors import StorageError
from evoft.fine_tuning.outputs import require_free


@pytest.fixture(autouse=True)
def _work(tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def test_an_empty_folder_is_written_in_its_parent(tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    require_free(tmp_path / "out")
    monkeypatch.setattr(os, "access", lambda path, _: path != tmp_path)
    with pytest.raises(StorageError, match="cannot be written to, so no model can be exported"):
        require_free(tmp_path / "out")


@pytest.mark.parametrize(
    "output", ["out", "out/", "../work/out", ".", "out/p.checkpoints", "out/p.checkpoints/x"]
)
def test_a_model_has_no_place_where_its_population_goes(tmp_path, output):
    file = tmp_path / "work" / "out" / "p.h5"
    require_output(file, None, "digits", new=True)
    require_output(file, file.with_suffix(".x"), "digits", new=True)
    with pytest.raises(StorageError, match=r"the model cannot go to .*has its files there: name a"):
        require_output(file, tmp_path / "work" / output, "digits", new=True)


@pytest.fixture
def images(tmp_path):
    """Folders of images: with splits, and without."""
    for folder in ("split/train/cat", "split/val/cat", "flat/cat", "flat/dog"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "flat")
    return tmp_path


@pytest.mark.parametrize(
    ("data", "file", "output"),
    [
        ("flat", "flat/p.h5", "out"),
        ("link", "flat/populations/p.h5", "out"),
        ("flat", "link/p.h5", "out"),
        ("flat", "p.h5", "flat/best"),
        ("split", "split/train/p.h5", "out"),
        ("split", "p.h5", "split/test"),
    ],
)
def test_nothing_is_written_where_it_would_be_read_as_a_class(images, data, file, output):
    what = "the model" if output != "out" else "the population"
    words = re.escape(f"{what} cannot go to {images}/") + ".*a class of images: name another place"
    with pytest.raises(StorageError, match=words):
        require_output(images / file, images / output, str(images / data), new=True)


@pytest.mark.parametrize(
    ("data", "file"),
    [
        ("split", "split/p.h5"),
        ("split", "split/populations/p.h5"),
        ("flat", "flat/.evoft/p.h5"),
        ("flat", "flat.h5"),
        ("none", "none/p.h5"),
        ("flat/cat.csv", "flat/p.h5"),
    ],
)
def test_elsewhere_it_may_be(images, data, file):
    require_output(images / file, None, str(images / data), new=True)


def test_a_population_that_is_there_is_where_it_is_but_its_model_is_not_yet(images):
    file, data = images / "flat" / "p.h5", str(images / "flat")
    require_output(file, images / "out", data, new=False)
    for output in (None, images / "link" / "cat" / "best"):
        with pytest.raises(StorageError, match=r"^the model cannot go to .* place with --output$"):
            require_output(file, output, data, new=False)
