import os
import shutil

import pytest
from PIL import Image

from evoft.errors import DataError
from evoft.training.data import FilePixels, read_images
from evoft.training.data.folders import find_in_folder


def refused(source, *words, **settings):
    with pytest.raises(DataError) as caught:
        read_images(source, seed=0, **settings)
    for word in words:
        assert str(word) in str(caught.value)
    assert "\n" not in str(caught.value)


def names(images, split):
    assert isinstance(images.pixels, FilePixels)
    return {os.path.relpath(images.pixels.paths[i], images.source) for i in images.indices(split)}


class TestWithoutSplits:
    def test_val_and_test_are_split_off(self, fill, tmp_path):
        images = read_images(fill(tmp_path / "pets", {"cat": 10, "dog": 20}), seed=3)
        assert images.name == "pets"
        assert images.source == str(tmp_path / "pets")
        assert images.classes == ("cat", "dog")
        assert images.counts() == {"train": 18, "val": 6, "test": 6}
        assert images.notes == (
            "val and test were split off train: 20% and 20% of it, each class at its share, seed 3",
        )

    def test_shares(self, fill, tmp_path):
        root = fill(tmp_path, {"a": 10, "b": 10})
        images = read_images(root, seed=0, val_share=0.1, test_share=0.3)
        assert images.counts() == {"train": 12, "val": 2, "test": 6}

    def test_integer_names_come_in_their_order(self, fill, tmp_path):
        root = fill(tmp_path, {"10": 3, "2": 3, "x": 3, "-1": 3})
        assert read_images(root, seed=0).classes == ("-1", "2", "10", "x")

    def test_what_is_no_image_is_passed_over_and_counted(self, fill, tmp_path):
        root = fill(tmp_path, {"a": 3, "b": 3})
        for name in ("Thumbs.db", ".DS_Store", "notes.txt", ".hidden.png"):
            (root / "a" / name).write_bytes(b"x")
        (root / "README.md").write_bytes(b"x")
        (root / ".git").mkdir()
        shutil.copy(root / "a" / "0.png", root / "cover.png")
        images = read_images(root, seed=0)
        assert len(images) == 6
        assert images.notes[:2] == (
            "files that are no images were passed over: 5",
            "images outside the class folders were passed over: 1",
        )

    def test_images_that_cannot_be_read_are_counted_by_their_endings(self, fill, tmp_path):
        root = fill(tmp_path, {"a": 3, "b": 3})
        for name in ("a/1.HEIC", "a/2.heic", "b/1.avif", "b/.hidden.heif", "b/notes.txt"):
            (root / name).write_bytes(b"x")
        shutil.copytree(root / "a", root / "__MACOSX" / "a")
        found = find_in_folder(str(root))
        assert found.classes == ("a", "b")
        assert found.notes == (
            "files that are no images were passed over: 5",
            "images that evoft cannot read are among them: 1 .avif, 2 .heic; convert them to PNG",
        )

    def test_a_jpeg_as_browsers_save_it_is_read(self, fill, tmp_path):
        root = fill(tmp_path, {"a": 3, "b": 3})
        Image.new("RGB", (8, 8), (1, 200, 3)).save(root / "a" / "saved.jfif", "JPEG")
        assert len(read_images(root, seed=0)) == 7

    def test_a_relative_path_and_a_link(self, fill, tmp_path, monkeypatch):
        fill(tmp_path / "real", {"a": 3, "b": 3})
        (tmp_path / "linked" / "a").mkdir(parents=True)
        for i in range(3):
            (tmp_path / "linked" / "a" / f"{i}.png").symlink_to(tmp_path / f"real/a/{i}.png")
        (tmp_path / "linked" / "b").symlink_to(tmp_path / "real" / "b")
        monkeypatch.chdir(tmp_path)
        linked = read_images("linked", seed=0)
        assert linked.source == str(tmp_path / "linked")
        assert linked.fingerprint == read_images("./real/", seed=0).fingerprint

    def test_progress(self, fill, tmp_path):
        seen: list[int] = []

        def progress(done: int, total: int) -> None:
            assert total == 40
            seen.append(done)

        read_images(fill(tmp_path, {"a": 20, "b": 20}), seed=0, progress=progress)
        assert seen[-1] == 40
        assert seen == sorted(seen)


