"""When a transform may be used, and how far off it may be.

The limits were set on training images under made-up deformations, on images of different scenes and
on hand-set landmarks; docs/registration.md has the rates on images that were not used for it.
"""

import numpy as np

_MIDDLE, _NEAR = 13.0, 5.0  # contrast that different scenes hardly reach, in these rounds
_SECOND = 0.95  # of the best score
_BEYOND = 1.15  # factor outside the range of scales
# Factors of the spread and of what the transform leans on; what one plane leaves, of the width.
_SPREAD, _LEANING, _PLANE = 4.0, 1.3, 0.006


def relative_contrast(*, middle: float, near: float) -> float:
    """Geometric mean of the contrasts of two rounds, in units of what chance can reach."""
    return float(np.sqrt(max(middle / _MIDDLE, 0.0) * max(near / _NEAR, 0.0)))


def uncertainty(spread: float, halves: float, leaning: float, size: tuple[int, int]) -> float:
    """Below which nine of ten errors at the corners are, in pixels of the visible image.

    Args:
        spread: standard deviation by the blocks' disagreement, pixels.
        halves: half the distance between two independent fits, pixels.
        leaning: standard deviation by leaving out thirds of the view, pixels.
        size: height and width of the visible image.

    Returns:
        Pixels.
    """
    return float(np.linalg.norm([_SPREAD * spread, _SPREAD * halves, _LEANING * leaning, _PLANE * max(size)]))


def verdict(contrast: float, score: float, second: float, scale: float, scales: tuple[float, float]) -> str:
    """Why a transform should be refused, with the numbers; empty if it can be trusted.

    Args:
        contrast: see `relative_contrast`.
        score: of the best answer.
        second: of the best answer elsewhere.
        scale: magnification that was found.
        scales: range of magnifications that was searched.

    Returns:
        One line.
    """
    if contrast < 1:
        return f"the images do not match: contrast {contrast:.2f}, at least 1 is needed"
    if second > _SECOND * score:
        return f"two answers are about equally good: scores {score:.3f} and {second:.3f}"
    if not scales[0] / _BEYOND <= scale <= scales[1] * _BEYOND:
        return f"the scale {scale:.2f} is outside the range from {scales[0]:g} to {scales[1]:g}"
    return ""
