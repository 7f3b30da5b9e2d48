"""Areas of an infrared image without content: frames, strips and borders left by rectification."""

import math

import cv2
import numpy as np
from jaxtyping import Bool, Float, Shaped

_TOLERANCE = 3  # levels by which JPEG changes a constant of 8 bits
_LEAST_AREA = 0.002  # of the image; smaller areas are not worth a seam
_LEAST_CONSTANT = 0.25  # share of the border that must have a value that is not black or white
_MOST_INSIDE = 0.15  # share of an area that may lie in the convex hull of the rest
_WIDENED, _FEATHER = 6, 10  # pixels: interpolation and compression spread the edge of an area
_LONGEST = 1024  # pixels of a side; larger images are examined with a stride

Values = Shaped[np.ndarray, "h w"]
Mask = Bool[np.ndarray, "h w"]


def empty_weight(ir: Shaped[np.ndarray, "h w c"]) -> Float[np.ndarray, "h w 1"] | None:
    """How far each pixel of an infrared image lies in an area without content.

    Such an area is constant (black, white, or a value that much of the border has), touches the
    border of the image, and lies outside the convex hull of the rest, as what surrounds the
    footprint of a camera does. Soft vignettes, cold skies above a skyline and saturated objects at
    the border are content.

    Args:
        ir: infrared image as stored, uint8, uint16 or float.

    Returns:
        1 in the area, 0 where the image has content, with a ramp of a few pixels between them;
        None if the whole image has content.
    """
    h, w = ir.shape[:2]
    step = math.ceil(max(h, w) / _LONGEST)
    plane = ir[::step, ::step, 0].astype(np.float32)
    border = np.concatenate([plane[0], plane[-1], plane[1:-1, 0], plane[1:-1, -1]])
    empty = np.zeros(plane.shape, bool)
    for value in _constants(border, ir.dtype):
        # Grays of a scene are close to each other, black and white are ends of the range.
        tolerance = _TOLERANCE if ir.dtype == np.uint8 and value in (0, 255) else 0
        near = np.abs(border - value) <= tolerance
        if near.mean() > _LEAST_AREA:
            empty |= _strips(np.abs(plane - value) <= tolerance)
    if not empty.any():
        return None
    distance = cv2.distanceTransform((~empty).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    weight = np.clip(1 - (step * distance - _WIDENED) / _FEATHER, 0, 1).astype(np.float32)
    return weight[..., None] if step == 1 else cv2.resize(weight, (w, h), interpolation=cv2.INTER_LINEAR)[..., None]


def _constants(border: Float[np.ndarray, " n"], dtype: np.dtype) -> set[float]:
    """Values that an area without content can have."""
    white = {float(np.iinfo(dtype).max)} if np.issubdtype(dtype, np.integer) else {1.0}
    values, counts = np.unique(border, return_counts=True)
    frequent = {float(values[counts.argmax()])} if counts.max() >= _LEAST_CONSTANT * border.size else set()
    return {0.0} | white | frequent


def _strips(flat: Mask) -> Mask:
    """Components of a mask that touch the border and lie outside the convex hull of the rest."""
    closed = cv2.morphologyEx(flat.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=4)
    touching = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    strips = np.zeros(flat.shape, bool)
    for label in touching[touching > 0]:
        if stats[label, cv2.CC_STAT_AREA] < _LEAST_AREA * flat.size:
            continue
        part = labels == label
        outlines, _ = cv2.findContours((~part).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        if not outlines:  # the image is one value: nothing says that this is a border
            return np.zeros(flat.shape, bool)
        hull = cv2.fillConvexPoly(np.zeros(flat.shape, np.uint8), cv2.convexHull(np.concatenate(outlines)), 1)
        if (hull[part] > 0).mean() <= _MOST_INSIDE:
            strips |= part
    return strips
