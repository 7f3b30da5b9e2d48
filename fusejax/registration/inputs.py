"""Which arrays can be registered at all."""

import numpy as np

_SMALLEST = 32  # pixels


def checked_pair(ir: np.ndarray, vi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both images as arrays.

    Args:
        ir: infrared image.
        vi: visible image.

    Returns:
        The arrays.

    Raises:
        ValueError: if one has no form of an image, is too small, or holds NaN or infinity.
    """
    return _checked(ir, "ir"), _checked(vi, "vi")


def _checked(image: np.ndarray, name: str) -> np.ndarray:
    x = np.asarray(image)
    if x.dtype.kind not in "uif" or x.ndim not in (2, 3) or (x.ndim == 3 and x.shape[2] not in (1, 3)):
        raise ValueError(f"{name} is {x.dtype} {list(x.shape)}; expected numbers [h, w], [h, w, 1] or [h, w, 3].")
    if min(x.shape[:2]) < _SMALLEST:
        raise ValueError(
            f"{name} is {x.shape[0]}x{x.shape[1]} pixels; registration needs at least {_SMALLEST}x{_SMALLEST}."
        )
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise ValueError(f"{name} holds {(~np.isfinite(x)).sum()} values that are NaN or infinite; replace them first.")
    return x


def unusable(ir: np.ndarray, vi: np.ndarray) -> str:
    """Why a pair of images cannot be registered; empty if it may."""
    if _colorful(ir) and not _colorful(vi):
        return "the infrared image has colors and the visible one has none: the pair seems to be in the wrong order"
    for image, name in ((ir, "infrared"), (vi, "visible")):
        x = np.asarray(image, np.float32)
        low, high = np.percentile(x, [1, 99])
        if high - low <= 4e-3 * max(abs(high), abs(low), 1e-9):
            return f"the {name} image is flat: 98 % of its values are between {low:g} and {high:g}"
        ends = [(x == end).mean() for end in (x.min(), x.max())]
        if max(ends) > 0.7:
            return (
                f"{max(ends):.0%} of the {name} image is at its lowest or highest value: too little is left to compare"
            )
    return ""


def _colorful(image: np.ndarray) -> bool:
    if image.ndim != 3 or image.shape[2] != 3:
        return False
    x = image.astype(np.float32)
    return float((x.max(axis=2) - x.min(axis=2)).mean()) > 0.02 * max(float(x.max()), 1e-9)
