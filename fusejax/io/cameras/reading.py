"""Opens the files of thermal cameras."""

import dataclasses
import os
import struct
from pathlib import Path

import numpy as np
from jaxtyping import UInt
from PIL import Image

from fusejax.io.cameras import dji, fff, flir
from fusejax.io.cameras.camera_file import Camera, CameraError, CameraFile, CameraLayout, Size
from fusejax.io.cameras.fff import FlirError, Record
from fusejax.io.cameras.radiometry import RadiometryError, check_span, to_kelvin
from fusejax.io.cameras.segments import Segment, app, frame_size, segments

_EXIF = b"Exif\0\0"
_MAKE, _MODEL, _SERIAL, _ORIENTATION = 0x010F, 0x0110, 0xA431, 0x0112
_EXIF_IFD = 0x8769
_AGAIN = "copy it from the camera again, or export its temperatures to a 32-bit TIFF and give that as --ir"


@dataclasses.dataclass(frozen=True)
class _Opened:
    """A file whose container is open; pixels of FLIR's are not decoded."""

    layout: CameraLayout
    records: dict[int, Record]
    counts: UInt[np.ndarray, "h w 1"] | None = None


def read_camera_layout(path: str | os.PathLike) -> CameraLayout | None:
    """Reads what a thermal camera's file holds, without decoding pixels.

    Args:
        path: any file.

    Returns:
        The layout, or None for a file of another kind.

    Raises:
        CameraError: if the file is damaged or contradicts itself; names it and says what to do.
        OSError: if it cannot be opened.
    """
    opened = _open(Path(path))
    return opened.layout if opened else None


def read_camera_file(path: str | os.PathLike, *, counts: bool = False, visible: bool = True) -> CameraFile | None:
    """Reads what a thermal camera stored.

    Args:
        path: any file.
        counts: return counts even if the file holds what is needed for temperatures.
        visible: decode the visible image.

    Returns:
        The content, as stored (not turned upright), or None for a file of another kind. FLIR files
        give kelvin, DJI files give counts, because DJI publishes no formula.

    Raises:
        CameraError: if the file is damaged or contradicts itself; names it and says what to do.
        OSError: if it cannot be opened.
    """
    path = Path(path)
    opened = _open(path)
    if opened is None:
        return None
    layout = opened.layout
    try:
        if opened.counts is not None:
            return CameraFile(layout, opened.counts, "counts")
        values, unit = flir.read_counts(opened.records[fff.RAW]), "counts"
        if not counts:
            values, unit = to_kelvin(values, flir.read_radiometry(opened.records[fff.CAMERA])), "k"
            check_span(values, layout.camera.span)
        picture = flir.read_visible(opened.records[fff.EMBEDDED]) if visible and layout.vi else None
    except FlirError as error:
        raise CameraError(f"{path}: {error}; {_AGAIN}.") from error
    except RadiometryError as error:
        raise CameraError(
            f"{path}: its temperatures cannot be computed, because {error}; fuse its counts with --ir-unit counts, "
            "or export its temperatures to a 32-bit TIFF and give that as --ir."
        ) from error
    return CameraFile(layout, values, unit, picture)


def _open(path: Path) -> _Opened | None:
    with path.open("rb") as file:
        found = list(segments(file))
    if not found:
        return None
    exif = _exif(found)
    try:
        container = fff.join(found)
        if container is not None:
            return _open_flir(container, found, exif)
        make = str(exif.get(_MAKE, "")).strip(" \0")
        values = dji.find_counts(found, by_dji=make.upper().startswith("DJI"))
    except (FlirError, dji.DjiError) as error:
        raise CameraError(f"{path}: {error}; {_AGAIN}.") from error
    if values is None:
        return None
    size = values.shape[0], values.shape[1]
    layout = CameraLayout("DJI", size, turned=_turned(exif, size, found), camera=_camera(exif))
    return _Opened(layout, {}, values)


def _open_flir(container: bytes, found: list[Segment], exif: Image.Exif) -> _Opened:
    records = fff.records(container)
    if fff.RAW not in records:
        raise FlirError("it holds no thermal image")
    if fff.CAMERA not in records:
        raise FlirError("it does not describe its camera")
    ir, vi, alignment, unplaced = flir.stated_size(records[fff.RAW]), None, None, ""
    try:
        if fff.EMBEDDED in records:
            vi = flir.stated_size(records[fff.EMBEDDED])
            if fff.PICTURE in records:
                alignment = flir.read_alignment(records[fff.PICTURE], ir, vi)
    except FlirError as error:  # temperatures do not depend on it
        unplaced = str(error)
    camera = flir.read_camera(records[fff.CAMERA])
    return _Opened(CameraLayout("FLIR", ir, vi, alignment, _turned(exif, ir, found), camera, unplaced), records)


def _exif(found: list[Segment]) -> Image.Exif:
    """The first EXIF block; empty if there is none or it is damaged, because pixels do not depend
    on it.
    """
    exif = Image.Exif()
    for segment in found:
        if segment.marker == app(1) and segment.data.startswith(_EXIF):
            try:
                exif.load(segment.data)
            except (OSError, ValueError, SyntaxError, KeyError, TypeError, IndexError, struct.error):
                return Image.Exif()
            break
    return exif


def _turned(exif: Image.Exif, ir: Size, found: list[Segment]) -> int:
    """The orientation of the file's picture, if it is stored the same way round as the counts.

    Picture viewers turn the picture and leave the counts as they are; then it says nothing about
    them.
    """
    value = exif.get(_ORIENTATION, 1)
    size = frame_size(found)
    alike = size is None or (size[0] > size[1]) == (ir[0] > ir[1])
    return value if alike and isinstance(value, int) and 1 <= value <= 8 else 1


def _camera(exif: Image.Exif) -> Camera:
    text = {tag: str(exif.get(tag, "")).strip(" \0") for tag in (_MAKE, _MODEL)}
    serial = str(exif.get_ifd(_EXIF_IFD).get(_SERIAL, "")).strip(" \0")
    return Camera(make=text[_MAKE], model=text[_MODEL], serial=serial)
