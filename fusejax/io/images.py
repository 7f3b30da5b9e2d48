"""Reading and writing image files: 8 and 16 bits, gray and color; floats only for thermal
images.
"""

import os
import warnings
from pathlib import Path

import cv2
import numpy as np
from etils import epath
from jaxtyping import Float, Shaped, UInt

from fusejax.io.image_headers import SUFFIXES, UPRIGHT, Header, ImageError, ImageWarning, image_size, read_header
from fusejax.io.metadata import Metadata, embed
from fusejax.io.metadata.embedding import encode_tiff
from fusejax.io.outputs import write_complete
from fusejax.io.rasters import decode_raster, warn_of_fourth
from fusejax.io.tiff import read_tiff
from fusejax.io.tiff_layout import UNSIGNED, TiffLayout

__all__ = [
    "SUFFIXES",
    "WRITTEN_SUFFIXES",
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
    "upright",
    "write_image",
]

WRITTEN_SUFFIXES = (*SUFFIXES, ".webp")
"""Image files that are written."""

_TIFF = (".tif", ".tiff")
_SIXTEEN_BIT = (".png", *_TIFF)
_QUALITY = dict.fromkeys((".jpg", ".jpeg"), cv2.IMWRITE_JPEG_QUALITY) | {".webp": cv2.IMWRITE_WEBP_QUALITY}

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

_WHITE_IS_ZERO = 0  # photometric interpretation of a TIFF file
# Values that mapping and thermal tools write where nothing was measured, and a limit above which no
# measurement lies.
_NO_DATA = (-9999.0, -99999.0, -32768.0, -32767.0)
_NO_MEASUREMENT = 1e30

Pixels = Shaped[np.ndarray, "h w c"]


