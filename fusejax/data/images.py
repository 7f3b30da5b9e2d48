"""Picture files in and out: OpenCV decodes and encodes, Pillow reads headers. 8 and 16 bit, grey and colour."""

import os
import tempfile
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float
from PIL import Image

from fusejax.color import rgb_to_luma

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")

# Last bytes that a complete file of the kind holds (a few writers add padding after them).
_TRAILERS = {"PNG": b"IEND", "JPEG": b"\xff\xd9"}


class ImageError(ValueError):
    """A picture that cannot be used; the message names the file and says what to do."""


def image_size(path: str | os.PathLike) -> tuple[int, int]:
    """(height, width) from the header, without decoding.

    Raises ImageError where the file is missing, empty, not a picture or, as far as its end shows, cut off.
    """
    path = Path(path)
    if not path.is_file():
        raise ImageError(f"{path}: no such file.")
    try:
        with Image.open(path) as image:
            width, height = image.size
            trailer = _TRAILERS.get(image.format)
    except (OSError, ValueError, SyntaxError) as error:
        raise ImageError(f"{path}: not a readable picture ({error}); replace or remove it.") from error
    if trailer:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 4096))
            if trailer not in file.read():
                raise ImageError(f"{path}: the file is cut off before its end; copy or download it again.")
    return height, width


def read_image(path: str | os.PathLike) -> np.ndarray:
    """Pixels as stored: uint8 or uint16, grey [h, w, 1] or RGB [h, w, 3]; palettes are resolved, alpha is dropped."""
    image_size(path)
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ImageError(f"{path}: the picture cannot be decoded; replace or remove it.")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ImageError(f"{path}: pixels are {pixels.dtype}; expected 8 or 16 bit integers. Convert the file first.")
    if pixels.ndim == 2:
        return pixels[..., None]
    channels = pixels.shape[2]
    if channels in (3, 4):
        return np.ascontiguousarray(pixels[..., 2::-1])
    return np.ascontiguousarray(pixels[..., :1])


def as_infrared(pixels: np.ndarray) -> np.ndarray:
    """One channel [h, w, 1] of the same type, whatever it was stored as; colour becomes luma."""
    if pixels.shape[-1] == 1:
        return pixels
    return np.round(rgb_to_luma(pixels.astype(np.float32))).astype(pixels.dtype)


def as_visible(pixels: np.ndarray) -> np.ndarray:
    """RGB [h, w, 3] of the same type; grey is repeated."""
    return pixels if pixels.shape[-1] == 3 else np.repeat(pixels, 3, axis=-1)


def to_float(pixels: np.ndarray) -> Float[np.ndarray, "..."]:
    """uint8 or uint16 to float32 in [0, 1]."""
    return pixels.astype(np.float32) / np.iinfo(pixels.dtype).max


def from_float(x: Float[np.ndarray, "..."], dtype: np.dtype | type) -> np.ndarray:
    """Float in [0, 1] to uint8 or uint16, rounded to the nearest level and clipped."""
    top = np.iinfo(dtype).max
    return np.clip(np.round(np.asarray(x, np.float64) * top), 0, top).astype(dtype)


def write_image(path: str | os.PathLike, pixels: np.ndarray) -> None:
    """Writes uint8 or uint16, grey [h, w] or [h, w, 1] or RGB [h, w, 3]; the suffix names the format.

    The file appears complete or not at all. An existing one is replaced: whoever calls decides about that.
    """
    path = Path(path)
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ImageError(f"{path}: cannot write {pixels.dtype} pixels; convert with `from_float` first.")
    if path.suffix.lower() not in SUFFIXES:
        raise ImageError(f"{path}: unknown picture suffix {path.suffix!r}; use one of {', '.join(SUFFIXES)}.")
    bgr = pixels[..., ::-1] if pixels.ndim == 3 and pixels.shape[-1] == 3 else pixels
    ok, data = cv2.imencode(path.suffix, np.ascontiguousarray(bgr))
    if not ok:
        raise ImageError(f"{path}: {pixels.dtype} pixels of shape {pixels.shape} cannot be stored as {path.suffix}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data.tobytes())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
