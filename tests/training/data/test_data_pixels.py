import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from evoft.errors import BackboneError, DataError
from evoft.settings import INTERPOLATIONS
from evoft.training.data import Preprocessing, decode, load_one, read_images
from evoft.training.data.pictures import load_picture
from evoft.training.data.preprocessing import fit

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def wanted(img_size=(32, 32), interpolation="bicubic", crop_pct=0.875, crop_mode="center"):
    return Preprocessing(img_size, MEAN, STD, interpolation, crop_pct, crop_mode)


def noise(height, width):
    return np.random.default_rng(height * 1000 + width).integers(
        0, 256, (height, width, 3), dtype=np.uint8
    )


def fitted(array, preprocessing):
    out = np.full((*preprocessing.img_size, 3), 77, np.uint8)
    fit(Image.fromarray(array), preprocessing, out, "it")
    return out


@pytest.fixture(scope="module")
def timm_fitted():
    data = pytest.importorskip("timm.data")

    def to(array, p):
        transform = data.create_transform(
            (3, *p.img_size),
            is_training=False,
            use_prefetcher=True,
            interpolation=p.interpolation,
            mean=p.mean,
            std=p.std,
            crop_pct=p.crop_pct,
            crop_mode=p.crop_mode,
        )
        return transform(Image.fromarray(array)).numpy().transpose(1, 2, 0)

    return to


class TestAgreementWithTimm:
    @given(
        size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
        img_size=st.one_of(
            st.integers(8, 64).map(lambda side: (side, side)),
            st.tuples(st.integers(8, 64), st.integers(8, 64)),
        ),
        interpolation=st.sampled_from(INTERPOLATIONS),
        crop_pct=st.sampled_from([1.0, 0.965, 0.95, 0.9, 0.875, 0.5]),
        crop_mode=st.sampled_from(["center", "squash", "border"]),
    )
    @settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    def test_to_the_pixel(self, timm_fitted, size, img_size, interpolation, crop_pct, crop_mode):
        p = wanted(img_size, interpolation, crop_pct, crop_mode)
        array = noise(*size)
        ratio = max(size[0] / img_size[0], size[1] / img_size[1]) * crop_pct
        if crop_mode == "border" and min(size) / ratio < 2:
            return  # timm resizes such an image to a side of 0, and fails
        np.testing.assert_array_equal(fitted(array, p), timm_fitted(array, p))

    @pytest.mark.parametrize("size", [(224, 224), (333, 500), (500, 333), (100, 100)])
    @pytest.mark.parametrize("crop_mode", ["center", "squash", "border"])
    @pytest.mark.parametrize("side", [96, 224])
    def test_usual_sizes(self, timm_fitted, size, crop_mode, side):
        p = wanted((side, side), crop_mode=crop_mode)
        np.testing.assert_array_equal(fitted(noise(*size), p), timm_fitted(noise(*size), p))


class TestPreprocessing:
    def test_json(self):
        p = wanted((224, 160))
        assert Preprocessing.from_dict(json.loads(json.dumps(p.to_dict()))) == p

    @pytest.mark.parametrize(
        "values",
        [
            {"img_size": (0, 4)},
            {"interpolation": "random"},
            {"crop_pct": 0},
            {"crop_pct": 1.1},
            {"crop_mode": "corner"},
        ],
    )
    def test_refused(self, values):
        with pytest.raises(BackboneError, match=next(iter(values)).replace("img_", "")):
            wanted(**values)

    def test_a_long_thin_image(self, monkeypatch):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
        with pytest.raises(DataError, match="it is too long and thin"):
            fitted(noise(1, 500), wanted())
        assert fitted(noise(1, 500), wanted(crop_mode="border")).shape == (32, 32, 3)


