"""Pixels of PNG, JPEG, BMP and other files but TIFF, as stored."""

import os
import warnings
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from jaxtyping import Shaped

from fusejax.io.image_headers import ImageError, ImageWarning

Pixels = Shaped[np.ndarray, "h w c"]

_PNG = b"\x89PNG\r\n\x1a\n"
_ANIMATION, _TEXTS, _LONG_TEXT = (b"acTL", b"fcTL", b"fdAT"), (b"tEXt", b"zTXt", b"iTXt"), 2**20


def decode_raster(path: str | os.PathLike, *, animated: bool = False) -> Pixels:
    """Decodes a file that is not TIFF.

    Args:
        path: image file with a readable header.
        animated: whether a PNG file holds an animation, of which the default image is decoded.

    Returns:
        uint8 or uint16 (float32 for PFM), gray [h, w, 1] or RGB [h, w, 3], as stored.

    Raises:
        ImageError: if the pixels are damaged.
    """
    data = Path(path).read_bytes()
    if data[:2] == b"\xff\xd8" and (pixels := _decode_jpeg(data, path)) is not None:
        return pixels
    if data[:8] == _PNG:
        data = _only_pixels(data, animated=animated)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ImageError(f"{path}: the image cannot be decoded ({error.err}); replace or remove it.") from error
    if pixels is None:
        raise ImageError(f"{path}: the image cannot be decoded because its pixels are damaged; replace or remove it.")
    if pixels.ndim == 2:
        return pixels[..., None]
    channels = pixels.shape[2]
    if channels == 4:
        warn_of_fourth(pixels[..., 3], path)
    if channels == 3:  # in place, so that large images need no second copy
        return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels)
    return pixels[..., 2::-1] if channels == 4 else pixels[..., :1]


def _only_pixels(data: bytes, *, animated: bool) -> bytes:
    """A PNG file without chunks that stop OpenCV: those of an animation, whose default image
    viewers without animations show, and texts of more than a megabyte (it takes 8).
    """
    kept, at = [data[:8]], 8
    while at + 12 <= len(data):
        end, name = at + 12 + int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if not (animated and name in _ANIMATION) and not (name in _TEXTS and end - at > _LONG_TEXT):
            kept.append(data[at:end])
        at = end
    return b"".join(kept)


def warn_of_fourth(channel: Shaped[np.ndarray, "h w"], path: str | os.PathLike) -> None:
    """Warns about a fourth channel unless it is opaque everywhere."""
    opaque = np.iinfo(channel.dtype).max if np.issubdtype(channel.dtype, np.integer) else 1.0
    if (channel != opaque).any():
        text = f"{path}: the fourth channel (transparency or near infrared) is dropped."
        warnings.warn(text, ImageWarning, stacklevel=4)


def _decode_jpeg(data: bytes, path: str | os.PathLike) -> Pixels | None:
    """Decodes strictly, because OpenCV accepts damaged data without naming the file.

    Returns None for files that are left to OpenCV (CMYK, data with errors).
    """
    try:
        colorspace = simplejpeg.decode_jpeg_header(data)[2]
        if colorspace not in ("Gray", "YCbCr", "RGB"):
            simplejpeg.decode_jpeg(data, colorspace="CMYK", strict=True)  # only for its errors
            return None
        return simplejpeg.decode_jpeg(data, colorspace="GRAY" if colorspace == "Gray" else "RGB", strict=True)
    except ValueError as error:
        warnings.warn(
            f"{path}: the JPEG data contain errors ({str(error).strip('.')}), so some pixels may be wrong; "
            "copy or export the file again.",
            ImageWarning,
            stacklevel=4,
        )
        return None
