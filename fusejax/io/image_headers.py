"""Information from image headers: size, orientation, and whether the file is complete."""

import os
from pathlib import Path
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
"""Image files that are looked for in folders."""

# What the end of a complete file contains. Some writers append data, hence the wide window.
_TRAILERS = {"PNG": b"IEND", "JPEG": b"\xff\xd9", "MPO": b"\xff\xd9"}
_TAIL_BYTES = 4096

# TIFF tags: offsets and lengths of the strips or tiles in the file.
_TIFF_BLOCKS = ((273, 279), (324, 325))

# Location of the bit depth: a TIFF tag, and a byte of a PNG file.
_TIFF_BITS = 258
_PNG_BITS = 24

_ORIENTATION_TAG = 0x0112
UPRIGHT = 1
_TRANSPOSED = (5, 6, 7, 8)  # values of the EXIF orientation that swap rows and columns


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
        pages: number of images in the file.
        format: Pillow's name of the format, such as "PNG".
        mode: Pillow's name of the channels and their type, such as "RGB".
    """

    size: tuple[int, int]
    orientation: int
    pages: int
    format: str
    mode: str


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
        with Image.open(path) as image:
            (width, height), orientation = image.size, _orientation(image)
            kind, mode = image.format or "", image.mode
            pages = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
            if _looks_cut_off(image, path) and not _decodes(image):
                raise ImageError(f"{path}: the file is truncated; copy or download it again.")
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        if path.suffix.lower() in SUFFIXES:
            raise ImageError(f"{path}: not a readable image; replace or remove it.") from error
        kind = f"{path.suffix} files" if path.suffix else "files without a suffix"
        raise ImageError(f"{path}: {kind} cannot be read as images; convert it to png or tif.") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(f"{path}: not a readable image ({error}); replace or remove it.") from error
    size = (width, height) if orientation in _TRANSPOSED else (height, width)
    return Header(size, orientation, pages, kind, mode)


def bits_per_sample(path: str | os.PathLike) -> int:
    """Bits per channel of a readable image according to its header: 8 or less, 16, 32 or 64.

    Color counts as 8 bits in formats other than PNG and TIFF.
    """
    with Image.open(path) as image:
        if image.format == "TIFF":
            tags = image.tag_v2  # pyright: ignore[reportAttributeAccessIssue] - a TiffImageFile
            return max(tags.get(_TIFF_BITS, (1,)))
        if image.format == "PNG":  # Pillow hides the bit depth of color images
            with Path(path).open("rb") as file:
                return file.read(_PNG_BITS + 1)[_PNG_BITS]
        return 16 if image.mode.startswith("I") else 8  # gray PGM and JPEG 2000 files


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
    if image.format == "TIFF":
        tags = image.tag_v2  # pyright: ignore[reportAttributeAccessIssue] - a TiffImageFile
        blocks = [zip(tags[at], tags[size], strict=False) for at, size in _TIFF_BLOCKS if at in tags and size in tags]
        return any(start + count > length for block in blocks for start, count in block)
    tile = getattr(image, "tile", None)
    if image.format == "BMP" and tile and tile[0][0] == "raw":
        _, _, start, (_, row_bytes, _) = tile[0]
        return start + row_bytes * image.size[1] > length
    return False


def _decodes(image: Image.Image) -> bool:
    """Decides whether a suspicious file is complete.

    A JPEG with a video appended to it is complete, and some TIFF writers store wrong lengths.

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
