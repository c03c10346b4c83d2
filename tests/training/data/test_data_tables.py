import shutil

import pytest

from evoft.errors import DataError
from evoft.training.data import FilePixels, read_images


@pytest.fixture
def table(fill, tmp_path):
    """``table(text)`` writes a CSV beside images ``p/0.png`` to ``p/9.png`` and ``q/...``."""
    fill(tmp_path / "images", {"p": 10, "q": 10})

    def write(text, encoding="utf-8"):
        path = tmp_path / "labels.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


def rows(*splits):
    """All images of both classes, each class over ``splits`` in turn."""
    lines = ["filepath,label,split" if splits else "filepath,label"]
    for c in "pq":
        for i in range(10):
            tail = f",{splits[i % len(splits)]}" if splits else ""
            lines.append(f"images/{c}/{i}.png,{c}{tail}")
    return lines


def refused(path, *words):
    with pytest.raises(DataError) as caught:
        read_images(path, seed=0)
    for word in words:
        assert str(word) in str(caught.value)


def test_without_splits(table, tmp_path):
    images = read_images(table("\n".join(rows())), seed=0)
    assert images.name == "labels"
    assert images.source == str(tmp_path / "labels.csv")
    assert images.classes == ("p", "q")
    assert images.counts() == {"train": 12, "val": 4, "test": 4}


def test_with_splits_as_spreadsheets_write_them(table, tmp_path):
    lines = rows("train", "Valid", "test ")
    text = "\r\n".join([*lines, "", ",,"])
    images = read_images(table(text, "utf-8-sig"), seed=0)
    assert images.counts() == {"train": 8, "val": 6, "test": 6}
    assert isinstance(images.pixels, FilePixels)
    assert images.pixels.paths[0] == str(tmp_path / "images/p/0.png")


def test_a_missing_split_is_made(table):
    images = read_images(table("\n".join(rows("train", "train", "train", "train", "test"))), seed=0)
    assert images.counts() == {"train": 12, "val": 4, "test": 4}


def test_columns_in_any_order_quotes_and_others(table, tmp_path):
    lines = ["who,label,filepath"]
    lines += [f'me,"cat, {c}","images/{c}/{i}.png"' for c in "pq" for i in range(10)]
    lines[1] = lines[1].replace("images", str(tmp_path / "images"))
    images = read_images(table("\n".join(lines)), seed=0)
    assert images.classes == ("cat, p", "cat, q")
    assert "columns that evoft does not use: who" in images.notes


def test_a_path_may_begin_with_the_users_home(table, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    lines = rows("train", "val", "test")
    lines[1] = f"~/{lines[1]}"
    lines[2] = f"./{lines[2]}"
    images = read_images(table("\n".join(lines)), seed=0)
    assert images.pixels.paths[:2] == tuple(str(tmp_path / f"images/p/{i}.png") for i in range(2))
    refused(table("\n".join([*lines, "~/none.png,p,train"])), f"{tmp_path}/none.png, which is no")


def test_a_file_named_twice_in_one_split_is_fine(table):
    lines = rows("train", "val", "test")
    images = read_images(table("\n".join([*lines, lines[1]])), seed=0)
    assert len(images) == 21


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("path,label", ("filepath,label[,split]", "path,label", "add `filepath`")),
        ("filepath,class", ("add `label`",)),
        ("images/p/0.png,p", ("add `filepath`",)),
        ("filepath,label,label", ("`label` twice",)),
        ("filepath;label", ("filepath;label: separate them by commas, not by ';'",)),
        ("filepath\tlabel", ("separate them by commas, not by '\\t'",)),
        ("FilePath,label", ("or rename the column that holds it",)),
    ],
)
def test_columns_refused(table, header, words):
    refused(table("\n".join([header, *rows()[1:]])), "labels.csv", *words)


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_an_empty_file(table, text):
    refused(table(text), "labels.csv", "has none")


def test_a_header_alone(table):
    refused(table("filepath,label\n"), "labels.csv", "no images")


def test_all_missing_files_are_told(table):
    text = "\n".join([*rows(), *(f"images/p/none{i}.png,p" for i in range(3))])
    words = (
        "line 22",
        "none0.png, which is no file",
        "nor can these be used",
        "none1.png",
        "none2",
    )
    refused(table(text), *words)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("images/p/0.png,,train", ("line 22", "no label")),
        ("images/p/0.png", ("line 22", "no label")),
        (",p,train", ("line 22", "no filepath")),
        ("images/p/0.png,p,holdout", ("line 22", "'holdout'", "train, val or test")),
        ("images/p/0.png,p,", ("line 22", "''")),
        ("images/p/none.png,p,train", ("line 22", "images/p/none.png", "no file")),
        ("images/p,p,train", ("line 22", "no file")),
        ("images/p/0.png,p,test", ("images/p/0.png", "line 2 ", "line 22 ", "same image")),
        ("images/p/../p/0.png,q,train", ("two labels", "`p` in line 2", "`q` in line 22")),
        ("images/q/copy.png,q,test", ("images/q/copy.png", "images/q/0.png", "same image")),
        ("images/p/text.png,p,train", ("text.png", "not an image")),
        ('images/p/0.png,"p,train', ("UTF-8",)),
        ("images/p/0.png,p, small,train", ("line 22", "4 cells", "header has 3", "quotes")),
    ],
)
def test_a_line_refused(table, tmp_path, line, words):
    shutil.copy(tmp_path / "images/q/0.png", tmp_path / "images/q/copy.png")
    (tmp_path / "images/p/text.png").write_text("text")
    refused(table("\n".join([*rows("train", "val", "test"), line])), *words)


def test_no_train(table):
    refused(table("\n".join(rows("val", "test"))), "labels.csv", "train")


def test_a_class_that_a_split_lacks(table):
    lines = [line.replace("q,test", "q,val") for line in rows("train", "val", "test")]
    refused(table("\n".join(lines)), "`q`", "test")


def test_another_encoding(table):
    refused(table("\n".join(rows()).replace(",p", ",\xe9"), "latin-1"), "UTF-8")


def test_empty_cells_beyond_the_header_are_let_alone(table):
    lines = rows("train", "val", "test")
    images = read_images(
        table("\n".join([lines[0], *(f"{line},, " for line in lines[1:])])), seed=0
    )
    assert images.counts() == {"train": 8, "val": 6, "test": 6}
