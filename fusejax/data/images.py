"""Picture files in and out: OpenCV decodes and encodes, Pillow reads headers. 8 and 16 bit, grey and colour."""

import os
import uuid
from pathlib import Path

import cv2
import numpy as np
from etils import epath
from jaxtyping import Float
from PIL import Image

from fusejax.ops.color import rgb_to_luma

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
_SIXTEEN_BIT = (".png", ".tif", ".tiff")

# What the end of a complete file of the kind holds. A few writers add data behind it, hence the width of the look.
_TRAILERS = {"PNG": b"IEND", "JPEG": b"\xff\xd9", "MPO": b"\xff\xd9"}
_TAIL = 4096

# TIFF tags: where the strips or tiles lie in the file, and how long they are.
_TIFF_BLOCKS = ((273, 279), (324, 325))


class ImageError(ValueError):
    """A picture that cannot be used; the message names the file and says what to do."""


def image_size(path: str | os.PathLike) -> tuple[int, int]:
    """(height, width) from the header, without decoding.

    Raises ImageError where the file is missing, empty, not a picture or, by what its header promises, cut off.
    """
    path = Path(path)
    if not path.is_file():
        raise ImageError(f"{path}: no such file.")
    try:
        with Image.open(path) as image:
            width, height = image.size
            if _looks_cut_off(image, path) and not _decodes(image):
                raise ImageError(f"{path}: the file is cut off before its end; copy or download it again.")
    except ImageError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(f"{path}: not a readable picture ({error}); replace or remove it.") from error
    return height, width


def _looks_cut_off(image: Image.Image, path: Path) -> bool:
    """Whether the end is missing as far as header and last bytes tell; cheap, so that thousands can be looked at."""
    length = path.stat().st_size
    if trailer := _TRAILERS.get(image.format):
        with path.open("rb") as file:
            file.seek(max(0, length - _TAIL))
            return trailer not in file.read()
    if image.format == "TIFF":
        tags = image.tag_v2
        blocks = [zip(tags[at], tags[size], strict=False) for at, size in _TIFF_BLOCKS if at in tags and size in tags]
        return any(start + count > length for block in blocks for start, count in block)
    if image.format == "BMP" and image.tile and image.tile[0][0] == "raw":
        _, _, start, (_, row_bytes, _) = image.tile[0]
        return start + row_bytes * image.size[1] > length
    return False


def _decodes(image: Image.Image) -> bool:
    """Settles a suspicion: a JPEG with a film behind it is whole, and some TIFF writers count wrongly.

    A PNG without its end is refused unseen: OpenCV reads none, and nothing belongs behind that end.
    """
    if image.format == "PNG":
        return False
    try:
        image.load()
    except OSError:
        return False
    return True


def read_image(path: str | os.PathLike) -> np.ndarray:
    """Pixels as stored: uint8 or uint16, grey [h, w, 1] or RGB [h, w, 3]; palettes are resolved, alpha is dropped.

    An orientation noted in the file is not applied, so that both pictures of a pair keep their pixel grids.
    Raises ImageError as `image_size` does, and where the pixels are damaged or neither 8 nor 16 bit integers.
    """
    image_size(path)
    try:
        pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ImageError(f"{path}: the picture cannot be decoded ({error.err}); replace or remove it.") from error
    if pixels is None:
        raise ImageError(f"{path}: the picture cannot be decoded, its pixels are damaged; replace or remove it.")
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
    Raises ImageError for pixels that the format cannot hold: 16 bit needs png or tif.
    """
    path = epath.Path(path)
    suffix = path.suffix.lower()
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ImageError(f"{path}: cannot write {pixels.dtype} pixels; convert with `from_float` first.")
    if pixels.size == 0 or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[-1] in (1, 3))):
        raise ImageError(f"{path}: cannot write pixels of shape {pixels.shape}; expected [h, w], [h, w, 1] or RGB.")
    if suffix not in SUFFIXES:
        raise ImageError(f"{path}: unknown picture suffix {path.suffix!r}; use one of {', '.join(SUFFIXES)}.")
    if pixels.dtype == np.uint16 and suffix not in _SIXTEEN_BIT:  # OpenCV would saturate them without a word
        raise ImageError(
            f"{path}: {suffix} holds 8 bits only; write 16 bit pixels to one of {', '.join(_SIXTEEN_BIT)}."
        )
    bgr = pixels[..., ::-1] if pixels.ndim == 3 and pixels.shape[-1] == 3 else pixels
    ok, data = cv2.imencode(suffix, np.ascontiguousarray(bgr))
    if not ok:
        raise ImageError(f"{path}: {pixels.dtype} pixels of shape {pixels.shape} cannot be stored as {suffix}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}{suffix}")
    try:
        temporary.write_bytes(data.tobytes())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
