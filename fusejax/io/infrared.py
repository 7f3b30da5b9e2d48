"""Infrared values from any file: counts or temperatures, with their unit."""

import dataclasses
import os
import re
from pathlib import Path

import numpy as np
from jaxtyping import Shaped
from PIL import Image

from fusejax.io.cameras import Camera, CameraLayout, Degrees, Unit, convert, read_camera_file
from fusejax.io.cameras.units import SYMBOLS, Stored
from fusejax.io.image_headers import ImageError, read_header
from fusejax.io.images import as_infrared, read_thermal, upright

_DESCRIPTION, _GDAL = 270, 42112
_UNIT_TYPE = re.compile(r"role=[\"']unittype[\"'][^>]*>\s*([^<]+?)\s*<", re.IGNORECASE)
_WORDS: dict[str, Unit] = {
    "centikelvin": "ck",
    "kelvin": "k",
    "k": "k",
    "celsius": "c",
    "degc": "c",
    "°c": "c",
    "c": "c",
    "fahrenheit": "f",
    "degf": "f",
    "°f": "f",
    "f": "f",
}
# Floats without a stated unit: scenes on Earth are colder than this in degrees Celsius, and warmer
# than this in kelvin.
_HOTTEST_CELSIUS, _COLDEST_KELVIN = 160.0, 173.0


@dataclasses.dataclass(frozen=True)
class Infrared:
    """An infrared image.

    Attributes:
        values: [h, w, 1 or 3], upright: uint8, uint16 or float; a picture in color has three
            channels.
        unit: unit of the values, or None if nobody says.
        camera: the thermal camera, if the file is that of a camera.
        note: what was assumed about the unit, if anything.
    """

    values: Shaped[np.ndarray, "h w c"]
    unit: Unit | None
    camera: Camera | None = None
    note: str | None = None


def turned_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Height and width of stored pixels after they are turned upright."""
    return size if orientation < 5 else (size[1], size[0])


def unit_problem(path: str | os.PathLike, layout: CameraLayout | None, *, stored: Stored) -> str | None:
    """Why the degrees of a file cannot be known, from its header alone; None if they can.

    Args:
        path: infrared file.
        layout: its content, if it is that of a camera.
        stored: what the user says about its values.
    """
    if layout is not None:
        return _camera_problem(path, layout, stored)
    if stored == "counts":
        return f"{path}: counts are not degrees; leave out --ir-unit counts."
    if stored != "auto" or _stated_unit(Path(path)):
        return None
    header = read_header(path)
    if header.layout and header.layout.stored_type().startswith("float"):
        return None
    return (
        f"{path} holds integers and does not state their unit; say what they are with --ir-unit, such as ck "
        "(hundredths of a kelvin)."
    )


def _camera_problem(path: str | os.PathLike, layout: CameraLayout, stored: Stored) -> str | None:
    if layout.kind == "DJI":
        return (
            f"{path} holds counts, and DJI publishes no formula that turns them into degrees; export them to a 32-bit "
            "TIFF with DJI's Thermal SDK and give that as --ir."
        )
    if stored not in ("auto", "k"):
        return f"{path} states its own temperatures; leave out --ir-unit {stored}."
    return None


def read_infrared(
    path: str | os.PathLike, *, stored: Stored = "auto", wanted: Degrees | None = None, degrees: bool = False
) -> Infrared:
    """Reads an infrared image.

    Args:
        path: image, or file of a FLIR or DJI camera.
        stored: unit of the values, if the user knows it.
        wanted: unit to convert temperatures to. Without it, FLIR's files give degrees Celsius and
            all others their values as stored.
        degrees: find out the unit of floats that state none, from their values.

    Returns:
        The values and their unit.

    Raises:
        ImageError: see `read_thermal`; also if `wanted` is given and the file does not say what its
            values are.
        CameraError: see `read_camera_file`.
    """
    path = Path(path)
    degrees = degrees or wanted is not None
    found = read_camera_file(path, counts=stored == "counts", visible=False)
    if degrees and (problem := unit_problem(path, found.layout if found else None, stored=stored)):
        raise ImageError(problem)
    if found:
        values, camera = upright(found.thermal, found.layout.turned), found.layout.camera
        if found.unit == "counts":
            return Infrared(values, "counts", camera)
        unit = wanted or "c"
        return Infrared(convert(values, found.unit, unit), unit, camera)
    values, note = read_thermal(path), None
    unit = _stated_unit(path) if stored == "auto" else stored
    if unit is None and degrees:
        unit, note = _guessed_unit(path, values)
    if degrees and unit == "ck":
        wanted = wanted or "k"
    if unit is None or unit == "counts" or wanted is None:
        return Infrared(values, unit, note=note)
    return Infrared(convert(as_infrared(values), unit, wanted), wanted, note=note)


def _stated_unit(path: Path) -> Unit | None:
    """The unit that a TIFF file states in its description or in GDAL's metadata."""
    if path.suffix.lower() not in (".tif", ".tiff"):
        return None
    try:
        with Image.open(path) as image:
            tags = getattr(image, "tag_v2", {})
            texts = [str(tags.get(tag, "")) for tag in (_DESCRIPTION, _GDAL)]
    except (OSError, ValueError, SyntaxError):  # what Pillow does not read states no unit to us
        return None
    if stated := _UNIT_TYPE.search(texts[1]):
        return _WORDS.get(stated[1].lower())
    words: set[Unit] = {_WORDS[w] for w in re.findall(r"[a-z]+", texts[0].lower()) if len(w) > 1 and w in _WORDS}
    return words.pop() if len(words) == 1 else None


def _guessed_unit(path: Path, values: Shaped[np.ndarray, "h w c"]) -> tuple[Unit, str]:
    low, high = float(values.min()), float(values.max())
    if high < _HOTTEST_CELSIUS:
        unit: Unit = "c"
    elif low > _COLDEST_KELVIN:
        unit = "k"
    else:
        raise ImageError(
            f"{path} holds values from {low:g} to {high:g} and does not state their unit; say what they are with "
            "--ir-unit c, k or f."
        )
    return unit, (
        f"{path} does not state its unit; values from {low:g} to {high:g} are taken for {SYMBOLS[unit]}. Say otherwise "
        "with --ir-unit."
    )
