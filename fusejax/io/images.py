"""Reading and writing image files: 8 and 16 bits, gray and color; floats only for thermal
images.
"""

import os
import warnings
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from etils import epath
from jaxtyping import Float, Shaped, UInt
from PIL import Image

from fusejax.io.image_headers import SUFFIXES, UPRIGHT, ImageError, ImageWarning, image_size, read_header
from fusejax.io.outputs import write_complete
from fusejax.ops.color import rgb_to_luma

__all__ = [
    "SUFFIXES",
    "ImageError",
    "ImageWarning",
    "as_infrared",
    "as_visible",
    "from_float",
    "image_size",
    "read_image",
    "read_thermal",
    "resample",
    "to_float",
    "write_image",
]

_SIXTEEN_BIT = (".png", ".tif", ".tiff")

# Operations that turn an image with the given EXIF orientation upright: (transpose rows and columns
# first, flip rows, flip columns). EXIF 2.32, tag 0x0112.
_TO_UPRIGHT = {
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}

Pixels = Shaped[np.ndarray, "h w c"]


def read_image(path: str | os.PathLike) -> Pixels:
    """Reads an image in its stored data type, turned upright.

    Palettes are resolved. An alpha channel is dropped, with a warning unless it is opaque
    everywhere. If there are several pages, only the first is read, with a warning.

    Args:
        path: file with one of `SUFFIXES`.

    Returns:
        uint8 or uint16, gray [h, w, 1] or RGB [h, w, 3].

    Raises:
        ImageError: see `image_size`; also if the pixels are damaged or are not 8- or 16-bit
            integers. JPEG data that can be decoded despite errors cause an `ImageWarning`.
    """
    pixels = read_thermal(path)
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ImageError(f"{path}: pixels are {pixels.dtype}; expected 8- or 16-bit integers. Convert the file first.")
    return pixels


def read_thermal(path: str | os.PathLike) -> Pixels:
    """Like `read_image`, but also accepts TIFF files with floats (degrees, counts).

    Args:
        path: file with one of `SUFFIXES`.

    Returns:
        uint8, uint16, float32 or float64, gray [h, w, 1] or RGB [h, w, 3].

    Raises:
        ImageError: see `read_image`; also if a float is not finite.
    """
    header = read_header(path)
    if header.pages > 1:
        warnings.warn(f"{path} has {header.pages} pages; only the first is used.", ImageWarning, stacklevel=2)
    by_pillow = header.format == "TIFF" and (header.orientation != UPRIGHT or header.mode == "RGBA")
    pixels = _decode_tiff(path) if by_pillow else _decode(Path(path), path)
    if np.issubdtype(pixels.dtype, np.floating) and not np.isfinite(pixels).all():
        raise ImageError(f"{path}: some pixels are not finite numbers; replace them first.")
    if header.orientation != UPRIGHT and not by_pillow:
        transpose, flip_rows, flip_columns = _TO_UPRIGHT[header.orientation]
        pixels = pixels.swapaxes(0, 1) if transpose else pixels
        pixels = pixels[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]
    return np.ascontiguousarray(pixels)


def _decode(path: Path, shown: str | os.PathLike) -> Pixels:
    """Pixels in the stored orientation; gray or RGB."""
    data = path.read_bytes()
    if data[:2] == b"\xff\xd8" and (pixels := _decode_jpeg(data, shown)) is not None:
        return pixels
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ImageError(f"{shown}: the image cannot be decoded ({error.err}); replace or remove it.") from error
    if pixels is None:
        raise ImageError(f"{shown}: the image cannot be decoded because its pixels are damaged; replace or remove it.")
    if pixels.ndim == 2:
        return pixels[..., None]
    channels = pixels.shape[2]
    if channels == 4:
        _warn_of_fourth(pixels[..., 3], shown)
    if channels == 3 and pixels.dtype != np.float64:  # in place, so that large images need no second copy
        return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels)
    return pixels[..., 2::-1] if channels in (3, 4) else pixels[..., :1]


def _decode_tiff(path: str | os.PathLike) -> Pixels:
    """Upright pixels of a TIFF file that OpenCV decodes incorrectly.

    OpenCV 5 turns TIFF files itself, but fails if rows and columns have to be swapped. It also
    multiplies 8-bit colors by their alpha channel, which may be near infrared.
    """
    with Image.open(path) as image:
        try:
            if image.mode == "RGBA":
                _warn_of_fourth(np.asarray(image.getchannel("A")), path)
            pixels = np.asarray(image if image.mode in ("L", "RGB", "F", "I;16") else image.convert("RGB"))
        except (OSError, ValueError) as error:
            raise ImageError(f"{path}: the image cannot be decoded ({error}); save it upright as RGB.") from error
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _warn_of_fourth(channel: Shaped[np.ndarray, "h w"], shown: str | os.PathLike) -> None:
    """Warns about a fourth channel unless it is opaque everywhere."""
    opaque = np.iinfo(channel.dtype).max if np.issubdtype(channel.dtype, np.integer) else 1.0
    if (channel != opaque).any():
        text = f"{shown}: the fourth channel (transparency or near infrared) is dropped."
        warnings.warn(text, ImageWarning, stacklevel=4)


