"""Opens the files of thermal cameras."""

import os
from pathlib import Path

from PIL import Image

from fusejax.io.cameras import dji, fff, flir
from fusejax.io.cameras.camera_file import Camera, CameraError, CameraFile
from fusejax.io.cameras.fff import FlirError
from fusejax.io.cameras.radiometry import RadiometryError, to_kelvin
from fusejax.io.cameras.segments import JPEG, Segment, app, segments

_EXIF = b"Exif\0\0"
_MAKE, _MODEL, _SERIAL, _ORIENTATION = 0x010F, 0x0110, 0xA431, 0x0112
_EXIF_IFD = 0x8769
_AGAIN = "copy it from the camera again, or export its temperatures to a 32-bit TIFF and give that as --ir"


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
    with path.open("rb") as file:
        if file.read(2) != JPEG:
            return None
        file.seek(0)
        data = file.read()
    found = list(segments(data))
    try:
        container = fff.join(found)
        if container is not None:
            return _flir(path, container, found, counts=counts, visible=visible)
        exif = _exif(found)
        make = str(exif.get(_MAKE, "")).strip(" \0")
        values = dji.find_counts(found, by_dji=make.upper().startswith("DJI"))
    except (FlirError, dji.DjiError) as error:
        raise CameraError(f"{path}: {error}; {_AGAIN}.") from error
    if values is None:
        return None
    return CameraFile("DJI", values, "counts", camera=_camera(exif), turned=_turned(exif))


def is_camera_file(path: str | os.PathLike) -> bool:
    """Whether a file holds a camera's thermal values beside its picture; damaged ones count.

    Raises:
        OSError: if it cannot be opened.
    """
    with Path(path).open("rb") as file:
        if file.read(2) != JPEG:
            return False
        file.seek(0)
        found = list(segments(file.read()))
    if any(s.marker == app(1) and s.data.startswith(b"FLIR\0") for s in found):
        return True
    make = str(_exif(found).get(_MAKE, "")).strip(" \0")
    try:
        return dji.find_counts(found, by_dji=make.upper().startswith("DJI")) is not None
    except dji.DjiError:
        return True


def _flir(path: Path, container: bytes, found: list[Segment], *, counts: bool, visible: bool) -> CameraFile:
    records = fff.records(container)
    if fff.RAW not in records:
        raise FlirError("it holds no thermal image")
    values, unit = flir.read_counts(records[fff.RAW]), "counts"
    if fff.CAMERA not in records:
        raise FlirError("it does not describe its camera")
    camera = flir.read_camera(records[fff.CAMERA])
    if not counts:
        try:
            values, unit = to_kelvin(values, flir.read_radiometry(records[fff.CAMERA])), "k"
        except RadiometryError as error:
            raise CameraError(
                f"{path}: its temperatures cannot be computed, because {error}; fuse its counts with --ir-unit counts, "
                "or export its temperatures to a 32-bit TIFF and give that as --ir."
            ) from error
    picture, alignment = None, None
    if visible and fff.EMBEDDED in records:
        picture = flir.read_visible(records[fff.EMBEDDED])
        if fff.PICTURE in records:
            size = picture.shape[0], picture.shape[1]
            alignment = flir.read_alignment(records[fff.PICTURE], (values.shape[0], values.shape[1]), size)
    return CameraFile("FLIR", values, unit, picture, alignment, camera, _turned(_exif(found)))


def _exif(found: list[Segment]) -> Image.Exif:
    """The first EXIF block; empty if there is none or it is damaged, because pixels do not depend
    on it.
    """
    exif = Image.Exif()
    for segment in found:
        if segment.marker == app(1) and segment.data.startswith(_EXIF):
            try:
                exif.load(segment.data)
            except (OSError, ValueError, SyntaxError, KeyError):
                return Image.Exif()
            break
    return exif


def _turned(exif: Image.Exif) -> int:
    value = exif.get(_ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _camera(exif: Image.Exif) -> Camera:
    text = {tag: str(exif.get(tag, "")).strip(" \0") for tag in (_MAKE, _MODEL)}
    serial = str(exif.get_ifd(_EXIF_IFD).get(_SERIAL, "")).strip(" \0")
    return Camera(make=text[_MAKE], model=text[_MODEL], serial=serial)
