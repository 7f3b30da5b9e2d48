"""Image files that are cut off, damaged, missing or something else."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image
from test_images import noise

from fusejax.io.image_headers import _jpeg_bits
from fusejax.io.images import ImageError, ImageWarning, image_size, read_image


def encoded(suffix, size=(64, 80)):
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    return cv2.imencode(suffix, pixels)[1].tobytes()


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # Pillow's warning for a TIFF without a directory
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif"])
@pytest.mark.parametrize("read", [image_size, read_image])
@pytest.mark.parametrize("kept", [0.6, 0.98])
def test_cut_off_files_are_found_by_their_headers(tmp_path, suffix, read, kept):
    data = encoded(suffix)
    path = tmp_path / f"street_07{suffix}"
    path.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(ImageError, match=r"street_07\..*(truncated; copy|not a readable image)"):
        read(path)


def test_tiff_with_its_directory_in_front_is_found_cut_off(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(noise()).save(buffer, "TIFF")  # Pillow puts the directory first: the header is readable
    (tmp_path / "a.tif").write_bytes(buffer.getvalue()[:-40])
    with pytest.raises(ImageError, match=r"a\.tif: the file is truncated"):
        image_size(tmp_path / "a.tif")


def test_jpeg_with_data_behind_its_end_is_whole(tmp_path):
    (tmp_path / "a.jpg").write_bytes(encoded(".jpg") + b"\0" * 9000)
    assert image_size(tmp_path / "a.jpg") == (64, 80)
    assert read_image(tmp_path / "a.jpg").shape == (64, 80, 3)


def test_missing_empty_and_other_files_are_named(tmp_path):
    with pytest.raises(ImageError, match=r"nowhere\.png: the file does not exist"):
        image_size(tmp_path / "nowhere.png")
    (tmp_path / "empty.png").touch()
    with pytest.raises(ImageError, match=r"empty\.png: not a readable image.*replace or remove it"):
        read_image(tmp_path / "empty.png")
    (tmp_path / "notes.jpg").write_text("not an image")
    with pytest.raises(ImageError, match=r"notes\.jpg: not a readable image"):
        image_size(tmp_path / "notes.jpg")


def test_damaged_pixels_are_named(tmp_path):
    data = bytearray(encoded(".png"))
    data[len(data) // 2 : len(data) // 2 + 40] = bytes(40)
    (tmp_path / "a.png").write_bytes(data)
    assert image_size(tmp_path / "a.png") == (64, 80)  # headers cannot tell
    with pytest.raises(ImageError, match=r"a\.png: the image cannot be decoded"):
        read_image(tmp_path / "a.png")


def test_jpeg_data_of_more_than_8_bits_are_named(tmp_path):
    data = bytearray(encoded(".jpg"))
    data[data.index(b"\xff\xc0") + 4] = 12
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(ImageError, match=r"a\.jpg: its JPEG data have 12 bits per channel.*convert it to a 16-bit png"):
        image_size(tmp_path / "a.jpg")


def test_tables_before_the_frame_do_not_hide_its_bits():
    tables = b"\xff\xc4\x00\x07\x01\x00\x00\x00\x00"
    assert _jpeg_bits(b"\xff\xd8" + tables + b"\xff\xc1\x00\x0b\x0c") == 12
    assert _jpeg_bits(b"\xff\xd8" + tables) is None


def test_damaged_jpeg_data_are_named(tmp_path):
    data = bytearray(encoded(".jpg"))
    data[len(data) // 2 : len(data) // 2 + 40] = np.random.default_rng(0).bytes(40)
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.warns(ImageWarning, match=r"a\.jpg: the JPEG data contain errors"):
        assert read_image(tmp_path / "a.jpg").shape == (64, 80, 3)


def test_a_missing_file_a_folder_and_a_dangling_link_are_distinguished(tmp_path):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "link.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    for name, message in (
        ("folder", "is a folder, not an image file"),
        ("link", "the link does not point to a file"),
        ("loop", "the link does not point to a file|cannot be opened"),
    ):
        with pytest.raises(ImageError, match=message):
            image_size(tmp_path / f"{name}.png")


@pytest.mark.parametrize(
    ("start", "held"),
    [(b"\0\0\0\x18ftypheic", "HEIC"), (b"\xff\x0a", "JPEG XL"), (b"\0\0\0\x0cJXL ", "JPEG XL"), (b"%PDF-1.7", "a PDF")],
)
def test_other_formats_under_the_suffix_of_an_image_are_named(tmp_path, start, held):
    path = tmp_path / "IMG_0001.jpg"
    path.write_bytes(start + bytes(200))
    with pytest.raises(ImageError, match=rf"IMG_0001\.jpg: it holds {held}.* convert it to png or tif"):
        read_image(path)