def read_image(path: str | os.PathLike) -> Pixels:
    """Reads an image in its stored data type, turned upright.

    Palettes are resolved, CMYK and YCbCr become RGB, and 9 to 15 bits per channel are scaled to 16.
    An alpha channel is dropped, with a warning unless it is opaque everywhere. If there are several
    pages, only the first is read, with a warning.

    Args:
        path: file with one of `SUFFIXES`.

    Returns:
        uint8 or uint16, gray [h, w, 1] or RGB [h, w, 3].

    Raises:
        ImageError: see `image_size`; also if the pixels are damaged or are not integers of at most
            16 bits. JPEG data that can be decoded despite errors cause an `ImageWarning`.
    """
    header = read_header(path)
    if header.layout and (header.layout.kind != UNSIGNED or header.bits > 16):
        stored = header.layout.stored_type()
        raise ImageError(f"{path}: pixels are {stored}; expected 8- or 16-bit integers. Convert the file first.")
    pixels = _read(path, header)
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ImageError(f"{path}: pixels are {pixels.dtype}; expected 8- or 16-bit integers. Convert the file first.")
    if header.layout and 8 < header.bits < 16:
        top = 2**header.bits - 1
        return ((pixels.astype(np.uint32) * 65535 + top // 2) // top).astype(np.uint16)
    return pixels


def read_thermal(path: str | os.PathLike) -> Pixels:
    """Like `read_image`, but with the values of the file, which may be counts or degrees.

    Values of 9 to 16 bits are returned as they are. TIFF files may also hold floats, signed
    integers and 32-bit integers, which are returned as floats. Pixels without data (not a number,
    the file's own "no data" value, -9999 and similar) get the lowest value of the others, and
    infinite ones the highest, with a warning.

    Args:
        path: file with one of `SUFFIXES`.

    Returns:
        uint8, uint16, float32 or float64, gray [h, w, 1] or RGB [h, w, 3].

    Raises:
        ImageError: see `read_image`; also if no pixel has data.
    """
    header = read_header(path)
    pixels = _read(path, header)
    if header.layout is None:
        return pixels
    if header.layout.photometric == _WHITE_IS_ZERO and header.layout.kind != UNSIGNED:
        text = f"{path}: marked as 0 is white, which is ignored for {header.layout.stored_type()}"
        warnings.warn(f"{text}; if hot is dark, invert with ir_polarity (--ir-polarity black).", ImageWarning, 2)
    return _fill_missing(pixels, header.layout, path)


def _read(path: str | os.PathLike, header: Header) -> Pixels:
    """Upright pixels."""
    if header.pages > 1:
        pages = "pages" if header.layout else "animation frames"
        warnings.warn(f"{path} has {header.pages} {pages}; only the first is used.", ImageWarning, stacklevel=3)
    if header.layout is None:
        pixels = decode_raster(path, animated=header.pages > 1)
    else:
        pixels = _decode_tiff(path, header.layout)
    return upright(pixels, header.orientation)


def upright(pixels: Pixels, orientation: int) -> Shaped[np.ndarray, "_ _ c"]:
    """Turns stored pixels upright.

    Args:
        pixels: as stored.
        orientation: of the file, 1 (upright) to 8, as in EXIF.
    """
    if orientation != UPRIGHT:
        transpose, flip_rows, flip_columns = _TO_UPRIGHT[orientation]
        pixels = pixels.swapaxes(0, 1) if transpose else pixels
        pixels = pixels[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]
    return np.ascontiguousarray(pixels)


def _decode_tiff(path: str | os.PathLike, layout: TiffLayout) -> Pixels:
    try:
        with Path(path).open("rb") as file:
            pixels, further = read_tiff(file, layout)
    except ValueError as error:
        raise ImageError(f"{path}: the image cannot be decoded: {error}.") from error
    if further is not None:
        warn_of_fourth(further[..., 0], path)
    return pixels


def _fill_missing(pixels: Pixels, layout: TiffLayout, shown: str | os.PathLike) -> Pixels:
    """Replaces pixels without data, see `read_thermal`."""
    missing = np.zeros(pixels.shape, bool) if layout.no_data is None else pixels == layout.no_data
    if np.issubdtype(pixels.dtype, np.floating):
        missing |= ~np.isfinite(pixels) | (np.abs(pixels) >= _NO_MEASUREMENT) | np.isin(pixels, _NO_DATA)
    if not missing.any():
        return pixels
    if missing.all():
        raise ImageError(f"{shown}: no pixel holds a value (all are NaN, infinite or a value for no data).")
    measured = pixels[~missing]
    filled = np.where(missing, measured.min(), pixels)
    if np.issubdtype(pixels.dtype, np.floating):
        filled[np.isposinf(pixels)] = measured.max()
    text = f"{shown}: {missing.mean():.2%} of the pixels hold no data (NaN, -9999 or similar)"
    warnings.warn(f"{text}; they count as the coldest ones.", ImageWarning, stacklevel=3)
    return filled


def as_infrared(pixels: Pixels) -> Shaped[np.ndarray, "h w 1"]:
    """Converts an image to one channel of the same data type; color becomes luma."""
    if pixels.shape[-1] == 1:
        return pixels
    from fusejax.ops.color import rgb_to_luma  # imports JAX, which the flags of commands do not need

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

    Example:
        >>> import numpy as np
        >>> to_float(np.array([0, 255], np.uint8)).tolist()
        [0.0, 1.0]
    """
    return pixels.astype(np.float32) / np.iinfo(pixels.dtype).max


def from_float(x: Float[np.ndarray, "..."], dtype: np.dtype | type) -> np.ndarray:
    """Scales floats to integer pixels, rounded to the nearest level and clipped.

    Args:
        x: any shape; 0 is black and 1 is white.
        dtype: uint8 or uint16.

    Returns:
        Pixels of that type, of the same shape.

    Example:
        >>> import numpy as np
        >>> from_float(np.array([0.0, 0.5, 1.0]), np.dtype(np.uint8)).tolist()
        [0, 128, 255]
    """
    top = np.iinfo(dtype).max
    return np.clip(np.round(np.asarray(x, np.float64) * top), 0, top).astype(dtype)


def write_image(
    path: str | os.PathLike,
    pixels: Shaped[np.ndarray, "..."],
    *,
    quality: int = 95,
    metadata: Metadata | None = None,
) -> list[str]:
    """Writes an image; the suffix determines the format.

    The file is written completely or not at all. An existing file is replaced; the caller must
    check whether that is allowed.

    Args:
        path: file to write, local or remote; its folder is created if needed.
        pixels: uint8 or uint16, gray [h, w] or [h, w, 1] or RGB [h, w, 3].
        quality: of JPEG and WebP files, 1 to 100; all other formats keep every value.
        metadata: EXIF, XMP and the like to store.

    Returns:
        What of the metadata the format cannot hold.

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
    if suffix not in WRITTEN_SUFFIXES:
        raise ImageError(f"{path}: unknown image suffix {path.suffix!r}; use one of {', '.join(WRITTEN_SUFFIXES)}.")
    if pixels.dtype == np.uint16 and suffix not in _SIXTEEN_BIT:  # OpenCV would saturate them silently
        raise ImageError(
            f"{path}: {suffix} supports 8 bits only; write 16-bit pixels to one of {', '.join(_SIXTEEN_BIT)}."
        )
    if metadata and suffix in _TIFF:
        content, left_out = encode_tiff(pixels.reshape(*pixels.shape[:2], -1), metadata)
        write_complete(path, content)
        return left_out
    bgr = pixels[..., ::-1] if pixels.ndim == 3 and pixels.shape[-1] == 3 else pixels
    how = [_QUALITY[suffix], quality] if suffix in _QUALITY else []
    ok, data = cv2.imencode(suffix, np.ascontiguousarray(bgr), how)
    if not ok:
        raise ImageError(f"{path}: {pixels.dtype} pixels of shape {pixels.shape} cannot be stored as {suffix}.")
    if not metadata:
        write_complete(path, data.data)
        return []
    content, left_out = embed(data.tobytes(), suffix, metadata)
    write_complete(path, content)
    return left_out
