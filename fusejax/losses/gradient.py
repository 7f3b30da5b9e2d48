"""Gradient terms against the stronger source edge: conventional, per axis, TC-MoA's signed sum, direction-aware.

Sobel responses are not normalised (1-2-1, so up to 4 per axis). `zero` padding is what the published codes have; it
makes a false edge of every border that is not black. `edge` has none, `valid` leaves out the one-pixel border.
Targets carry no gradient.
"""

from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fusejax.ops.filters import Padding, correlate, sobel
from fusejax.options import checked_options
from fusejax.typing import Luma, PerImage

# Scale weights that fall by the golden ratio: the commented alternative in the code of arXiv 2510.13067.
GOLDEN_WEIGHTS = (0.5, 0.309, 0.191)

_SOFT_GATE_SLOPE = 15.0
# TC-MoA's soft Sobel kernels, their sum and its y axis upwards.
_SOFT_X = np.array([[-0.2, 0, 0.2], [-1, 0, 1], [-0.2, 0, 0.2]])
_SOFT_SUM = _SOFT_X - _SOFT_X.T


@checked_options
def sobel_magnitude(x: Luma, *, padding: Padding) -> Float[Array, "b h2 w2 1"]:
    """|Kx * x| + |Ky * x| at every pixel, in [0, 8]."""
    gx, gy = _edges(x, padding)
    return jnp.abs(gx) + jnp.abs(gy)


@checked_options
def joint_gradient_error(
    fused_y: Luma, ir: Luma, vi_y: Luma, *, padding: Padding = "zero"
) -> Float[Array, "b h2 w2 1"]:
    """|g(F) - max(g(I), g(V))| at every pixel, g = |Kx * .| + |Ky * .|."""
    target = jnp.maximum(sobel_magnitude(ir, padding=padding), sobel_magnitude(vi_y, padding=padding))
    return jnp.abs(sobel_magnitude(fused_y, padding=padding) - jax.lax.stop_gradient(target))


@checked_options
def joint_gradient_loss(fused_y: Luma, ir: Luma, vi_y: Luma, *, padding: Padding = "zero") -> PerImage:
    """mean |g(F) - max(g(I), g(V))|, g = |Kx * .| + |Ky * .|: the conventional loss (CDDFuse, CrossFuse).

    Blind to the direction and the sign of an edge: F = 1 - V with a flat I costs nothing away from the border.

    Args: luma in [0, 1].  Returns: non-negative, 0 iff the edge maps agree everywhere.
    """
    return joint_gradient_error(fused_y, ir, vi_y, padding=padding).mean(axis=(1, 2, 3))


@checked_options
def axiswise_gradient_loss(fused_y: Luma, ir: Luma, vi_y: Luma, *, padding: Padding = "edge") -> PerImage:
    """Sum over both axes a of mean | |Ka * F| - max(|Ka * I|, |Ka * V|) | (LUT-Fuse, `scripts/loss_lut.py`).

    Sees horizontal and vertical edges apart, but not their sign. Replicated borders, as published.
    """
    axes = zip(*(_edges(x, padding) for x in (fused_y, ir, vi_y)), strict=True)
    return sum(
        jnp.abs(jnp.abs(f) - jax.lax.stop_gradient(jnp.maximum(jnp.abs(i), jnp.abs(v)))).mean(axis=(1, 2, 3))
        for f, i, v in axes
    )


@checked_options
def signed_sum_gradient_loss(fused_y: Luma, ir: Luma, vi_y: Luma, *, padding: Padding = "zero") -> PerImage:
    """mean |d(F) - t|, d = kx * . + ky * ., t the d of the source with the larger |d|, a tie to the visible (TC-MoA).

    Soft Sobel kernels: side taps 0.2, middle tap 1, and y counts upwards, so that a ramp x + y (y downwards) is
    invisible. Zero padding as in the official code, which the specification leaves open. On luma; the official code
    adds the three colour channels.
    """
    _check_size(fused_y.shape[1:3], padding)
    f, i, v = (correlate(x, _SOFT_SUM, padding=padding) for x in (fused_y, ir, vi_y))
    return jnp.abs(f - jax.lax.stop_gradient(_stronger(i, v))).mean(axis=(1, 2, 3))