class TestWithSplits:
    def test_they_are_kept(self, fill, tmp_path):
        root = fill(
            tmp_path,
            {"train/a": 2, "train/b": 2, "valid/a": 1, "valid/b": 1, "Test/a": 1, "Test/b": 1},
        )
        images = read_images(root, seed=0)
        assert images.counts() == {"train": 4, "val": 2, "test": 2}
        assert names(images, "val") == {"valid/a/0.png", "valid/b/0.png"}
        assert images.notes == ()

    @pytest.mark.parametrize(
        ("given", "made", "counts"),
        [
            ("test", "val", {"train": 16, "val": 4, "test": 2}),
            ("validation", "test", {"train": 16, "val": 2, "test": 4}),
        ],
    )
    def test_a_missing_one_is_split_off_train(self, fill, tmp_path, given, made, counts):
        folders = {"train/a": 10, "train/b": 10, f"{given}/a": 1, f"{given}/b": 1}
        images = read_images(fill(tmp_path, folders), seed=0)
        assert images.counts() == counts
        assert all(name.startswith("train/") for name in names(images, made))
        assert images.notes == (
            f"{made} was split off train: 20% of it, each class at its share, seed 0",
        )

    def test_a_pipe_is_no_image_whatever_its_name(self, fill, tmp_path):
        root = fill(tmp_path, {"a": 3, "b": 3})
        os.mkfifo(root / "a" / "pipe.png")
        (root / "b" / "link.png").symlink_to(root / "a" / "pipe.png")
        found = find_in_folder(str(root))
        assert len(found.labels) == 6
        assert found.notes == ("files that are no images were passed over: 2",)

    def test_train_alone_gives_both(self, fill, tmp_path):
        images = read_images(fill(tmp_path, {"train/a": 5, "train/b": 5}), seed=0)
        assert images.counts() == {"train": 6, "val": 2, "test": 2}

    def test_other_folders_beside_are_named(self, fill, tmp_path):
        root = fill(tmp_path, {"train/a": 5, "train/b": 5, "unlabelled": 2})
        assert (
            "folders that are no splits were passed over: unlabelled"
            in read_images(root, seed=0).notes
        )


