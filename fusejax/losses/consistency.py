"""CrossFuse's weak-aggressive consistency (arXiv 2502.14493): a crop against a degraded copy.

The published code has one aggressive view, the blur. JPEG, noise and cutout are ours.
"""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fusejax.ops.filters import pad_hw
from fusejax.ops.numerics import sum_arrays
from fusejax.options import checked_options
from fusejax.typing import Luma, PerImage

_TAPS = (21, 9)  # rows, columns
_SIGMA = (0.1, 5.0)
_QUALITY = (10.0, 50.0)
_NOISE = (0.02, 0.2)  # standard deviation, of the range

_BLOCK = 8
# Quantization of luma at quality 50 (ITU-T T.81, table K.1), for levels of 255.
_QUANTIZATION = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)

View = Literal["blur", "jpeg", "noise", "cutout"]


@checked_options
def consistency_loss(key: jax.Array, fused_y: Luma, *, crop: int = 32, view: View = "blur") -> PerImage:
    """Mean squared difference of a crop of the fused image and a degraded copy of it (CrossFuse).

    The crop is the weak view, the copy the aggressive one. One offset and one strength are drawn
    for the whole batch; the gradient flows through both views. With `blur`, as published, this is a
    smoothness prior, which is zero only if the crop is constant, so keep its weight small.

    Args:
        key: random key for the draws.
        fused_y: fused luma in [0, 1].
        crop: side of the crop in pixels; a shorter side of the image is used completely.
        view: `blur` with sigma ~ U(0.1, 5) pixels; `jpeg` with a quality ~ U(10, 50); `noise` with
            a standard deviation ~ U(0.02, 0.2), whose value has no gradient, so that this view
            alone changes nothing but the logged loss; `cutout`, half of each side replaced by the
            crop's mean.

    Returns:
        One value per image, non-negative.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> gray = jnp.full((1, 16, 16, 1), 0.5)
        >>> consistency_loss(jax.random.key(0), gray, crop=8).round(6).tolist()
        [0.0]
    """
    weak, aggressive = consistency_views(key, fused_y, crop=crop, view=view)
    return jnp.square(weak - aggressive).mean(axis=(1, 2, 3))


@checked_options
def consistency_views(
    key: jax.Array, fused_y: Luma, *, crop: int = 32, view: View = "blur"
) -> tuple[Float[Array, "b h2 w2 1"], Float[Array, "b h2 w2 1"]]:
    """The weak and the aggressive view that `consistency_loss` compares.

    Args:
        key: random key for the draws.
        fused_y: fused luma in [0, 1].
        crop: see `consistency_loss`.
        view: likewise.

    Returns:
        Both views, of `crop` pixels or less.
    """
    for_rows, for_columns, for_sigma = jax.random.split(key, 3)
    b, h, w, _ = fused_y.shape
    size = min(crop, h), min(crop, w)
    top = jax.random.randint(for_rows, (), 0, h - size[0] + 1)
    left = jax.random.randint(for_columns, (), 0, w - size[1] + 1)
    weak = jax.lax.dynamic_slice(fused_y, (0, top, left, 0), (b, *size, 1))
    if view == "blur":
        return weak, aggressive_view(weak, jax.random.uniform(for_sigma, minval=_SIGMA[0], maxval=_SIGMA[1]))
    if view == "jpeg":
        return weak, jpeg_view(weak, jax.random.uniform(for_sigma, minval=_QUALITY[0], maxval=_QUALITY[1]))
    return weak, noise_view(for_sigma, weak) if view == "noise" else cutout_view(for_sigma, weak)


def aggressive_view(x: Luma, sigma: Float[Array, ""]) -> Luma:
    """Gaussian blur of 21 x 9 taps (high x wide) with reflected borders.

    Args:
        x: luma in any range.
        sigma: standard deviation in pixels, the same for both axes.

    Returns:
        The blurred luma.
    """
    for axis, taps in zip((1, 2), _TAPS, strict=True):
        offsets = jnp.arange(taps) - taps // 2
        weights = jnp.exp(-0.5 * jnp.square(offsets / sigma))
        weights = weights / weights.sum()
        margin, n = taps // 2, x.shape[axis]
        rows, columns = (margin if a == axis else 0 for a in (1, 2))
        padded = pad_hw(x, (rows, rows), (columns, columns), "reflect")
        x = sum_arrays(weights[t] * jax.lax.slice_in_dim(padded, t, t + n, axis=axis) for t in range(taps))
    return x


def jpeg_view(x: Luma, quality: Float[Array, ""]) -> Luma:
    """Quantizes the 8x8 cosine transforms of the luma as JPEG does (ITU-T T.81).

    Rounding has no gradient, so a loss pulls the image toward its decoded copy; with the gradient
    of the identity, the difference of the two would have none. Sides are padded to multiples of 8
    by repetition.

    Args:
        x: luma in [0, 1].
        quality: quality in the scale of libjpeg, 1 to 50.

    Returns:
        The decoded luma; it can leave [0, 1].
    """
    b, h, w, _ = x.shape
    padded = jnp.pad(x[..., 0], ((0, 0), (0, -h % _BLOCK), (0, -w % _BLOCK)), mode="edge")
    rows, columns = (n // _BLOCK for n in padded.shape[1:])
    blocks = padded.reshape(b, rows, _BLOCK, columns, _BLOCK) * 255.0 - 128.0
    transform = jnp.asarray(_cosines(), x.dtype)
    forward = jnp.einsum("ui,bricj,vj->brcuv", transform, blocks, transform, precision=jax.lax.Precision.HIGHEST)
    steps = jnp.maximum(jnp.asarray(_QUANTIZATION, x.dtype) * (50.0 / quality), 1.0)
    rounded = jnp.round(forward / steps) * steps
    back = jnp.einsum("ui,brcuv,vj->bricj", transform, rounded, transform, precision=jax.lax.Precision.HIGHEST)
    return ((back + 128.0) / 255.0).reshape(padded.shape)[:, :h, :w, None]


def _cosines() -> np.ndarray:
    """The orthonormal cosine transform [frequency, pixel]."""
    u, i = np.arange(_BLOCK)[:, None], np.arange(_BLOCK)
    scale = np.where(u == 0, np.sqrt(1 / _BLOCK), np.sqrt(2 / _BLOCK))
    return scale * np.cos((2 * i + 1) * u * np.pi / (2 * _BLOCK))


def noise_view(key: jax.Array, x: Luma) -> Luma:
    """Adds Gaussian noise whose standard deviation is drawn from U(0.02, 0.2)."""
    for_sigma, for_noise = jax.random.split(key)
    sigma = jax.random.uniform(for_sigma, minval=_NOISE[0], maxval=_NOISE[1])
    return x + sigma * jax.random.normal(for_noise, x.shape, x.dtype)


def cutout_view(key: jax.Array, x: Luma) -> Luma:
    """Replaces a window of half of each side, at a random place, by each image's mean."""
    h, w = x.shape[1:3]
    starts = (jax.random.randint(k, (), 0, n - n // 2 + 1) for k, n in zip(jax.random.split(key), (h, w), strict=True))
    inside = [
        (jnp.arange(n) >= start) & (jnp.arange(n) < start + n // 2) for n, start in zip((h, w), starts, strict=True)
    ]
    hidden = (inside[0][:, None] & inside[1])[None, ..., None]
    return jnp.where(hidden, x.mean(axis=(1, 2, 3), keepdims=True), x)
