"""BT.601 full-range color conversion for NumPy and JAX arrays; channels last."""

from typing import TypeVar

import jax
import numpy as np
from jaxtyping import Float

AnyArray = TypeVar("AnyArray", np.ndarray, jax.Array)  # NumPy gives NumPy, JAX gives JAX

LUMA_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)

_TO_YCBCR = np.stack(
    [
        LUMA_WEIGHTS,
        (np.array([0.0, 0.0, 1.0]) - LUMA_WEIGHTS) / (2 * (1 - 0.114)),
        (np.array([1.0, 0.0, 0.0]) - LUMA_WEIGHTS) / (2 * (1 - 0.299)),
    ],
    axis=1,
).astype(np.float32)
_FROM_YCBCR = np.linalg.inv(_TO_YCBCR.astype(np.float64)).astype(np.float32)
_CHROMA_CENTER = np.array([0.0, 0.5, 0.5], np.float32)


def rgb_to_luma(rgb: Float[AnyArray, "*batch h w 3"]) -> Float[AnyArray, "*batch h w 1"]:
    """Luma Y = 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601).

    Args:
        rgb: in any range.

    Returns:
        Luma in the same range.
    """
    return (rgb @ LUMA_WEIGHTS)[..., None]


def rgb_to_ycbcr(rgb: Float[AnyArray, "*batch h w 3"]) -> Float[AnyArray, "*batch h w 3"]:
    """Converts RGB to YCbCr (ITU-R BT.601, full range as in JFIF).

    Args:
        rgb: in [0, 1].

    Returns:
        Y in [0, 1]; Cb and Cr in [0, 1], centered at 0.5.
    """
    return rgb @ _TO_YCBCR + _CHROMA_CENTER


def ycbcr_to_rgb(ycbcr: Float[AnyArray, "*batch h w 3"]) -> Float[AnyArray, "*batch h w 3"]:
    """Inverse of `rgb_to_ycbcr`.

    Args:
        ycbcr: Y in [0, 1]; Cb and Cr in [0, 1], centered at 0.5.

    Returns:
        RGB, not clipped: a changed luma can leave the RGB cube, and the caller decides what to do.
    """
    return (ycbcr - _CHROMA_CENTER) @ _FROM_YCBCR


def recolor(fused_y: Float[np.ndarray, "*b h w 1"], vi: Float[np.ndarray, "*b h w 3"]) -> Float[np.ndarray, "*b h w 3"]:
    """Gives a fused luma the chroma of the visible image.

    Chroma consists of differences to the luma, so the same number is added to all three channels.

    Args:
        fused_y: fused luma in [0, 1].
        vi: visible RGB in [0, 1].

    Returns:
        RGB, clipped to [0, 1].
    """
    return np.clip(vi + (fused_y - rgb_to_luma(vi)), 0.0, 1.0)
