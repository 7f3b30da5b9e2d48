"""Luma (BT.601, full range) and color of fused images, for NumPy and JAX arrays; channels last."""

from typing import Any, TypeVar

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

AnyArray = TypeVar("AnyArray", np.ndarray, jax.Array)  # NumPy gives NumPy, JAX gives JAX

LUMA_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)

CHROMA_GAIN = 2.0  # the most by which `recolor` lengthens chroma
CHROMA_FLOOR = 0.06  # luma below which chroma counts as noise
_TINY = 1e-6


def rgb_to_luma(rgb: Float[AnyArray, "*batch h w 3"]) -> Float[AnyArray, "*batch h w 1"]:
    """Luma Y = 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601).

    Args:
        rgb: in any range.

    Returns:
        Luma in the same range.
    """
    return (rgb @ LUMA_WEIGHTS)[..., None]


def recolor(
    fused_y: Float[AnyArray, "*b h w 1"],
    vi: Float[AnyArray, "*b h w 3"],
    *,
    vi_y: Float[AnyArray, "*b h w 1"] | None = None,
) -> Float[AnyArray, "*b h w 3"]:
    """Gives a fused luma the color of the visible image (ours).

    The hue, that is, the direction of the chroma (R - Y, G - Y, B - Y), is kept. Its length grows
    and shrinks with the luma, so that the saturation is kept too, but at most by `CHROMA_GAIN`, and
    less where the visible image is dark, whose chroma is mostly noise. Where the color would leave
    the RGB cube, its chroma is shortened, so that the luma of the result is always the fused one.
    A gray visible image gives a gray result.

    Args:
        fused_y: fused luma in [0, 1].
        vi: visible RGB in [0, 1].
        vi_y: its luma, if it is known already.

    Returns:
        RGB in [0, 1], whose luma is `fused_y` up to rounding.
    """
    xp: Any = np if isinstance(vi, np.ndarray) else jnp
    vi_y = rgb_to_luma(vi) if vi_y is None else vi_y
    chroma = (vi - vi_y) * xp.minimum((fused_y + CHROMA_FLOOR) / (vi_y + CHROMA_FLOOR), CHROMA_GAIN)
    above = chroma.max(axis=-1, keepdims=True) / xp.maximum(1 - fused_y, _TINY)
    below = -chroma.min(axis=-1, keepdims=True) / xp.maximum(fused_y, _TINY)
    return xp.clip(fused_y + chroma / xp.maximum(xp.maximum(above, below), 1), 0.0, 1.0)


def rescale_chroma(
    cb: Float[np.ndarray, "h w"],
    cr: Float[np.ndarray, "h w"],
    fused_y: Float[np.ndarray, "h2 w2"],
    vi_y: Float[np.ndarray, "h2 w2"],
) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
    """`recolor` for the chroma planes of a video, which may have a lower resolution than its luma.

    Args:
        cb: blue difference of the visible frame in [-0.5, 0.5].
        cr: red difference, likewise.
        fused_y: fused luma in [0, 1]; its mean over the pixels of a chroma sample counts.
        vi_y: luma of the visible frame, likewise.

    Returns:
        Both planes for the fused luma.
    """
    gain = np.minimum((fused_y + CHROMA_FLOOR) / (vi_y + CHROMA_FLOOR), CHROMA_GAIN)
    if gain.shape != cb.shape:
        size = (cb.shape[1], cb.shape[0])
        gain, fused_y = (cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in (gain, fused_y))
    cb, cr = cb * gain, cr * gain
    red, green, blue = 1.402 * cr, -0.344136 * cb - 0.714136 * cr, 1.772 * cb  # of BT.601
    above = np.maximum(np.maximum(red, green), blue) / np.maximum(1 - fused_y, _TINY)
    below = -np.minimum(np.minimum(red, green), blue) / np.maximum(fused_y, _TINY)
    shrink = 1 / np.maximum(np.maximum(above, below), 1)
    return cb * shrink, cr * shrink