class TestFormats:
    def test_lossless_formats(self, paint, tmp_path):
        for ending in ("png", "ppm", "bmp", "tif", "tiff"):
            picture = load_picture(paint(tmp_path / f"x.{ending}", 1, height=5, width=7))
            assert picture.mode == "RGB"
            np.testing.assert_array_equal(
                picture, load_picture(paint(tmp_path / "y.png", 1, height=5, width=7))
            )

    @pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "PA", "RGBA"])
    def test_modes_without_see_through_parts(self, tmp_path, mode):
        image = Image.fromarray(noise(6, 6)).convert(mode)
        path = tmp_path / ("x.tif" if mode == "PA" else "x.png")
        image.save(path)
        np.testing.assert_array_equal(load_picture(path), image.convert("RGB"))

    def test_alpha_is_laid_over_white(self, tmp_path):
        pixels = np.zeros((1, 3, 4), np.uint8)
        pixels[0, :, 0] = 200
        pixels[0, :, 3] = 0, 128, 255
        Image.fromarray(pixels).save(tmp_path / "x.png")
        seen = np.asarray(load_picture(tmp_path / "x.png"))[0]
        assert seen.tolist() == [[255, 255, 255], [227, 127, 127], [200, 0, 0]]

    @pytest.mark.parametrize(
        ("mode", "transparent"), [("P", 0), ("P", b"\0\xff"), ("L", 0), ("RGB", (0, 0, 0))]
    )
    def test_a_transparent_colour_is_white(self, tmp_path, mode, transparent):
        image = Image.new(mode, (2, 1), 0)
        image.putpixel((1, 0), (1, 2, 3) if mode == "RGB" else 1)
        if mode == "P":
            image.putpalette([9, 9, 9, 50, 60, 70])
        image.save(tmp_path / "x.png", transparency=transparent)
        seen = np.asarray(load_picture(tmp_path / "x.png"))[0].tolist()
        assert seen[0] == [255, 255, 255]
        assert seen[1] != [255, 255, 255]

    @pytest.mark.parametrize("ending", ["png", "tif", "pgm"])
    def test_16_bits(self, tmp_path, ending):
        grey = np.array([[0, 127, 128, 257, 32767, 65535]], np.uint16)
        Image.fromarray(grey).save(tmp_path / f"x.{ending}")
        seen = np.asarray(load_picture(tmp_path / f"x.{ending}"))
        assert seen[0, :, 0].tolist() == [0, 0, 0, 1, 127, 255]
        assert (seen == seen[..., :1]).all()

    def test_more_than_16_bits(self, tmp_path):
        Image.fromarray(np.array([[0, 70000]], np.int32)).save(tmp_path / "x.tif")
        with pytest.raises(DataError, match="more than 16 bits"):
            load_picture(tmp_path / "x.tif")

    def test_floats(self, tmp_path):
        Image.fromarray(np.zeros((2, 2), np.float32)).save(tmp_path / "x.tif")
        with pytest.raises(DataError, match="floating-point"):
            load_picture(tmp_path / "x.tif")

    def test_cmyk(self, tmp_path):
        Image.new("RGB", (8, 8), (255, 0, 0)).convert("CMYK").save(tmp_path / "x.jpg", quality=100)
        red, green, blue = np.asarray(load_picture(tmp_path / "x.jpg"))[4, 4]
        assert (red > 240, green < 15, blue < 15) == (True, True, True)

    def test_the_first_frame_of_an_animation(self, tmp_path):
        frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue", "lime")]
        for ending in ("gif", "png", "webp"):
            path = tmp_path / f"x.{ending}"
            frames[0].save(path, save_all=True, append_images=frames[1:], duration=50)
            red, green, blue = np.asarray(load_picture(path))[2, 2]
            assert (red > 240, green < 15, blue < 15) == (True, True, True)

    def test_the_first_picture_of_a_stereo_camera(self, tmp_path):
        frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
        frames[0].save(tmp_path / "x.jpg", format="MPO", save_all=True, append_images=frames[1:])
        red, green, blue = np.asarray(load_picture(tmp_path / "x.jpg"))[2, 2]
        assert (red > 240, green < 15, blue < 15) == (True, True, True)

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_orientation(self, tmp_path, orientation):
        exif = Image.Exif()
        exif[0x0112] = orientation
        upright = noise(3, 5)
        Image.fromarray(upright).save(tmp_path / "x.png", exif=exif)
        seen = np.asarray(load_picture(tmp_path / "x.png"))
        turns = {1: 0, 2: 0, 3: 2, 4: 2, 5: 3, 6: 3, 7: 1, 8: 1}[orientation]
        expected = np.rot90(upright, turns)
        if orientation in (2, 4, 5, 7):
            expected = expected[:, ::-1]
        np.testing.assert_array_equal(seen, expected)

    def test_an_orientation_that_cannot_be_read(self, tmp_path):
        upright = noise(3, 5)
        Image.fromarray(upright).save(tmp_path / "x.png", exif=b"Exif\0\0garbage")
        np.testing.assert_array_equal(load_picture(tmp_path / "x.png"), upright)


class TestDecode:
    @pytest.mark.parametrize("threads", [1, 3])
    def test_files(self, fill, tmp_path, threads):
        images = read_images(fill(tmp_path, {"a": 30, "b": 30}), seed=0)
        p = wanted((24, 32))
        out = np.empty((60, 24, 32, 3), np.uint8)
        seen: list[int] = []

        def progress(done: int, total: int) -> None:
            assert total == 60
            seen.append(done)

        decode(images, p, out, threads=threads, progress=progress)
        assert seen[-1] == 60
        for path, pixels in zip(images.pixels.paths, out, strict=True):
            np.testing.assert_array_equal(load_one(path, p), pixels)

    def test_arrays_of_grey_and_colour(self, tmp_path):
        grey = np.random.default_rng(0).integers(0, 256, (12, 9, 7), dtype=np.uint8)
        colour = np.repeat(grey[..., None], 3, axis=3)
        outs = []
        for x in (grey, colour):
            np.savez(tmp_path / "x.npz", x=x, y=np.arange(12) % 2)
            out = np.empty((12, 9, 7, 3), np.uint8)
            decode(
                read_images(tmp_path / "x.npz", seed=0),
                wanted((9, 7), crop_pct=1.0),
                out,
                threads=2,
            )
            outs.append(out)
        np.testing.assert_array_equal(outs[0], outs[1])
        np.testing.assert_array_equal(outs[0], colour)

    def test_a_file_that_went_away(self, fill, tmp_path):
        images = read_images(fill(tmp_path, {"a": 5, "b": 5}), seed=0)
        (tmp_path / "a" / "2.png").unlink()
        with pytest.raises(DataError, match=r"a.2\.png does not exist"):
            decode(images, wanted(), np.empty((10, 32, 32, 3), np.uint8), threads=2)

    @pytest.mark.parametrize("out", [np.empty((9, 32, 32, 3), np.uint8), np.empty((10, 32, 32, 3))])
    def test_another_array(self, fill, tmp_path, out):
        images = read_images(fill(tmp_path, {"a": 5, "b": 5}), seed=0)
        with pytest.raises(ValueError, match=r"\(10, 32, 32, 3\)"):
            decode(images, wanted(), out, threads=1)


class TestLoadOne:
    def test_missing(self, tmp_path):
        with pytest.raises(DataError, match=r"none\.png does not exist"):
            load_one(tmp_path / "none.png", wanted())

    def test_damaged(self, tmp_path):
        (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        with pytest.raises(DataError, match=r"x\.png"):
            load_one(tmp_path / "x.png", wanted())
