"""Information from image headers: size, orientation, and whether the file is complete."""

import os
from pathlib import Path
from typing import Literal, NamedTuple

from PIL import Image, UnidentifiedImageError

from fusejax.io.tiff import check_kind, read_tiff
from fusejax.io.tiff_layout import MAGIC, TiffLayout, is_cut_off, read_layout

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
"""Image files that are looked for in folders."""

# What the end of a complete file contains. Some writers append data, hence the wide window.
_TRAILERS = {"PNG": b"IEND", "JPEG": b"\xff\xd9", "MPO": b"\xff\xd9"}
_TAIL_BYTES = 4096

_PNG_BITS = 24  # the byte of a PNG file that holds the bit depth

_ORIENTATION_TAG = 0x0112
UPRIGHT = 1
_TRANSPOSED = (5, 6, 7, 8)  # values of the EXIF orientation that swap rows and columns

ImageFormat = Literal["png", "jpg", "tif", "webp"]


class ImageError(ValueError):
    """An image cannot be used; the message names the file and says what to do."""


class ImageWarning(UserWarning):
    """Part of an image file is not used; the message names the file."""


def image_size(path: str | os.PathLike) -> tuple[int, int]:
    """Size of an image with its EXIF orientation applied, without decoding it.

    Args:
        path: image file.

    Returns:
        (height, width) in pixels.

    Raises:
        ImageError: if the file does not exist, is empty, is not an image, or is truncated according
            to its header.
    """
    return read_header(path).size


class Header(NamedTuple):
    """Information needed before decoding.

    Attributes:
        size: (height, width) of the upright image in pixels.
        orientation: EXIF orientation, 1 (upright) to 8.
        pages: number of images in the file: pages of a TIFF file, frames of an animated PNG.
        bits: bits per channel: 8 or less, 9 to 16, 32 or 64. Color counts as 8 bits in formats
            other than PNG and TIFF.
        layout: how the pixels of a TIFF file are stored; None for other files.
    """

    size: tuple[int, int]
    orientation: int
    pages: int
    bits: int
    layout: TiffLayout | None


def read_header(path: str | os.PathLike) -> Header:
    """Reads the header and checks that the file is complete.

    Args:
        path: image file.

    Returns:
        The header.

    Raises:
        ImageError: see `image_size`.
    """
    path = Path(path)
    check_is_file(path)
    try:
        if _first_bytes(path)[:4] in MAGIC:
            return _tiff_header(path)
        with Image.open(path) as image:
            (width, height), orientation = image.size, _orientation(image)
            pages = getattr(image, "n_frames", 1) if image.format == "PNG" else 1
            bits = _bits(image, path)
            if _looks_cut_off(image, path) and not _decodes(image):
                raise ImageError(f"{path}: the file is truncated; copy or download it again.")
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(f"{path}: {_why_unknown(path)}") from error
    except Image.DecompressionBombError as error:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0) / 1e6
        raise ImageError(f"{path}: has more than {most:.0f} megapixels, the most that are read; crop it.") from error
    except (OSError, ValueError, SyntaxError, ArithmeticError, EOFError) as error:
        raise ImageError(f"{path}: not a readable image ({error}); replace or remove it.") from error
    return Header(_upright_size((height, width), orientation), orientation, pages, bits, None)


def _tiff_header(path: Path) -> Header:
    with path.open("rb") as file:
        try:
            layout = read_layout(file)
            check_kind(layout)
            if is_cut_off(layout, path.stat().st_size):
                read_tiff(file, layout)  # some writers store wrong lengths
        except ValueError as error:
            if "truncated" in str(error):
                raise ImageError(f"{path}: the file is truncated; copy or download it again ({error}).") from error
            raise ImageError(f"{path}: not a readable image: {error}.") from error
    size = _upright_size(layout.size, layout.orientation)
    return Header(size, layout.orientation, layout.pages, layout.bits, layout)


def _upright_size(stored: tuple[int, int], orientation: int) -> tuple[int, int]:
    height, width = stored
    return (width, height) if orientation in _TRANSPOSED else (height, width)


