"""Whether a pair lines up as it is: the misalignment that is left, with an interval."""

import dataclasses

import numpy as np
from jaxtyping import Shaped

from fusejax.registration.estimation import Registration, estimate
from fusejax.registration.geometry import map_points, resampling

_SCALES, _ROTATIONS = (0.97, 1.03), (-1.5, 1.5)
_GRID = 9  # points along each side of the image
_UNLIKELY = 0.06  # of the longer side: a larger answer is more often a wrong peak than the truth
# Half of the interval: a floor for images of any size, and a share of the longer side, on which the
# resolution of the descriptors depends. `scripts/table.py registration-residuals` sets and checks
# both.
_FLOOR, _SHARE = 0.3, 0.003


@dataclasses.dataclass(frozen=True)
class Residual:
    """How far a pair is from lining up, in pixels of the visible image.

    Attributes:
        pixels: mean distance, over the visible image, from a pixel to where the infrared image
            shows its point; NaN if it cannot be told.
        low: lower end of the interval that holds the true value in nine of ten cases.
        high: upper end.
        unknown: why it cannot be told; empty if it can.
    """

    pixels: float
    low: float
    high: float
    unknown: str = ""

    def within(self, limit: float) -> bool | None:
        """Whether the pair lines up within that many pixels; None if the interval allows both.

        Args:
            limit: pixels of the visible image.

        Returns:
            True if the whole interval is at most `limit`, False if all of it is above.
        """
        if self.unknown or self.low <= limit < self.high:
            return None
        return self.high <= limit

    def __str__(self) -> str:
        if self.unknown:
            return f"cannot tell: {self.unknown}"
        return f"off by {self.pixels:.1f} pixels ({self.low:.1f} to {self.high:.1f})"


def is_aligned(ir: Shaped[np.ndarray, "..."], vi: Shaped[np.ndarray, "..."]) -> Residual:
    """How far a pair is off as it is, or that it cannot be told.

    The pair is registered by a similarity with scales from 0.97 to 1.03 and rotations of 1.5
    degrees; what it would move is what is off. Images of different sizes count as aligned if the
    infrared one, resampled to the size of the visible one, is.

    Args:
        ir: infrared image, see `estimate`.
        vi: visible image, see `estimate`.

    Returns:
        The misalignment with its interval; docs/registration.md says how often that holds.

    Raises:
        ValueError: see `estimate`.

    Example:
        >>> import numpy as np
        >>> str(is_aligned(np.zeros((64, 64)), np.ones((64, 64))))[:38]
        'cannot tell: the infrared image is fla'
    """
    found = estimate(ir, vi, model="similarity", scales=_SCALES, rotations=_ROTATIONS)
    return residual_of(found, np.shape(ir)[:2], np.shape(vi)[:2])


def residual_of(found: Registration, ir_size: tuple[int, int], vi_size: tuple[int, int]) -> Residual:
    """What a transform that was found says about the pair as it is.

    Args:
        found: see `estimate`.
        ir_size: height and width of the infrared image.
        vi_size: height and width of the visible image.

    Returns:
        See `is_aligned`.
    """
    if found.refused:
        return Residual(np.nan, 0.0, np.inf, found.refused)
    pixels, longer = displacement(found.matrix, ir_size, vi_size), max(vi_size)
    if pixels > _UNLIKELY * longer:
        far = f"the best match is {pixels:.0f} pixels away, which is beyond what this measures; use `estimate`"
        return Residual(np.nan, 0.0, np.inf, far)
    half = _FLOOR + _SHARE * longer
    return Residual(pixels, max(0.0, pixels - half), pixels + half)


def displacement(matrix: np.ndarray, ir_size: tuple[int, int], vi_size: tuple[int, int]) -> float:
    """Mean distance that a transform moves the points of the visible image, in its pixels.

    Args:
        matrix: from a visible to an infrared pixel.
        ir_size: height and width of the infrared image.
        vi_size: height and width of the visible image; the resampling between both sizes counts as
            no movement.

    Returns:
        Pixels of the visible image.
    """
    (h, w), (rows, columns) = vi_size, ir_size
    x, y = np.meshgrid(np.linspace(0, w - 1, _GRID), np.linspace(0, h - 1, _GRID))
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    back = np.linalg.inv(resampling(columns / w, rows / h))
    return float(np.linalg.norm(map_points(back @ matrix, points) - points, axis=1).mean())