@checked_options
def direction_aware_gradient_loss(
    fused_y: Luma,
    ir: Luma,
    vi_y: Luma,
    *,
    weights: Sequence[float] = (1 / 3, 1 / 3, 1 / 3),
    padding: Padding = "zero",
    gate: Literal["hard", "soft"] = "hard",
    antialias: bool = False,
) -> PerImage:
    """sum_s w_s (mean |gx_F - tx| + mean |gy_F - ty|) over scales 1, 1/2, 1/4, ... (arXiv 2510.13067, section 3).

    All three pictures are resized first and filtered then. tx is, by pixel, the gx of the source with the larger |gx|,
    its sign kept and a tie to the visible; ty likewise and independently. Targets need not be the gradient of any
    picture, so the attainable minimum is above 0 in general.

    Args:
      weights: one per scale, scale i being 2^-i; not negative, sum 1. Default equal; `GOLDEN_WEIGHTS` is the other.
      padding: `zero` as published. A bright flat I then costs F = V something along the border.
      gate: `hard`; or `soft`, one share w = sigmoid(15 (g_I - g_V)) of the infrared for both axes, g = |gx| + |gy|
        (a later public project, not the paper).
      antialias: resize with the triangle filter widened by the factor instead of two taps an axis.
    Returns: non-negative; 0 iff every scale's gx and gy equal their targets.
    Raises: ValueError for other weights, and where `valid` padding leaves a scale without pixels.
    """
    if min(weights, default=-1.0) < 0 or abs(sum(weights) - 1.0) > 1e-6:
        raise ValueError(f"weights is {tuple(weights)}, sum {sum(weights):g}; shares of the scales, which sum to 1.")
    total = jnp.zeros(fused_y.shape[0], fused_y.dtype)
    for level, weight in enumerate(weights):
        f, i, v = (_edges(shrink(x, level, antialias=antialias), padding) for x in (fused_y, ir, vi_y))
        targets = jax.lax.stop_gradient(_soft_target(i, v) if gate == "soft" else tuple(map(_stronger, i, v)))
        total += weight * sum(jnp.abs(a - t).mean(axis=(1, 2, 3)) for a, t in zip(f, targets, strict=True))
    return total


def shrink(x: Luma, level: int, *, antialias: bool = False) -> Float[Array, "b h2 w2 1"]:
    """Bilinear resize to max(1, round(2^-level h)) rows, half to even, and columns alike; half-pixel centres.

    Without antialias this is PyTorch's `interpolate(mode="bilinear")`: at 1/4 the mean of the middle 2x2 of every 4x4.
    Two matrix products with weights made in float64: `jax.image.resize` makes them in float32, which misplaces the taps
    of wide pictures of odd size by 1e-4 pixels, and a gather would be scattered in the backward pass.
    """
    if level == 0:
        return x
    rows, columns = (
        jnp.asarray(_bilinear_matrix(n, max(1, round(n * 0.5**level)), antialias), x.dtype) for n in x.shape[1:3]
    )
    return jnp.einsum("ij,bjkc,lk->bilc", rows, x, columns, precision=jax.lax.Precision.HIGHEST)


def _bilinear_matrix(n: int, m: int, antialias: bool) -> np.ndarray:
    """[m, n], rows summing to 1: the weights of n pixels in each of m."""
    centres = (np.arange(m) + 0.5) * (n / m) - 0.5
    reach = max(1.0, n / m) if antialias else 1.0
    weights = np.maximum(0.0, 1.0 - np.abs(centres[:, None] - np.arange(n)) / reach)
    return weights / weights.sum(axis=1, keepdims=True)


def _stronger(i: Array, v: Array) -> Array:
    return jnp.where(jnp.abs(v) >= jnp.abs(i), v, i)


def _soft_target(i: tuple[Array, Array], v: tuple[Array, Array]) -> tuple[Array, ...]:
    strength_i, strength_v = (jnp.abs(gx) + jnp.abs(gy) for gx, gy in (i, v))
    share = jax.nn.sigmoid(_SOFT_GATE_SLOPE * (strength_i - strength_v))
    return tuple(b + share * (a - b) for a, b in zip(i, v, strict=True))


def _edges(x: Array, padding: Padding) -> tuple[Array, Array]:
    _check_size(x.shape[1:3], padding)
    return sobel(x, padding=padding)


def _check_size(size: tuple[int, int], padding: Padding) -> None:
    if padding == "valid" and min(size) < 3:
        raise ValueError(f"A picture or scale of {size[0]}x{size[1]} has no interior; use padding 'zero' or 'edge'.")
