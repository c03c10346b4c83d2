"""``evoft evaluate`` and ``evoft predict`` on folders of images."""

import csv
import io
import json
import shutil
from pathlib import Path

import evoft


def test_the_test_images_class_by_class(cli, finished, pets, tmp_path):
    best = finished.file.with_suffix(".best")
    verdict = evoft.Population.open(finished.file).verdicts[-1]
    done = cli("evaluate", best, pets, "--format", "json", cwd=finished.folder)
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["split"] == "test"
    assert told["trained_on"]
    assert told["images"] == 24
    assert told["accuracy"]["estimate"] == verdict.winner_accuracy
    assert told["labels"] == ["cat", "dog", "eel"]
    assert [sum(row) for row in told["confusion"]] == [8, 8, 8]
    assert {row["class"]: row["images"] for row in told["classes"]} == dict.fromkeys(
        ("cat", "dog", "eel"), 8
    )

    table = cli("evaluate", best, pets, cwd=finished.folder)
    assert table.code == 0, table.err
    for name in told["labels"]:
        assert f"\n{name} " in table.out
    assert "pets: 24 images of test, split as for the model's training" in table.out
    assert f"\naccuracy           {100 * verdict.winner_accuracy:.1f} % (" in table.out
    assert "Always saying the largest class is right on 33.3 % of them." in table.out

    wrong = cli("evaluate", best, pets, "--wrong", "--format", "csv", cwd=finished.folder)
    rows = list(csv.DictReader(io.StringIO(wrong.out)))
    assert wrong.out.startswith("image,label,taken_for,probability\n")
    assert len(rows) == 24 - verdict.both - verdict.only_winner
    assert [float(row["probability"]) for row in rows] == sorted(
        (float(row["probability"]) for row in rows), reverse=True
    )
    for row in rows:
        assert row["image"].split("/")[-2] == row["label"] != row["taken_for"]

    right = tmp_path / "right"
    for path in {*(pets / "test").glob("*/*")} - {Path(row["image"]) for row in rows}:
        (right / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, right / path.parent.name)
    count = len([*right.glob("*/*")])
    assert count == 24 - len(rows)
    done = cli("evaluate", best, right, "--wrong", cwd=tmp_path)
    assert done.out == f"none of {count} images is taken for another class\n"


def test_folders_of_images_and_further_classes(cli, finished, pets, tmp_path):
    best = finished.file.with_suffix(".best")
    done = cli("predict", best, pets / "val", "--top", 2, "--format", "csv", cwd=tmp_path)
    assert done.code == 0, done.err
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert len(rows) == 24
    assert list(rows[0]) == ["image", "label", "probability", "label_2", "probability_2"]
    for row in rows:
        assert float(row["probability"]) >= float(row["probability_2"])
        assert row["label"] != row["label_2"]


def test_refusals(cli, finished, pets, tmp_path):
    best = finished.file.with_suffix(".best")
    others = tmp_path / "others"
    shutil.copytree(pets / "test", others)
    (others / "eel").rename(others / "emu")
    cli("evaluate", best, others, cwd=tmp_path).refused(3, "`emu`", "`cat`, `dog`, `eel`")
    cli("evaluate", best, "nowhere", cwd=tmp_path).refused(3, "nowhere does not exist")
    cli("evaluate", pets, pets, cwd=tmp_path).refused(4, "holds no model")
    (others / "emu").rename(others / "eel")
    broken = others / "eel" / "0.png"
    broken.write_bytes(b"no image")
    done = cli("evaluate", best, others, cwd=tmp_path)
    done.refused(3, str(broken), "mend it or take it out")
    assert "others: 23 images\n" in done.out
