"""CrossFuse's weak-aggressive consistency (arXiv 2502.14493): a crop against its blur."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fusejax.ops.filters import pad_hw
from fusejax.ops.numerics import sum_arrays
from fusejax.typing import Luma, PerImage

_TAPS = (21, 9)  # rows, columns
_SIGMA = (0.1, 5.0)


def consistency_loss(key: jax.Array, fused_y: Luma, *, crop: int = 32) -> PerImage:
    """Mean squared difference of a crop of the fused image and its blur (CrossFuse).

    The crop is the weak view, its blur the aggressive one. One offset and one sigma ~ U(0.1, 5)
    pixels are drawn for the whole batch; the gradient flows through both views. This is a
    smoothness prior, which is zero only if the crop is constant, so keep its weight small.

    Args:
        key: random key for the draws.
        fused_y: fused luma in [0, 1].
        crop: side of the crop in pixels; a shorter side of the image is used completely.

    Returns:
        One value per image, non-negative.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> gray = jnp.full((1, 16, 16, 1), 0.5)
        >>> consistency_loss(jax.random.key(0), gray, crop=8).round(6).tolist()
        [0.0]
    """
    for_rows, for_columns, for_sigma = jax.random.split(key, 3)
    b, h, w, _ = fused_y.shape
    size = min(crop, h), min(crop, w)
    top = jax.random.randint(for_rows, (), 0, h - size[0] + 1)
    left = jax.random.randint(for_columns, (), 0, w - size[1] + 1)
    weak = jax.lax.dynamic_slice(fused_y, (0, top, left, 0), (b, *size, 1))
    sigma = jax.random.uniform(for_sigma, minval=_SIGMA[0], maxval=_SIGMA[1])
    return jnp.square(weak - aggressive_view(weak, sigma)).mean(axis=(1, 2, 3))


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
