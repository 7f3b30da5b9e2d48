"""Reads the two images of a pair: two files, or one file of a camera."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Shaped

from fusejax.io.cameras import (
    Camera,
    CameraError,
    CameraLayout,
    Degrees,
    Unit,
    common_field,
    convert,
    read_camera_file,
    read_camera_layout,
)
from fusejax.io.cameras.frame import Field, Frame, Grid
from fusejax.io.cameras.units import Stored
from fusejax.io.image_headers import ImageError, check_is_file, read_header
from fusejax.io.images import as_infrared, read_image, upright
from fusejax.io.infrared import read_infrared, turned_size, unit_problem
from fusejax.io.pair_names import PairPaths

Size = tuple[int, int]
Pixels = Shaped[np.ndarray, "_ _ _"]
Correct = Callable[[Pixels, Pixels, str], tuple[float, float] | None]
"""Takes the infrared and the visible image of one file as it places them, on one grid, and the name
of the pair; returns how far the infrared image has to be moved, in pixels of that grid to the right
and down, or None."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """How the files of a pair are read.

    Attributes:
        frame: whose pixels are kept if one file holds both images, where the result shows what both
            show; and where images are registered: vi (the whole visible image), ir (the whole
            infrared one; the visible image is black where it shows nothing), or common (the
            rectangle of the visible image that both show).
        units: unit of temperatures, of ranges and of marks: c, k or f. Without it, FLIR's files
            are in degrees Celsius and the values of other files are used as stored.
        ir_unit: what the values of the infrared files are, if the files do not say it: counts, k,
            ck (hundredths of a kelvin), c or f.
    """

    frame: Grid = "vi"
    units: Degrees | None = None
    ir_unit: Stored = "auto"

    @property
    def kept(self) -> Frame:
        """Image whose pixels are kept of a file that holds both."""
        return "ir" if self.frame == "ir" else "vi"

    @property
    def degrees(self) -> bool:
        """Whether temperatures are needed, so that files that hold none are refused."""
        return self.units is not None


class PairImages(NamedTuple):
    """A pair as it was read, on one pixel grid if it comes from one file.

    Attributes:
        ir: [h, w, c] infrared as read: uint8, uint16 or float.
        vi: [h, w, c] visible, uint8 or uint16.
        unit: unit of `ir`, or None if nobody says.
        camera: the thermal camera, if its file says so.
        note: what was assumed about the unit, if anything.
    """

    ir: Shaped[np.ndarray, "_ _ _"]
    vi: Shaped[np.ndarray, "_ _ _"]
    unit: Unit | None = None
    camera: Camera | None = None
    note: str | None = None


def in_one_file(pair: PairPaths) -> bool:
    """Whether one file holds both images."""
    return pair.ir == pair.vi


class PairHeader(NamedTuple):
    """What is known about a pair before its pixels are decoded.

    Attributes:
        ir: height and width of the infrared image as `read_pair` gives it.
        vi: height and width of the visible image.
        ir_bits: bits per channel of the infrared file, see `fusejax.io.image_headers.Header`; 8 for
            the picture in a camera's file.
        vi_bits: bits per channel of the visible file.
        layout: content of the infrared file, if it is that of a camera.
    """

    ir: Size
    vi: Size
    ir_bits: int
    vi_bits: int
    layout: CameraLayout | None

    @property
    def deep(self) -> bool:
        """Whether infrared has more than 8 bits, or is a camera's, so that its range matters."""
        return self.layout is not None or self.ir_bits > 8


