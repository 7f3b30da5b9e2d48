"""CrossFuse's weak-aggressive consistency (arXiv 2502.14493, section 4.2 of its method): a crop against its blur."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fusejax.ops.filters import pad_hw
from fusejax.typing import Luma, PerImage

_TAPS = (21, 9)  # high, wide
_SIGMA = (0.1, 5.0)


def consistency_loss(fused_y: Luma, key: jax.Array, *, crop: int = 32) -> PerImage:
    """Mean squared difference of a random crop of the fused image (weak view) and that crop blurred (aggressive view).

    One offset and one sigma ~ U(0.1, 5) pixels for the whole batch; the gradient flows through both views. It is a
    smoothness prior, zero only where the crop is constant: keep its weight small. Images smaller than `crop` pixels are
    taken whole along that side.
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
    """Gaussian blur, 21 taps high and 9 wide, one sigma (pixels) for both; reflected border, edges where too small."""
    for axis, taps in zip((1, 2), _TAPS, strict=True):
        offsets = jnp.arange(taps) - taps // 2
        weights = jnp.exp(-0.5 * jnp.square(offsets / sigma))
        weights = weights / weights.sum()
        margin, n = taps // 2, x.shape[axis]
        pads = [(0, 0), (0, 0)]
        pads[axis - 1] = (margin, margin)
        padded = pad_hw(x, *pads, "reflect")
        x = sum(weights[t] * jax.lax.slice_in_dim(padded, t, t + n, axis=axis) for t in range(taps))
    return x
