"""Reading and writing pictures."""

import numpy as np
import pytest
from PIL import Image

from fusejax.data.images import (
    ImageError,
    as_infrared,
    as_visible,
    from_float,
    image_size,
    read_image,
    to_float,
    write_image,
)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".tiff"])
@pytest.mark.parametrize("channels", [1, 3])
def test_lossless_formats_come_back(tmp_path, rng, suffix, channels):
    pixels = rng.integers(0, 256, (5, 7, channels), dtype=np.uint8)
    write_image(tmp_path / f"x{suffix}", pixels)
    np.testing.assert_array_equal(read_image(tmp_path / f"x{suffix}"), pixels)
    assert image_size(tmp_path / f"x{suffix}") == (5, 7)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_come_back(tmp_path, rng, suffix, channels):
    pixels = rng.integers(0, 65536, (4, 6, channels), dtype=np.uint16)
    write_image(tmp_path / f"x{suffix}", pixels)
    back = read_image(tmp_path / f"x{suffix}")
    assert back.dtype == np.uint16
    np.testing.assert_array_equal(back, pixels)


def test_colours_are_rgb_as_another_library_reads_them(tmp_path):
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels[0, 0] = (255, 10, 20)
    write_image(tmp_path / "x.png", pixels)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "x.png")), pixels)


def test_jpeg_alpha_and_palette_are_read(tmp_path, rng):
    smooth = np.tile(np.linspace(0, 255, 32, dtype=np.uint8), (32, 1))
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=95)
    assert np.abs(read_image(tmp_path / "a.jpg")[..., 0].astype(int) - smooth).max() <= 4  # lossy
    rgba = rng.integers(0, 256, (3, 3, 4), dtype=np.uint8)
    Image.fromarray(rgba, "RGBA").save(tmp_path / "b.png")
    np.testing.assert_array_equal(read_image(tmp_path / "b.png"), rgba[..., :3])
    Image.fromarray(np.full((3, 3), 7, np.uint8)).convert("P").save(tmp_path / "c.png")
    assert read_image(tmp_path / "c.png").max() == 7


def test_float_conversion_rounds_and_inverts():
    for dtype in (np.uint8, np.uint16):
        levels = np.arange(np.iinfo(dtype).max + 1, dtype=dtype)
        np.testing.assert_array_equal(from_float(to_float(levels), dtype), levels)
    np.testing.assert_array_equal(
        from_float(np.array([-0.1, 0.4999 / 255, 0.5001 / 255, 1.2]), np.uint8), [0, 0, 1, 255]
    )


def test_infrared_is_one_channel_and_visible_three(rng):
    colour = rng.integers(0, 256, (2, 3, 3), dtype=np.uint8)
    grey = colour[..., :1]
    assert as_infrared(colour).shape == (2, 3, 1)
    np.testing.assert_array_equal(as_infrared(np.repeat(grey, 3, axis=-1)), grey)
    np.testing.assert_array_equal(as_visible(grey), np.repeat(grey, 3, axis=-1))


def test_missing_broken_and_cut_off_files_are_named(tmp_path, rng):
    with pytest.raises(ImageError, match=r"none\.png: no such file"):
        read_image(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(ImageError, match=r"text\.png: not a readable picture"):
        read_image(tmp_path / "text.png")
    pixels = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for name in ("cut.png", "cut.jpg"):
        write_image(tmp_path / name, pixels)
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) * 2 // 3])
        with pytest.raises(ImageError, match=f"{name}: the file is cut off"):
            image_size(tmp_path / name)


def test_writing_refuses_floats_and_unknown_formats(tmp_path):
    with pytest.raises(ImageError, match="cannot write float64"):
        write_image(tmp_path / "x.png", np.zeros((2, 2)))
    with pytest.raises(ImageError, match=r"unknown picture suffix '\.gif'"):
        write_image(tmp_path / "x.gif", np.zeros((2, 2), np.uint8))
    assert not list(tmp_path.iterdir())
