"""BT.601 full-range colour conversion. Works on NumPy and JAX arrays alike; channels last."""

import numpy as np
from jaxtyping import Float

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
_CHROMA_CENTRE = np.array([0.0, 0.5, 0.5], np.float32)


def rgb_to_luma(rgb: Float[np.ndarray, "*batch h w 3"]) -> Float[np.ndarray, "*batch h w 1"]:
    """Luma Y = 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601). Keeps the range of its input."""
    return (rgb @ LUMA_WEIGHTS)[..., None]


def rgb_to_ycbcr(rgb: Float[np.ndarray, "*batch h w 3"]) -> Float[np.ndarray, "*batch h w 3"]:
    """RGB in [0, 1] to Y in [0, 1] and Cb, Cr in [0, 1] centred at 0.5 (ITU-R BT.601, full range as in JFIF)."""
    return rgb @ _TO_YCBCR + _CHROMA_CENTRE


def ycbcr_to_rgb(ycbcr: Float[np.ndarray, "*batch h w 3"]) -> Float[np.ndarray, "*batch h w 3"]:
    """Inverse of `rgb_to_ycbcr`. Not clipped: a changed luma can leave the RGB cube, the caller decides what then."""
    return (ycbcr - _CHROMA_CENTRE) @ _FROM_YCBCR