def _bits(image: Image.Image, path: Path) -> int:
    if image.format == "PNG":  # Pillow hides the bit depth of color images
        return _first_bytes(path)[_PNG_BITS]
    return 16 if image.mode.startswith("I") else 8  # gray PGM and JPEG 2000 files


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_PNG_BITS + 1)


# Formats by the marks at some byte of a file.
_OTHER_FORMATS = (
    ("HEIC", 4, b"ftyphei"),
    ("HEIC", 4, b"ftypmif1"),
    ("JPEG XL", 0, b"\xff\x0a"),
    ("JPEG XL", 4, b"JXL "),
    ("a PDF document", 0, b"%PDF"),
    ("a FITS image", 0, b"SIMPLE  "),
)


def _why_unknown(path: Path) -> str:
    """Why Pillow does not know a file, and what to do."""
    head = _first_bytes(path)
    held = next((name for name, at, mark in _OTHER_FORMATS if head[at : at + len(mark)] == mark), None)
    if held is not None:  # phones give them the suffixes of others
        return f"it holds {held}, which is not read; convert it to png or tif."
    if head.startswith(b"\xff\xd8") and (bits := _jpeg_bits(path.read_bytes())) not in (None, 8):
        return f"its JPEG data have {bits} bits per channel, which is not read; convert it to a 16-bit png or tif."
    if path.suffix.lower() in SUFFIXES:
        return "not a readable image; replace or remove it."
    kind = f"{path.suffix} files" if path.suffix else "files without a suffix"
    return f"{kind} cannot be read as images; convert it to png or tif."


def _jpeg_bits(data: bytes) -> int | None:
    """Bits per channel of JPEG data, from the header of its frame; None if there is none."""
    at = 2
    while at + 5 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # the kinds of frames
            return data[at + 4]
        at += 2 + length
    return None


def check_is_file(path: Path) -> None:
    """Checks that a path names a regular file.

    Raises:
        ImageError: if it does not exist or is something else; the message says what it is.
    """
    try:
        if path.is_file():
            return
        kind = "a folder" if path.is_dir() else "a pipe or device" if path.exists() else None
    except OSError as error:  # a loop of links, a name that is too long, an unreadable folder
        raise ImageError(f"{path}: cannot be opened ({error.strerror}).") from error
    if kind:
        raise ImageError(f"{path} is {kind}, not an image file.")
    if path.is_symlink():
        raise ImageError(f"{path}: the link does not point to a file; fix or remove it.")
    raise ImageError(f"{path}: the file does not exist.")


def _orientation(image: Image.Image) -> int:
    """EXIF orientation.

    Avoids Pillow's search for EXIF data after the pixels of a PNG, which would decode the whole
    file.
    """
    if image.format == "PNG" and not {"exif", "Raw profile type exif"} & image.info.keys():
        return UPRIGHT
    value = image.getexif().get(_ORIENTATION_TAG, UPRIGHT)
    return value if value in range(1, 9) else UPRIGHT


def _looks_cut_off(image: Image.Image, path: Path) -> bool:
    """Whether header and last bytes suggest a truncated file; cheap enough for thousands of
    files.
    """
    length = path.stat().st_size
    if trailer := _TRAILERS.get(image.format or ""):
        with path.open("rb") as file:
            file.seek(max(0, length - _TAIL_BYTES))
            return trailer not in file.read()
    tile = getattr(image, "tile", None)
    if image.format == "BMP" and tile and tile[0][0] == "raw":
        _, _, start, (_, row_bytes, _) = tile[0]
        return start + row_bytes * image.size[1] > length
    return False


def _decodes(image: Image.Image) -> bool:
    """Decides whether a suspicious file is complete.

    A JPEG with a video appended to it is complete.

    A PNG without its end marker is not complete: OpenCV does not read it, and nothing may follow
    the marker.
    """
    if image.format == "PNG":
        return False
    try:
        image.load()
    except OSError:
        return False
    return True
