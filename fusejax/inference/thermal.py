"""Infrared values as cameras store them, mapped to [0, 1].

Cameras store counts of 10 to 16 bits, or temperatures, and a scene covers only a small part of that
range. Dividing such values by the largest value of the file type would give the network an almost
uniform image.
"""

import dataclasses
import math
import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Bool, Float, Shaped

from fusejax.inference.measured import find_measured
from fusejax.io.cameras.units import SYMBOLS, Degrees
from fusejax.io.image_headers import ImageWarning

Range = tuple[float, float]
RangeOption = Literal["auto", "full"] | Range
Polarity = Literal["white", "black"]

# Fractions of the pixels below and above the automatic range, after a 3x3 median: this excludes
# dead pixels, but not a target of a few dozen pixels.
_TAILS = (0.0001, 0.9999)
_BITS = (8, 10, 12, 14, 16)
# An image that spans at least this fraction of the n-bit values uses them as a display image does.
_FULL_SHARE = 0.5
_EIGHT_IN_SIXTEEN = 257  # 65535 / 255


def check_range(ir_range: RangeOption) -> RangeOption:
    """Checks the option `ir_range`.

    Args:
        ir_range: "auto", "full", or two numbers LOW HIGH in the values of the file.

    Returns:
        The option, numbers as floats.

    Raises:
        ValueError: if it is anything else, or LOW is not below HIGH.
    """
    if isinstance(ir_range, str):
        if ir_range not in ("auto", "full"):
            raise ValueError(f"ir_range is {ir_range!r}; use auto, full, or two numbers LOW HIGH.")
        return ir_range
    try:
        low, high = (float(value) for value in ir_range)
    except (TypeError, ValueError) as error:
        raise ValueError(f"ir_range is {ir_range!r}; use auto, full, or two numbers (LOW, HIGH).") from error
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"ir_range is {low:g} {high:g}; LOW must be below HIGH.")
    return low, high


def full_range(dtype: np.dtype | type) -> Range:
    """The range of a data type: 0 to 255 or 65535; 0 to 1 for floats."""
    return (0.0, float(np.iinfo(dtype).max)) if np.issubdtype(dtype, np.integer) else (0.0, 1.0)


def robust_extremes(ir: Shaped[np.ndarray, "h w 1"]) -> Range:
    """Lowest and highest value of the scene without outliers: 0.01% and 99.99% quantiles after a
    3x3 median filter, of the pixels found by `find_measured`.

    Args:
        ir: uint8, uint16 or float values.

    Returns:
        (low, high) in the values of the image.
    """
    return _extremes(ir[..., 0], find_measured(ir[..., 0]).mask)


def _extremes(plane: Shaped[np.ndarray, "h w"], measured: Bool[np.ndarray, "h w"]) -> Range:
    plane = plane.astype(np.float32) if np.issubdtype(plane.dtype, np.floating) else plane
    if not measured.all():  # so that no other value gets into the medians
        plane = np.where(measured, plane, np.median(plane[measured]).astype(plane.dtype))
    plane = cv2.medianBlur(np.ascontiguousarray(plane), 3)
    if np.issubdtype(plane.dtype, np.floating):
        low, high = np.quantile(plane[measured], _TAILS)
        return float(low), float(high)
    # Counts values, because sorting would be slower and copy large images.
    counts = cv2.calcHist([plane], [0], measured.view(np.uint8), [2**16], [0, 2**16])
    number = int(measured.sum())
    ranks = np.floor(_TAILS[0] * (number - 1)), np.ceil(_TAILS[1] * (number - 1))
    levels = np.searchsorted(np.cumsum(counts.astype(np.int64)), ranks, side="right")
    return float(levels[0]), float(levels[1])


def automatic_ranges(images: Iterable[Shaped[np.ndarray, "h w 1"]], *, degrees: bool = False) -> dict[np.dtype, Range]:
    """One range per data type for all images of a camera, so that frames remain comparable.

    8-bit images and floats in [0, 1] use the range of their type. Wider integers that look like a
    display image do so as well: if every value is a multiple of 257 (8 bits stored in 16), or if
    the values span at least half of the range of 8, 10, 12, 14 or 16 bits, which is then the range.
    Everything else (raw counts and temperatures) uses the lowest and highest of the images'
    `robust_extremes`. An `ImageWarning` says what of the images does not show the scene and was
    left out: telemetry, saturated pixels, borders.

    Args:
        images: iterated once, one image at a time.
        degrees: floats are temperatures, even if all of them are in [0, 1].

    Returns:
        (low, high) in the values of the images, for each type that occurs.
    """
    extremes, full, without, number = defaultdict(list), {}, [], 0
    for ir in images:
        if ir.dtype == np.uint8:
            full[ir.dtype] = True
            continue
        if np.issubdtype(ir.dtype, np.integer):
            looks_full = not (ir % _EIGHT_IN_SIXTEEN).any()
        else:
            looks_full = bool(not degrees and ir.min() >= 0 and ir.max() <= 1)
        full[ir.dtype] = full.get(ir.dtype, True) and looks_full
        measured = find_measured(ir[..., 0])
        extremes[ir.dtype].append(_extremes(ir[..., 0], measured.mask))
        if measured.notes and not looks_full:
            without = without or measured.notes
            number += 1
    if without:
        which = f"{number} infrared images hold values that show no scene (first: {{}})"
        which = which if number > 1 else "the infrared image holds values that show no scene ({})"
        text = which.format(", ".join(without))
        warnings.warn(f"{text}; they do not decide the automatic range.", ImageWarning, stacklevel=2)
    return {dtype: full_range(dtype) if full[dtype] else _range_of(dtype, extremes[dtype]) for dtype in full}


