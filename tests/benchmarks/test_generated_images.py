import hashlib

from PIL import Image


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.jpg")
    }


def test_the_same_images_are_drawn_each_time_and_no_two_are_equal(tmp_path):
    from generated_images import CLASSES, write

    for name in ("a", "b"):
        write(tmp_path / name, 23, 48)
    drawn = digests(tmp_path / "a")
    assert drawn == digests(tmp_path / "b")
    assert len(set(drawn.values())) == 23
    assert {path.split("/")[0] for path in drawn} == set(CLASSES)
    with Image.open(next((tmp_path / "a").rglob("*.jpg"))) as image:
        assert image.size == (48, 48)
        assert image.format == "JPEG"
