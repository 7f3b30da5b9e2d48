"""FLIR's radiometric JPEG: counts, calibration, a visible image and how it lies."""

import io
import struct
import zlib

import numpy as np
from jaxtyping import UInt
from PIL import Image

from fusejax.io.cameras import fff
from fusejax.io.cameras.camera_file import Alignment, Camera
from fusejax.io.cameras.fff import FlirError, Record
from fusejax.io.cameras.radiometry import Radiometry

_CELSIUS = 273.15
_PICTURE_AT = 32  # offset of the pixels in the records of counts and of the visible image
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
# Larger images than any such camera has; stops a header that lies before memory is taken.
_MOST_COUNTS, _MOST_VISIBLE = 2**23, 2**26
# Bounds on what a picture in picture may say.
_SCALES = (0.05, 20.0)


def stated_size(record: Record) -> tuple[int, int]:
    """Height and width that a record of counts or of a visible image states.

    Raises:
        FlirError: if it states none.
    """
    width, height = record.numbers("2H", 2)
    if not (width and height):
        raise FlirError(f"its image is stated to be {width}x{height}")
    return height, width


def read_counts(record: Record) -> UInt[np.ndarray, "h w 1"]:
    """The sensor's values.

    Most cameras store a 16-bit PNG whose bytes are in the wrong order, some in the right one. The
    order in which neighbors differ less is taken: in the other, noise of a few counts becomes one
    of thousands.

    Raises:
        FlirError: if the pixels are damaged or are more or fewer than stated.
    """
    size, data = stated_size(record), record.data[_PICTURE_AT:]
    if size[0] * size[1] > _MOST_COUNTS:
        raise FlirError(f"its thermal image is stated to be {size[1]}x{size[0]}, larger than any camera's")
    if data[:8] == _PNG:
        pixels = _decode(data, size, "thermal image")
        if pixels.dtype not in (np.uint16, np.int32) or pixels.ndim != 2:  # int32: older versions of Pillow
            raise FlirError("the PNG of its thermal image does not hold 16-bit values")
        pixels = pixels.astype(np.uint16)
        swapped = pixels.byteswap()
        pixels = swapped if _roughness(swapped) < _roughness(pixels) else pixels
    elif data[:3] == _JPEG:
        raise FlirError("its thermal image is coded as JPEG, which is not read for counts")
    else:
        needed = 2 * size[0] * size[1]
        if len(data) != needed:
            raise FlirError(
                f"its thermal image is stated to be {size[1]}x{size[0]}, which takes {needed} bytes, but it holds "
                f"{len(data)}"
            )
        pixels = np.frombuffer(data, np.dtype(np.uint16).newbyteorder(record.order)).astype(np.uint16).reshape(size)
    return pixels[..., None]


def _roughness(pixels: UInt[np.ndarray, "h w"]) -> float:
    """Mean difference between neighbors in a row."""
    return float(np.abs(np.diff(pixels.astype(np.int32), axis=1)).mean()) if pixels.shape[1] > 1 else 0.0


def _decode(data: bytes, size: tuple[int, int], what: str, *, mode: str | None = None) -> np.ndarray:
    """Pixels of an embedded file, if it is whole and as large as the record says."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.size != size[::-1]:
                held = f"{image.size[0]}x{image.size[1]}"
                raise FlirError(f"its {what} is stated to be {size[1]}x{size[0]} but is {held}")
            return np.asarray(image if mode in (None, image.mode) else image.convert(mode))
    except FlirError:
        raise
    except (OSError, ValueError, SyntaxError, struct.error, zlib.error, Image.DecompressionBombError) as error:
        raise FlirError(f"its {what} is damaged ({error})") from error


def read_visible(record: Record) -> UInt[np.ndarray, "H W 3"]:
    """The visible image as RGB.

    Raises:
        FlirError: if it is damaged, or has another size than stated.
    """
    size, data = stated_size(record), record.data[_PICTURE_AT:]
    if size[0] * size[1] > _MOST_VISIBLE:
        raise FlirError(f"its visible image is stated to be {size[1]}x{size[0]}, larger than any camera's")
    if data[:8] != _PNG and data[:3] != _JPEG:
        raise FlirError("its visible image is neither JPEG nor PNG")
    pixels = _decode(data, size, "visible image", mode="RGB")
    if data[:8] == _PNG and _is_ycc(pixels):
        pixels = np.asarray(Image.fromarray(pixels, mode="YCbCr").convert("RGB"))
    return pixels


def _is_ycc(pixels: UInt[np.ndarray, "H W 3"]) -> bool:
    """Whether the channels of a PNG are luma and chroma, as cameras store them without saying so.

    Chroma varies less than luma and is centered at 128; red, green and blue vary alike.
    """
    samples = pixels[::4, ::4].reshape(-1, 3).astype(np.float32)
    luma, cb, cr = samples.std(axis=0)
    centered = np.abs(samples[:, 1:].mean(axis=0) - 128).max() < 64
    return bool(centered and max(cb, cr) < 0.5 * luma)


def read_alignment(record: Record, ir: tuple[int, int], vi: tuple[int, int]) -> Alignment:
    """How the visible image lies, from the picture in picture.

    Real2IR is the ratio of the two fields of view; the offsets shift the infrared image from the
    center of the visible image and are counted in its pixels.

    Args:
        record: the picture in picture.
        ir: height and width of the infrared image.
        vi: height and width of the visible image.

    Raises:
        FlirError: if the numbers are absurd.
    """
    (ratio,), (x, y) = record.numbers("f", 0), record.numbers("2h", 4)
    if not _SCALES[0] <= ratio <= _SCALES[1] or abs(x) > vi[1] or abs(y) > vi[0]:
        raise FlirError(f"its alignment is absurd (Real2IR {ratio:g}, offset {x} {y})")
    return Alignment(vi[1] / ir[1] / ratio, float(x), float(y))


def read_radiometry(record: Record) -> Radiometry:
    """Calibration and the scene's parameters from the camera's record.

    Raises:
        FlirError: if the record is too short.
    """
    emissivity, distance, reflected, air, window, transmission = record.numbers("6f", 0x20)
    (humidity,) = record.numbers("f", 0x3C)
    r1, b, f = record.numbers("3f", 0x58)
    alpha1, alpha2, beta1, beta2, x = record.numbers("5f", 0x70)
    o, r2 = record.numbers("if", 0x308)
    return Radiometry(
        r1=r1,
        r2=r2,
        b=b,
        f=f,
        o=o,
        emissivity=emissivity,
        distance=distance,
        reflected=reflected,
        air=air,
        window=window,
        window_transmission=transmission,
        humidity=humidity / 100 if humidity > 2 else humidity,  # some files hold percent
        alpha1=alpha1,
        alpha2=alpha2,
        beta1=beta1,
        beta2=beta2,
        x=x,
    )


def read_camera(record: Record) -> Camera:
    """The camera's names and settings; the maker is FLIR, whoever sold it.

    Raises:
        FlirError: if the record is too short.
    """
    highest, lowest = record.numbers("2f", 0x90)
    emissivity, distance = record.numbers("2f", 0x20)
    return Camera(
        make="FLIR",
        model=record.text(0xD4, 32),
        serial=record.text(0x104, 16),
        lens=record.text(0x170, 32),
        emissivity=emissivity,
        distance=distance,
        span=(lowest - _CELSIUS, highest - _CELSIUS) if 0 < lowest < highest < 1e4 else None,
    )


__all__ = [
    "FlirError",
    "fff",
    "read_alignment",
    "read_camera",
    "read_counts",
    "read_radiometry",
    "read_visible",
    "stated_size",
]