def _range_of(dtype: np.dtype, extremes: list[Range]) -> Range:
    low, high = min(x for x, _ in extremes), max(x for _, x in extremes)
    if np.issubdtype(dtype, np.integer):
        top = next(2.0**bits - 1 for bits in _BITS if high <= 2.0**bits - 1)
        if high - low >= _FULL_SHARE * top:
            return 0.0, top
    return low, high


def describe_range(chosen: Range, dtype: np.dtype | type, *, unit: Degrees | None = None) -> str | None:
    """A line that states the chosen range; None if it is that of the data type.

    Args:
        chosen: the range.
        dtype: type of the values.
        unit: unit of the values, if they are temperatures.
    """
    low, high = chosen
    if unit:
        return (
            f"temperatures of {low:.4g} to {high:.4g} {SYMBOLS[unit]} are mapped to black and white; set another range "
            f"with ir_range (--ir-range {low:.4g} {high:.4g} --units {unit})."
        )
    if chosen == full_range(dtype):
        return None
    return (
        f"infrared values {low:g} to {high:g} are mapped to black and white; "
        f"set another range with ir_range (--ir-range {low:g} {high:g}, or full)."
    )


@dataclasses.dataclass(frozen=True)
class Ranges:
    """The infrared values that map to black and white, for each data type.

    Attributes:
        given: a range for all types; None if it depends on the type.
        measured: ranges found in images; other types use their full range.
        unit: unit of floats, if they are temperatures.
    """

    given: Range | None = None
    measured: Mapping[np.dtype, Range] = dataclasses.field(default_factory=dict)
    unit: Degrees | None = None

    def of(self, dtype: np.dtype | type) -> Range:
        """(low, high) for infrared images of this type."""
        return self.given or self.measured.get(np.dtype(dtype), full_range(dtype))

    def lines(self) -> list[str]:
        """States the measured ranges, unless they are those of the type."""
        lines = []
        for dtype, chosen in self.measured.items():
            unit = self.unit if np.issubdtype(dtype, np.floating) else None
            lines.append(describe_range(chosen, dtype, unit=unit))
        return [line for line in lines if line]


def choose_ranges(
    ir_range: RangeOption, images: Iterable[Shaped[np.ndarray, "h w 1"]], *, unit: Degrees | None = None
) -> Ranges:
    """What the option `ir_range` means for these images.

    Args:
        ir_range: checked option.
        images: infrared images of one camera, read only for "auto".
        unit: unit of floats, if they are temperatures.

    Returns:
        The ranges; the caller reports `Ranges.lines`.
    """
    if not isinstance(ir_range, str):
        return Ranges(given=ir_range)
    if ir_range == "full":
        return Ranges()
    return Ranges(measured=automatic_ranges(images, degrees=unit is not None), unit=unit)


def to_unit(
    ir: Shaped[np.ndarray, "*size"], chosen: Range, *, polarity: Polarity = "white"
) -> Float[np.ndarray, "*size"]:
    """Maps values linearly to [0, 1] and clips them.

    Args:
        ir: numbers of any type.
        chosen: (low, high), mapped to 0 and 1; if they are equal, every value above becomes 1.
        polarity: whether hot is "white" or "black" in the image; "black" is inverted.

    Returns:
        float32 in [0, 1]; hot is bright.

    Raises:
        ValueError: for an unknown polarity.
    """
    if polarity not in ("white", "black"):
        raise ValueError(f"ir_polarity is {polarity!r}; use white (hot is white) or black.")
    low, high = chosen
    if low == 0:  # rounds only once, as for display images
        unit = ir.astype(np.float32) / np.float32(high or 1)
    else:
        unit = ((ir.astype(np.float64) - low) / max(high - low, np.finfo(np.float32).tiny)).astype(np.float32)
    unit = np.clip(unit, 0, 1)
    return 1 - unit if polarity == "black" else unit