class TestRefusals:
    def test_nothing_there(self, tmp_path):
        refused(tmp_path / "none", tmp_path / "none", "does not exist", "`digits`")

    def test_another_kind_of_file(self, tmp_path):
        (tmp_path / "a.txt").write_text("x")
        refused(tmp_path / "a.txt", "a.txt", ".csv")

    @pytest.mark.parametrize("folders", [(), ("a", "b")])
    def test_no_images(self, tmp_path, folders):
        for folder in folders:
            (tmp_path / folder).mkdir()
        refused(tmp_path, tmp_path, "no images")

    @pytest.mark.parametrize("beside", [{}, {"a": 0, "b": 0}])
    def test_images_without_class_folders(self, fill, tmp_path, beside):
        root = fill(tmp_path, {".": 3, **beside})
        refused(root, f"the images in {root}", str(root / "<class>"), "CSV")

    def test_single_class(self, fill, tmp_path):
        refused(fill(tmp_path, {"a": 5}), "single class", "`a`")

    def test_empty_class(self, fill, tmp_path):
        refused(fill(tmp_path, {"a": 5, "b": 5, "c": 0}), "`c`", "empty")

    def test_small_class(self, fill, tmp_path):
        refused(fill(tmp_path, {"a": 5, "b": 2}), "`b`", "at least 3", "has 2")

    def test_small_class_where_one_split_is_made(self, fill, tmp_path):
        root = fill(tmp_path, {"train/a": 2, "train/b": 1, "test/a": 1, "test/b": 1})
        refused(root, "`b`", "at least 2", "train, val")

    def test_a_folder_that_is_a_link_to_another_class_is_told_by_its_images(self, fill, tmp_path):
        root = fill(tmp_path, {"a": 4, "b": 5})
        (root / "c").symlink_to(root / "a")
        refused(root, "class `c`", "but has 0, and 4 that class `a` has too;")
        (root / "c").unlink()
        shutil.copytree(root / "b", root / "c")
        (root / "c" / "0.png").write_bytes((root / "a" / "0.png").read_bytes())
        words = "has 0, and 1 that class `a` has too, and 4 that class `b` has too;"
        refused(root, "class `c`", words)

    def test_copies_do_not_make_a_class_large_enough(self, fill, tmp_path):
        root = fill(tmp_path, {"a": 5, "b": 2})
        shutil.copy(root / "b" / "0.png", root / "b" / "copy.png")
        refused(root, "`b`", "at least 3 different images", "has 2")

    @pytest.mark.parametrize("lacking", ["train", "val", "test"])
    def test_a_class_that_one_split_lacks(self, fill, tmp_path, lacking):
        folders = {f"{s}/{c}": 2 for s in ("train", "val", "test") for c in "ab"}
        folders[f"{lacking}/b"] = 0
        refused(fill(tmp_path, folders), "`b`", f"no images in {lacking}")

    def test_no_train(self, fill, tmp_path):
        refused(fill(tmp_path, {"val/a": 2, "val/b": 2}), tmp_path / "train", "missing")

    def test_an_empty_split(self, fill, tmp_path):
        root = fill(tmp_path, {"train/a": 5, "train/b": 5, "val": 0})
        refused(root, tmp_path / "val", "remove it")

    def test_one_split_by_two_names(self, fill, tmp_path):
        root = fill(tmp_path, {f"{s}/{c}": 1 for s in ("train", "val", "valid") for c in "ab"})
        refused(root, tmp_path / "val", tmp_path / "valid", "merge")

    def test_images_too_deep(self, fill, tmp_path):
        root = fill(tmp_path, {"training/a": 3, "training/b": 3, "x": 3})
        refused(root, "training/a", "move", f"or give {root}/training if the classes are in there")

    @pytest.mark.parametrize("cut", [0, 1, 40])
    def test_an_image_that_cannot_be_decoded(self, fill, tmp_path, cut):
        root = fill(tmp_path, {"a": 5, "b": 5})
        whole = (root / "a" / "3.png").read_bytes()
        (root / "a" / "3.png").write_bytes(whole[: len(whole) * cut // 50])
        refused(root, root / "a" / "3.png", "take it out")

    @pytest.mark.parametrize(
        "ending", ["jpg", "jpeg", "png", "ppm", "bmp", "pgm", "tif", "tiff", "webp", "gif"]
    )
    def test_a_truncated_file_of_each_format(self, fill, paint, tmp_path, ending):
        root = fill(tmp_path, {"a": 5, "b": 5})
        path = paint(root / "b" / f"bad.{ending}", 99, height=64, width=64)
        read_images(root, seed=0)
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) * 3 // 4])
        refused(root, path, "take it out")

    def test_a_progressive_jpeg_cut_short(self, fill, tmp_path):
        root = fill(tmp_path, {"a": 5, "b": 5})
        path = root / "a" / "bad.jpg"
        Image.effect_noise((90, 90), 50).save(path, progressive=True, quality=95)
        path.write_bytes(path.read_bytes()[:-400])
        refused(root, path, "truncated")

    def test_of_several_bad_files_the_first_is_named(self, fill, tmp_path):
        root = fill(tmp_path, {"a": 50, "b": 50})
        for name in ("a/17.png", "b/3.png"):
            (root / name).write_bytes(b"nothing")
        refused(root, root / "a" / "17.png")

    def test_the_others_are_named_too(self, fill, tmp_path):
        root = fill(tmp_path, {"a": 50, "b": 50})
        bad = [root / "a" / f"{i}.png" for i in (0, 17, 49)] + [root / "b" / "3.png"]
        for path in bad:
            path.write_bytes(b"nothing")
        refused(root, *bad, "mend it or take it out; nor can these be used: ")
        for i in range(10):
            (root / "b" / f"{i}.png").write_bytes(b"nothing")
        refused(root, bad[0], root / "b" / "2.png", "and 7 more")

    def test_a_link_to_nothing(self, fill, tmp_path):
        root = fill(tmp_path, {"a": 5, "b": 5})
        (root / "a" / "gone.png").symlink_to(tmp_path / "nowhere.png")
        refused(root, root / "a" / "gone.png", "does not exist")

    def test_a_document_under_an_image_name(self, fill, tmp_path):
        root = fill(tmp_path, {"a": 5, "b": 5})
        (root / "a" / "page.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
        refused(root, root / "a" / "page.jpg", "not an image")

    def test_far_too_many_pixels(self, fill, tmp_path, monkeypatch):
        root = fill(tmp_path, {"a": 5, "b": 5})
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30)
        refused(root, root / "a" / "0.png", "too many pixels")

    def test_the_same_content_in_two_splits(self, fill, tmp_path):
        root = fill(tmp_path, {f"{s}/{c}": 3 for s in ("train", "test") for c in "ab"})
        shutil.copy(root / "train/a/1.png", root / "test/b/other name.png")
        refused(root, root / "train/a/1.png", root / "test/b/other name.png", "same image")
        shutil.copy(root / "train/a/2.png", root / "test/a/2 again.png")
        shutil.copy(root / "train/a/2.png", root / "test/b/2 again.png")
        refused(root, "out of one split; 2 more are in two splits")

    @pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root reads everything")
    def test_a_file_that_may_not_be_read(self, fill, tmp_path):
        root = fill(tmp_path, {"a": 5, "b": 5})
        (root / "a" / "0.png").chmod(0)
        refused(root, root / "a" / "0.png", "cannot be read")
