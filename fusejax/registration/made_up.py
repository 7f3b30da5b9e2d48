"""Pairs that do not line up, made from registered ones, with the true transform."""

import zlib
from typing import Literal

import cv2
import numpy as np

from fusejax.registration.geometry import corners, translation

Level = Literal["Z", "E", "M", "H"]
# Shift (of the width), rotation (degrees), scale, shift of each corner (of the width): all uniform,
# from minus to plus this number.
LEVELS: dict[str, tuple[float, float, float, float]] = {
    "Z": (0.0, 0.0, 0.0, 0.0),
    "E": (0.02, 1.0, 0.02, 4 / 640),
    "M": (0.05, 3.0, 0.05, 12 / 640),
    "H": (0.10, 5.0, 0.10, 32 / 640),
}


def deformed_pair(
    ir: np.ndarray, vi: np.ndarray, *, name: str, level: Level
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cuts a window from a registered pair, the infrared one through a random homography.

    The visible window is the central 75 % of the image, at most 640 pixels wide. The infrared one
    is cut, cubic, from the whole infrared image, so that no black border tells the answer; what
    lies beyond that image is mirrored.

    Args:
        ir: infrared image [h, w] or [h, w, c].
        vi: visible image of the same size.
        name: of the pair; with the level, the seed.
        level: how far the window is deformed, one of `LEVELS`.

    Returns:
        The infrared window, the visible window, and the true matrix from a visible to an infrared
        pixel.

    Raises:
        ValueError: if the images are not of one size.
    """
    if ir.shape[:2] != vi.shape[:2]:
        raise ValueError(f"ir is {ir.shape[:2]} but vi is {vi.shape[:2]}; only a registered pair can be deformed.")
    h, w = vi.shape[:2]
    if 0.75 * w > 640:
        size = (round(640 / 0.75), round(h * 640 / 0.75 / w))
        ir, vi = (cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in (ir, vi))
        h, w = vi.shape[:2]
    rows, columns = round(0.75 * h), round(0.75 * w)
    top, left = (h - rows) // 2, (w - columns) // 2
    rng = np.random.default_rng(zlib.crc32(f"{name}/{level}".encode()))
    far, turn, zoom, corner = LEVELS[level]
    shift, angle, scale = (
        rng.uniform(-far, far, 2) * columns,
        np.radians(rng.uniform(-turn, turn)),
        rng.uniform(-zoom, zoom),
    )
    frame = corners((rows, columns))
    rotation = (1 + scale) * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = (frame - frame.mean(axis=0)) @ rotation.T + frame.mean(axis=0) + shift
    moved = moved + rng.uniform(-corner, corner, (4, 2)) * columns
    truth = cv2.getPerspectiveTransform(frame.astype(np.float32), moved.astype(np.float32)).astype(np.float64)
    window = translation(left, top) @ np.linalg.inv(truth)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    cut = cv2.warpPerspective(ir, window, (columns, rows), flags=flags, borderMode=cv2.BORDER_REFLECT)
    return cut, vi[top : top + rows, left : left + columns], truth