def read_pair_header(pair: PairPaths, options: SourceOptions) -> PairHeader:
    """Reads the headers of a pair.

    Raises:
        ImageError: if a file cannot be read, see `read_header`, or does not state the temperatures
            that are needed.
        CameraError: if a camera's file is damaged, or does not hold both images or how they lie.
    """
    check_is_file(pair.ir)  # a pipe would be waited for
    layout = read_camera_layout(pair.ir)
    if options.degrees and (problem := unit_problem(pair.ir, layout, stored=options.ir_unit)):
        raise ImageError(problem)
    if in_one_file(pair):
        size = turned_size(_field(pair, layout, options.kept).size, layout.turned if layout else 1)
        return PairHeader(size, size, 8, 8, layout)
    vi = read_header(pair.vi)
    if layout:
        return PairHeader(turned_size(layout.ir, layout.turned), vi.size, 8, vi.bits, layout)
    ir = read_header(pair.ir)
    return PairHeader(ir.size, vi.size, ir.bits, vi.bits, None)


def read_pair(pair: PairPaths, options: SourceOptions, *, correct: Correct | None = None) -> PairImages:
    """Reads both images; those of one file are cut to their common field and have equal sizes.

    Args:
        pair: the pair.
        options: how the files are read.
        correct: what to change where one file holds both images and says how they lie.

    Returns:
        The images.

    Raises:
        ImageError: see `read_infrared` and `read_image`.
        CameraError: see `read_camera_file`.
    """
    if in_one_file(pair):
        return _read_one_file(pair, options, correct)
    vi = read_image(pair.vi)
    ir = read_infrared(pair.ir, stored=options.ir_unit, wanted=options.units, degrees=options.degrees)
    return PairImages(ir.values, vi, ir.unit, ir.camera, ir.note)


def read_visible(pair: PairPaths, options: SourceOptions) -> Shaped[np.ndarray, "h w c"]:
    """The visible image alone, as `read_pair` gives it.

    Raises:
        ImageError: see `read_image`.
        CameraError: see `read_camera_file`.
    """
    return read_pair(pair, options).vi if in_one_file(pair) else read_image(pair.vi)


def read_values(pair: PairPaths, options: SourceOptions) -> Shaped[np.ndarray, "h w 1"]:
    """The infrared values alone, for measuring their range.

    Raises:
        ImageError: see `read_infrared`.
        CameraError: see `read_camera_file`.
    """
    ir = read_infrared(pair.ir, stored=options.ir_unit, wanted=options.units, degrees=options.degrees)
    return as_infrared(ir.values)


def _field(pair: PairPaths, layout: CameraLayout | None, frame: Frame) -> Field:
    if layout is None:
        raise CameraError(
            f"{pair.ir} is not a radiometric JPEG of FLIR or DJI, so it holds one image only; give its visible partner "
            "with --vi."
        )
    name = f" ({layout.camera.model or layout.kind})"
    why = f": {layout.unplaced}" if layout.unplaced else ""
    if layout.vi is None:
        raise CameraError(f"{pair.ir}{name} holds no visible image{why}; give its photo with --vi.")
    if layout.alignment is None:
        raise CameraError(
            f"{pair.ir}{name} holds a visible image but does not say how it lies{why}; extract it (exiftool -b "
            "-EmbeddedImage), align it with the infrared image and give it with --vi."
        )
    try:
        return common_field(layout.alignment, layout.ir, layout.vi, frame)
    except ValueError as error:
        raise CameraError(f"{pair.ir}{name}: {error}; give an aligned photo with --vi.") from error


def _read_one_file(pair: PairPaths, options: SourceOptions, correct: Correct | None) -> PairImages:
    """Cuts one image to the common field and resamples the other onto its pixels.

    The file's own numbers are exact at one distance only; `correct` may know better.
    """
    found = read_camera_file(pair.ir, counts=options.ir_unit == "counts")
    field = _field(pair, found.layout if found else None, options.kept)
    assert found is not None and found.visible is not None
    layout, values, unit = found.layout, found.thermal, found.unit
    if unit != "counts":
        wanted: Degrees = options.units or "c"
        values, unit = convert(values, unit, wanted), wanted
    ir, vi = field.place(values, found.visible)
    if correct is not None and (shift := correct(ir, vi, pair.id)) is not None:
        ir, vi = field.moved(shift, found.visible.shape[:2]).place(values, found.visible)
    return PairImages(upright(ir, layout.turned), upright(vi, layout.turned), unit, layout.camera)
