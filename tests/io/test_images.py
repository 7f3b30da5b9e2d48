"""Image files.

Every kind of file used in the field, both depths, and each kind of invalid file.
"""

import cv2
import numpy as np
import pytest
from PIL import Image

from fusejax.io.image_headers import read_header
from fusejax.io.images import (
    ImageError,
    ImageWarning,
    as_infrared,
    as_visible,
    from_float,
    image_size,
    read_image,
    read_thermal,
    to_float,
    write_image,
)

SIZE = (13, 17)


def noise(dtype=np.uint8, channels=3, seed=0):
    shape = (*SIZE, channels)
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".tiff", ".PNG"])
@pytest.mark.parametrize("channels", [1, 3])
def test_lossless_files_return_what_was_written(tmp_path, suffix, channels):
    pixels = noise(channels=channels)
    write_image(tmp_path / f"a{suffix}", pixels)
    np.testing.assert_array_equal(read_image(tmp_path / f"a{suffix}"), pixels)
    assert image_size(tmp_path / f"a{suffix}") == SIZE


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_stay_sixteen_bits(tmp_path, suffix, channels):
    pixels = noise(np.uint16, channels)
    write_image(tmp_path / f"a{suffix}", pixels)
    read = read_image(tmp_path / f"a{suffix}")
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read, pixels)
    np.testing.assert_array_equal(from_float(to_float(read), np.uint16), pixels)


def test_scaling_is_by_the_largest_level():
    assert to_float(np.array([0, 255], np.uint8)).tolist() == [0.0, 1.0]
    assert to_float(np.array([0, 65535], np.uint16)).tolist() == [0.0, 1.0]
    assert to_float(np.zeros(1, np.uint8)).dtype == np.float32
    assert from_float(np.array([-0.1, 0.4999 / 255, 0.5001 / 255, 1.7]), np.uint8).tolist() == [0, 0, 1, 255]
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(from_float(to_float(levels), np.uint8), levels)


def test_colors_are_rgb(tmp_path):
    red = np.zeros((*SIZE, 3), np.uint8)
    red[..., 0] = 200
    write_image(tmp_path / "a.png", red)
    with Image.open(tmp_path / "a.png") as image:  # an independent reader
        np.testing.assert_array_equal(np.asarray(image), red)
    Image.fromarray(red).save(tmp_path / "b.jpg", quality=95)
    assert np.abs(read_image(tmp_path / "b.jpg").astype(int) - red).max() <= 4  # JPEG's rounding


STORED = {  # name: (Pillow mode, suffix, channels that are read)
    "gray": ("L", "png", 1),
    "gray_alpha": ("LA", "png", 3),
    "palette": ("P", "png", 3),
    "alpha": ("RGBA", "png", 3),
    "bilevel": ("1", "png", 1),
    "gray_jpeg": ("L", "jpg", 1),
    "palette_bmp": ("P", "bmp", 3),
    "alpha_tif": ("RGBA", "tif", 3),
}


@pytest.mark.parametrize("kind", STORED)
def test_every_way_of_storing_gives_gray_or_rgb(tmp_path, kind):
    mode, suffix, channels = STORED[kind]
    gray = np.tile(np.array([0, 255], np.uint8), (12, 8))  # survives two levels, a palette and JPEG
    Image.fromarray(gray).convert("RGB").convert(mode).save(tmp_path / f"a.{suffix}")
    pixels = read_image(tmp_path / f"a.{suffix}")
    assert pixels.shape == (12, 16, channels)
    tolerance = 3 if suffix == "jpg" else 0
    assert np.abs(as_infrared(pixels)[..., 0].astype(int) - gray).max() <= tolerance
    assert np.abs(as_visible(pixels).astype(int) - gray[..., None]).max() <= tolerance


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_infrared_stored_as_three_equal_channels_keeps_its_levels(dtype):
    gray = noise(dtype, channels=1)
    read = as_infrared(np.repeat(gray, 3, axis=-1))
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, gray)


def test_compressed_tiff(tmp_path):
    pixels = noise()
    Image.fromarray(pixels).save(tmp_path / "a.tif", compression="tiff_lzw")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), pixels)