def _decode_jpeg(data: bytes, shown: str | os.PathLike) -> Pixels | None:
    """Decodes strictly, because OpenCV accepts damaged data without naming the file.

    Returns None for files that are left to OpenCV (CMYK, data with errors).
    """
    try:
        colorspace = simplejpeg.decode_jpeg_header(data)[2]
        if colorspace not in ("Gray", "YCbCr", "RGB"):
            return None
        return simplejpeg.decode_jpeg(data, colorspace="GRAY" if colorspace == "Gray" else "RGB", strict=True)
    except ValueError as error:
        warnings.warn(
            f"{shown}: the JPEG data contain errors ({str(error).strip('.')}), so some pixels may be wrong; "
            "copy or export the file again.",
            ImageWarning,
            stacklevel=4,
        )
        return None


def as_infrared(pixels: Pixels) -> Shaped[np.ndarray, "h w 1"]:
    """Converts an image to one channel of the same data type; color becomes luma."""
    if pixels.shape[-1] == 1:
        return pixels
    luma = rgb_to_luma(pixels.astype(np.float32))
    return luma if np.issubdtype(pixels.dtype, np.floating) else np.round(luma).astype(pixels.dtype)


def as_visible(pixels: Pixels) -> Shaped[np.ndarray, "h w 3"]:
    """Converts an image to RGB of the same data type; gray is repeated."""
    return pixels if pixels.shape[-1] == 3 else np.repeat(pixels, 3, axis=-1)


def resample(pixels: Pixels, *, height: int, width: int) -> Shaped[np.ndarray, "{height} {width} c"]:
    """Resamples an image: by area averaging if it shrinks, by bicubic interpolation if it grows.

    Args:
        pixels: [h, w, c], in any data type that can be read.
        height: new height in pixels.
        width: new width in pixels.

    Returns:
        [height, width, c] of the same data type; the same array if it already has the size.
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    method = cv2.INTER_AREA if pixels.shape[0] > height else cv2.INTER_CUBIC
    return cv2.resize(pixels, (width, height), interpolation=method).reshape(height, width, pixels.shape[-1])


def to_float(pixels: UInt[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Scales integer pixels by the largest value of their type.

    Args:
        pixels: uint8 or uint16, any shape.

    Returns:
        float32 in [0, 1], of the same shape.
    """
    return pixels.astype(np.float32) / np.iinfo(pixels.dtype).max


def from_float(x: Float[np.ndarray, "..."], dtype: np.dtype | type) -> np.ndarray:
    """Scales floats to integer pixels, rounded to the nearest level and clipped.

    Args:
        x: any shape; 0 is black and 1 is white.
        dtype: uint8 or uint16.

    Returns:
        Pixels of that type, of the same shape.
    """
    top = np.iinfo(dtype).max
    return np.clip(np.round(np.asarray(x, np.float64) * top), 0, top).astype(dtype)


def write_image(path: str | os.PathLike, pixels: Shaped[np.ndarray, "..."]) -> None:
    """Writes an image; the suffix determines the format.

    The file is written completely or not at all. An existing file is replaced; the caller must
    check whether that is allowed.

    Args:
        path: file to write, local or remote; its folder is created if needed.
        pixels: uint8 or uint16, gray [h, w] or [h, w, 1] or RGB [h, w, 3].

    Raises:
        ImageError: if the format does not support the pixels (16 bits need png or tif).
        OSError: if the file cannot be written; names the file.
    """
    path = epath.Path(path)
    suffix = path.suffix.lower()
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ImageError(f"{path}: cannot write {pixels.dtype} pixels; convert with `from_float` first.")
    if pixels.size == 0 or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[-1] in (1, 3))):
        raise ImageError(f"{path}: cannot write pixels of shape {pixels.shape}; expected [h, w], [h, w, 1] or RGB.")
    if suffix not in SUFFIXES:
        raise ImageError(f"{path}: unknown image suffix {path.suffix!r}; use one of {', '.join(SUFFIXES)}.")
    if pixels.dtype == np.uint16 and suffix not in _SIXTEEN_BIT:  # OpenCV would saturate them silently
        raise ImageError(
            f"{path}: {suffix} supports 8 bits only; write 16-bit pixels to one of {', '.join(_SIXTEEN_BIT)}."
        )
    bgr = pixels[..., ::-1] if pixels.ndim == 3 and pixels.shape[-1] == 3 else pixels
    ok, data = cv2.imencode(suffix, np.ascontiguousarray(bgr))
    if not ok:
        raise ImageError(f"{path}: {pixels.dtype} pixels of shape {pixels.shape} cannot be stored as {suffix}.")
    write_complete(path, data.data)
