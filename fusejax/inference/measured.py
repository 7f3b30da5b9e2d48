"""Which pixels of a raw infrared image show the scene, so that they may decide its range.

Cameras and tools also store rows of telemetry, saturated pixels, and constant borders around a
rectified image. Their values are far from those of the scene, and a few of them would leave only
a small part of the range for it.
"""

import math
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Shaped

# Values of saturated pixels, by the bits of the sensor.
_SATURATED = tuple(2**bits - 1 for bits in (10, 12, 14, 16))
# A value is none of the scene if it is this far from the others, as a fraction of their span: for
# constant borders, and for zeros and saturated values inside the image.
_BORDER_GAP, _INNER_GAP = 0.05, 0.5
_MOST_TELEMETRY = 8  # rows at one edge
_LEAST_ROWS = 4 * _MOST_TELEMETRY
# Of a row of telemetry, more than this share of the values lies outside the scene's, and
# neighbors differ by more than this fraction of the span on average.
_OUTSIDE, _ROUGH = 0.1, 0.25
_LEAST_SHARE = 0.4  # of the pixels must be left; a background may be constant too
_SAMPLES = 2**18
_TAILS = (0.002, 0.998)

Plane = Shaped[np.ndarray, "h w"]
Mask = Bool[np.ndarray, "h w"]


class Measured(NamedTuple):
    """Result of `find_measured`.

    Attributes:
        mask: which pixels show the scene.
        notes: what was left out, a phrase for each kind.
    """

    mask: Mask
    notes: list[str]


def find_measured(plane: Plane) -> Measured:
    """Finds the pixels that show the scene.

    Pixels next to a border or a saturated area are left out with it, since they may be blends.

    Args:
        plane: counts or temperatures, finite.

    Returns:
        The mask and the notes; everything is kept if hardly anything would be left.
    """
    constants = _constants(plane)
    unusual = np.logical_or.reduce([np.zeros(plane.shape, bool), *constants.values()])
    telemetry = _telemetry(plane, unusual)
    inside = ~unusual & ~telemetry[:, None]
    if not inside.any():
        return Measured(np.ones(plane.shape, bool), [])
    low, high = _span(plane[inside])
    out, notes = np.zeros(plane.shape, bool), []
    for value, mask in constants.items():
        border = mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any()
        gap = (_BORDER_GAP if border and value not in _SATURATED else _INNER_GAP) * (high - low)
        if low - gap <= value <= high + gap:
            continue
        out |= mask
        share = f"{mask.mean():.1%}" if mask.mean() >= 0.001 else f"{int(mask.sum())} pixels"
        notes.append(f"{'a border of' if border else 'values of'} {value:g}, {share}")
    if out.any():
        out = cv2.dilate(out.view(np.uint8), np.ones((3, 3), np.uint8)).view(bool)
    if telemetry.any():
        out[telemetry] = True
        notes.append(f"{int(telemetry.sum())} rows of telemetry")
    if out.mean() > 1 - _LEAST_SHARE:
        return Measured(np.ones(plane.shape, bool), [])
    return Measured(~out, notes)


def _constants(plane: Plane) -> dict[float, Mask]:
    """Where the values are that borders, dead and saturated pixels have."""
    borders = [line.flat[0] for line in (plane[0], plane[-1], plane[:, 0], plane[:, -1]) if np.ptp(line) == 0]
    codes = (0, *(code for code in _SATURATED if code <= float(plane.max())))
    masks = {float(value): plane == value for value in (*borders, *codes)}
    return {value: mask for value, mask in masks.items() if mask.any()}


def _telemetry(plane: Plane, unusual: Mask) -> Bool[np.ndarray, " h"]:
    """Rows at the top and bottom that hold data about the frame."""
    rows = np.zeros(len(plane), bool)
    core = slice(_MOST_TELEMETRY, -_MOST_TELEMETRY)
    if len(plane) < _LEAST_ROWS or unusual[core].all():
        return rows
    low, high = _span(plane[core][~unusual[core]])
    span = high - low
    for order in (range(_MOST_TELEMETRY), range(len(plane) - 1, len(plane) - 1 - _MOST_TELEMETRY, -1)):
        for row in order:
            values = plane[row].astype(np.float64)
            outside = ((values < low - _INNER_GAP * span) | (values > high + _INNER_GAP * span)).mean()
            if outside <= _OUTSIDE or np.abs(np.diff(values)).mean() <= _ROUGH * span:
                break
            rows[row] = True
    return rows


def _span(values: Shaped[np.ndarray, " n"]) -> tuple[float, float]:
    """Lowest and highest value without outliers, from a sample."""
    sample = values[:: math.ceil(values.size / _SAMPLES)]
    low, high = np.quantile(sample.astype(np.float64), _TAILS)
    return float(low), float(high)