def test_float_images_are_refused(tmp_path):
    Image.fromarray(np.zeros(SIZE, np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(ImageError, match=r"a\.tif: pixels are float32; expected 8- or 16-bit"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("name", "pixels", "message"),
    [
        ("a.png", np.zeros((4, 4), np.float32), "cannot write float32"),
        ("a.webm", np.zeros((4, 4), np.uint8), "unknown image suffix"),
        ("a.jpg", np.zeros((4, 4), np.uint16), "supports 8 bits only"),
        ("a.bmp", np.zeros((4, 4), np.uint16), "supports 8 bits only"),
        ("a.png", np.zeros((4, 4, 4), np.uint8), r"shape \(4, 4, 4\)"),
        ("a.png", np.zeros((0, 4), np.uint8), r"shape \(0, 4\)"),
    ],
)
def test_unwritable_pixels_are_refused(tmp_path, name, pixels, message):
    with pytest.raises(ImageError, match=message):
        write_image(tmp_path / name, pixels)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    write_image(path, noise(seed=0))
    before = path.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_image(path, noise(seed=1))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_real_files_are_read_whole(data_root):
    for path in sorted(data_root.glob("*/*/ir/*"))[::200]:
        assert read_image(path).shape[:2] == image_size(path)


TURNED = {  # EXIF 2.32: what has to be done to the stored rows and columns to see the scene upright
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.T,
    6: lambda x: np.rot90(x, -1),
    7: lambda x: x[::-1, ::-1].T,
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_orientation_is_applied(tmp_path, orientation, suffix):
    stored = np.kron(noise()[..., 0], np.ones((8, 8), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(stored).save(path, exif=exif, quality=100)
    upright = TURNED[orientation](stored)
    assert image_size(path) == upright.shape
    difference = np.abs(read_image(path)[..., 0].astype(int) - upright)
    assert difference.max() <= (3 if suffix == "jpg" else 0)


def test_an_animated_png_gives_its_default_image(tmp_path):
    default, *frames = (noise(channels=1, seed=n)[..., 0] for n in range(3))
    more = {"save_all": True, "append_images": [Image.fromarray(x) for x in frames], "duration": 100}
    for first in (True, False):  # whether the default image is the first frame of the animation
        Image.fromarray(default).save(tmp_path / "a.png", default_image=not first, **more)
        with pytest.warns(ImageWarning, match=r"a\.png has 3 animation frames; only the first is used"):
            np.testing.assert_array_equal(read_image(tmp_path / "a.png")[..., 0], default)


def test_strict_jpeg_pixels_are_those_of_opencv(tmp_path):
    for n, (mode, size) in enumerate([("RGB", (61, 50)), ("L", (61, 50)), ("CMYK", (32, 32))]):
        path = tmp_path / f"{n}.jpg"
        Image.fromarray(noise()).resize(size).convert(mode).save(path, quality=70)
        expected = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        expected = expected[..., None] if expected.ndim == 2 else expected[..., ::-1]
        np.testing.assert_array_equal(read_image(path), expected)


def test_what_is_dropped_is_reported(tmp_path):
    pages = [Image.fromarray(noise(seed=n)) for n in range(3)]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    with pytest.warns(ImageWarning, match=r"pages\.tif has 3 pages; only the first is used"):
        np.testing.assert_array_equal(read_image(tmp_path / "pages.tif"), noise(seed=0))
    four = noise(channels=4)
    for suffix in ("png", "tif"):
        Image.fromarray(four).save(tmp_path / f"four.{suffix}")
        with pytest.warns(ImageWarning, match=rf"four\.{suffix}: the fourth channel"):
            np.testing.assert_array_equal(read_image(tmp_path / f"four.{suffix}"), four[..., :3])


def test_thermal_files_may_hold_floats(tmp_path):
    kelvin = np.random.default_rng(0).uniform(280, 310, SIZE).astype(np.float32)
    Image.fromarray(kelvin).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_thermal(tmp_path / "a.tif")[..., 0], kelvin)
    assert (read_header(tmp_path / "a.tif").bits, image_size(tmp_path / "a.tif")) == (32, SIZE)


@pytest.mark.parametrize("empty", [np.nan, -np.inf, -9999, -3.4028235e38])
def test_pixels_without_data_count_as_the_coldest(tmp_path, empty):
    kelvin = np.random.default_rng(0).uniform(280, 310, SIZE).astype(np.float32)
    measured, kelvin[3:5, 4] = kelvin.copy(), empty
    Image.fromarray(kelvin).save(tmp_path / "b.tif")
    measured[3:5, 4] = np.delete(measured.ravel(), [3 * 17 + 4, 4 * 17 + 4]).min()
    with pytest.warns(ImageWarning, match=r"b\.tif: 0\.90% of the pixels hold no data"):
        np.testing.assert_array_equal(read_thermal(tmp_path / "b.tif")[..., 0], measured)
    Image.fromarray(np.full_like(kelvin, empty)).save(tmp_path / "c.tif")
    with pytest.raises(ImageError, match=r"c\.tif: no pixel holds a value"):
        read_thermal(tmp_path / "c.tif")


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".bmp"])
def test_depth_is_read_from_the_header(tmp_path, suffix):
    write_image(tmp_path / f"a{suffix}", noise())
    assert read_header(tmp_path / f"a{suffix}").bits == 8
    if suffix in (".png", ".tif"):
        for channels in (1, 3):
            write_image(tmp_path / f"b{suffix}", noise(np.uint16, channels))
            assert read_header(tmp_path / f"b{suffix}").bits == 16


@pytest.mark.parametrize("suffix", [".pgm", ".jp2"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_other_gray_formats_keep_their_depth(tmp_path, suffix, dtype):
    """Folders are not searched for them, but a single file can be given."""
    pixels = np.tile(noise(dtype, channels=1), (3, 3, 1))  # JPEG 2000 needs 32 pixels
    path = tmp_path / f"a{suffix}"
    Image.fromarray(pixels[..., 0]).save(path)
    assert (read_header(path).bits, image_size(path)) == (8 * pixels.itemsize, pixels.shape[:2])
    np.testing.assert_array_equal(read_thermal(path), pixels)


def test_files_of_other_kinds_are_named_with_a_remedy(tmp_path):
    np.save(tmp_path / "raw.npy", noise(np.uint16))
    with pytest.raises(ImageError, match=r"raw\.npy: \.npy files cannot be read as images; convert it to png or tif"):
        read_thermal(tmp_path / "raw.npy")
