"""Gradient terms that compare with the stronger edge of the two sources.

Sobel responses are not normalized (1-2-1, so up to 4 per axis). The published code pads with
`zero`, which creates a false edge at every border that is not black; `edge` does not, and `valid`
omits the one-pixel border. Targets carry no gradient.
"""

from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fusejax.ops.arrays import equal_shapes
from fusejax.ops.filters import Padding, correlate, sobel
from fusejax.ops.numerics import sum_arrays
from fusejax.options import checked_options
from fusejax.typing import Luma, PerImage

# Weights of the scales that decrease by the golden ratio, commented out in the code of arXiv
# 2510.13067.
GOLDEN_WEIGHTS = (0.5, 0.309, 0.191)

_TIE = 1e-4  # difference of two gradients, for images in [0, 1]
_SOFT_GATE_SLOPE = 15.0
# Sum of TC-MoA's soft Sobel kernels, with the y axis pointing up.
_SOFT_X = np.array([[-0.2, 0, 0.2], [-1, 0, 1], [-0.2, 0, 0.2]])
_SOFT_SUM = _SOFT_X - _SOFT_X.T


@checked_options
def sobel_magnitude(x: Luma, *, padding: Padding) -> Float[Array, "b h2 w2 1"]:
    """Edge strength g = |Kx * x| + |Ky * x| at every pixel.

    Args:
        x: luma in [0, 1].
        padding: padding of the border before filtering, see the module's docstring.

    Returns:
        The strength, in [0, 8].

    Raises:
        ValueError: if `valid` padding leaves no pixel.
    """
    gx, gy = _edges(x, padding)
    return jnp.abs(gx) + jnp.abs(gy)


@checked_options
@equal_shapes
def joint_gradient_error(
    fused_y: Luma, ir: Luma, vi_y: Luma, *, padding: Padding = "zero"
) -> Float[Array, "b h2 w2 1"]:
    """|g(F) - max(g(I), g(V))| at every pixel, with g = |Kx * .| + |Ky * .|.

    Args:
        fused_y: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        padding: padding of the border before filtering, see the module's docstring.

    Returns:
        The error map, in [0, 8].

    Raises:
        ValueError: if `valid` padding leaves no pixel.
    """
    target = jnp.maximum(sobel_magnitude(ir, padding=padding), sobel_magnitude(vi_y, padding=padding))
    return jnp.abs(sobel_magnitude(fused_y, padding=padding) - jax.lax.stop_gradient(target))


@checked_options
@equal_shapes
def joint_gradient_loss(fused_y: Luma, ir: Luma, vi_y: Luma, *, padding: Padding = "zero") -> PerImage:
    """Keeps the stronger source edge: mean |g(F) - max(g(I), g(V))| (CDDFuse, CrossFuse).

    g = |Kx * .| + |Ky * .|, the conventional loss. It ignores the direction and the sign of an
    edge: F = 1 - V with a flat I has no cost away from the border.

    Args:
        fused_y: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        padding: padding of the border before filtering, see the module's docstring.

    Returns:
        One value per image, non-negative; 0 if and only if the edge maps agree everywhere.

    Raises:
        ValueError: if `valid` padding leaves no pixel.

    Example:
        >>> import jax.numpy as jnp
        >>> ramp = jnp.ones((1, 48, 1, 1)) * jnp.linspace(0, 1, 48)[:, None]
        >>> flat = jnp.zeros_like(ramp)
        >>> joint_gradient_loss(ramp, flat, ramp).tolist()
        [0.0]
    """
    return joint_gradient_error(fused_y, ir, vi_y, padding=padding).mean(axis=(1, 2, 3))


@checked_options
@equal_shapes
def axiswise_gradient_loss(fused_y: Luma, ir: Luma, vi_y: Luma, *, padding: Padding = "edge") -> PerImage:
    """Sum over both axes a of mean | |Ka * F| - max(|Ka * I|, |Ka * V|) | (LUT-Fuse).

    As in `scripts/loss_lut.py` of LUT-Fuse, horizontal and vertical edges count separately, but
    their sign is ignored. Borders are replicated, as published.

    Args:
        fused_y: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        padding: padding of the border before filtering, see the module's docstring.

    Returns:
        One value per image, non-negative.

    Raises:
        ValueError: if `valid` padding leaves no pixel.

    Example:
        >>> import jax.numpy as jnp
        >>> ramp = jnp.ones((1, 48, 1, 1)) * jnp.linspace(0, 1, 48)[:, None]
        >>> flat = jnp.zeros_like(ramp)
        >>> axiswise_gradient_loss(ramp, flat, ramp).tolist()
        [0.0]
    """
    axes = zip(*(_edges(x, padding) for x in (fused_y, ir, vi_y)), strict=True)
    return sum_arrays(
        jnp.abs(jnp.abs(f) - jax.lax.stop_gradient(jnp.maximum(jnp.abs(i), jnp.abs(v)))).mean(axis=(1, 2, 3))
        for f, i, v in axes
    )


@checked_options
@equal_shapes
def signed_sum_gradient_loss(fused_y: Luma, ir: Luma, vi_y: Luma, *, padding: Padding = "zero") -> PerImage:
    """mean |d(F) - t| with d = kx * . + ky * ., t the d of the source with the larger |d| (TC-MoA).

    The visible image wins ties (differences up to 1e-4). Soft Sobel kernels: side taps 0.2, middle
    tap 1, and y points upward, so that a ramp x + y (y downward) is invisible. Zero padding as in
    the official code; the paper does not specify it. Computed on luma, whereas the official code
    sums over the three color channels.

    Args:
        fused_y: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        padding: padding of the border before filtering, see the module's docstring.

    Returns:
        One value per image, non-negative.

    Raises:
        ValueError: if `valid` padding leaves no pixel.

    Example:
        >>> import jax.numpy as jnp
        >>> ramp = jnp.ones((1, 48, 1, 1)) * jnp.linspace(0, 1, 48)[:, None]
        >>> flat = jnp.zeros_like(ramp)
        >>> signed_sum_gradient_loss(ramp, flat, ramp).tolist()
        [0.0]
        >>> bool(signed_sum_gradient_loss(1 - ramp, flat, ramp)[0] > 0)  # the sign counts
        True
    """
    _check_size(fused_y.shape[1:3], padding)
    f, i, v = (correlate(x, _SOFT_SUM, padding=padding) for x in (fused_y, ir, vi_y))
    return jnp.abs(f - jax.lax.stop_gradient(_stronger(i, v))).mean(axis=(1, 2, 3))


@checked_options
@equal_shapes
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
    """Signed edges over several scales (arXiv 2510.13067, section 3).

    sum_s w_s (mean |gx_F - tx| + mean |gy_F - ty|) over the scales 1, 1/2, 1/4, ... All three
    images are resized first and then filtered. At every pixel, tx is the signed gx of the source
    with the larger |gx|; the visible image wins ties, that is, differences up to 1e-4, since
    rounding would decide them otherwise. ty is computed likewise and independently. The targets
    need not be the gradient of any image, so the minimum is above 0 in general.

    Args:
        fused_y: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        weights: one weight per scale, where scale i is 2^-i; non-negative, with sum 1.
            `GOLDEN_WEIGHTS` is the other choice in the published code.
        padding: `zero` as published; a bright flat I then adds a cost for F = V along the border.
        gate: `hard`; or `soft`, where both axes share one weight of the infrared image,
            sigmoid(15 (g_I - g_V)) with g = |gx| + |gy| (a later public project, not the paper).
        antialias: resize with the triangle filter widened by the factor, instead of two taps per
            axis.

    Returns:
        One value per image, non-negative; 0 if and only if gx and gy equal their targets at every
        scale.

    Raises:
        ValueError: for invalid weights, or if `valid` padding leaves a scale without pixels.

    Example:
        >>> import jax.numpy as jnp
        >>> ramp = jnp.ones((1, 48, 1, 1)) * jnp.linspace(0, 1, 48)[:, None]
        >>> flat = jnp.zeros_like(ramp)
        >>> direction_aware_gradient_loss(ramp, flat, ramp).tolist()
        [0.0]
        >>> bool(direction_aware_gradient_loss(1 - ramp, flat, ramp)[0] > 0)  # the sign counts
        True
    """
    if min(weights, default=-1.0) < 0 or abs(sum(weights) - 1.0) > 1e-6:
        raise ValueError(f"weights is {tuple(weights)}, sum {sum(weights):g}; expected non-negative values with sum 1.")
    total = jnp.zeros(fused_y.shape[0], fused_y.dtype)
    for level, weight in enumerate(weights):
        f, i, v = (_edges(shrink(x, level, antialias=antialias), padding) for x in (fused_y, ir, vi_y))
        targets = jax.lax.stop_gradient(_soft_target(i, v) if gate == "soft" else tuple(map(_stronger, i, v)))
        total += weight * sum_arrays(jnp.abs(a - t).mean(axis=(1, 2, 3)) for a, t in zip(f, targets, strict=True))
    return total


def shrink(x: Luma, level: int, *, antialias: bool = False) -> Float[Array, "b h2 w2 1"]:
    """Bilinear resize by 2^-level, with half-pixel centers.

    Without antialiasing this is PyTorch's `interpolate(mode="bilinear")`: at 1/4, the mean of the
    middle 2x2 of every 4x4. It uses two matrix products with weights computed in float64, because
    `jax.image.resize` computes them in float32, which misplaces the taps of wide images of odd size
    by 1e-4 pixels, and a gather would become a scatter in the backward pass.

    Args:
        x: luma in any range.
        level: how often the size is halved.
        antialias: whether to widen the triangle filter by the factor.

    Returns:
        Luma with max(1, round(2^-level h)) rows, rounding half to even, and correspondingly many
        columns.
    """
    if level == 0:
        return x
    rows, columns = (
        jnp.asarray(_bilinear_matrix(n, max(1, round(n * 0.5**level)), antialias), x.dtype) for n in x.shape[1:3]
    )
    return jnp.einsum("ij,bjkc,lk->bilc", rows, x, columns, precision=jax.lax.Precision.HIGHEST)


def _bilinear_matrix(n: int, m: int, antialias: bool) -> np.ndarray:
    """[m, n], rows that sum to 1: the weights of n pixels in each of m."""
    centers = (np.arange(m) + 0.5) * (n / m) - 0.5
    reach = max(1.0, n / m) if antialias else 1.0
    weights = np.maximum(0.0, 1.0 - np.abs(centers[:, None] - np.arange(n)) / reach)
    return weights / weights.sum(axis=1, keepdims=True)


def _stronger(i: Array, v: Array) -> Array:
    # In 8-bit images, gradients of equal magnitude are frequent, and in float32 their rounding
    # differs. The least other difference there is 1 / 1275.
    return jnp.where(jnp.abs(v) >= jnp.abs(i) - _TIE, v, i)


def _soft_target(i: tuple[Array, Array], v: tuple[Array, Array]) -> tuple[Array, ...]:
    strength_i, strength_v = (jnp.abs(gx) + jnp.abs(gy) for gx, gy in (i, v))
    share = jax.nn.sigmoid(_SOFT_GATE_SLOPE * (strength_i - strength_v))
    return tuple(b + share * (a - b) for a, b in zip(i, v, strict=True))


def _edges(x: Array, padding: Padding) -> tuple[Array, Array]:
    _check_size(x.shape[1:3], padding)
    return sobel(x, padding=padding)


def _check_size(size: tuple[int, ...], padding: Padding) -> None:
    if padding == "valid" and min(size) < 3:
        raise ValueError(f"An image or scale of {size[0]}x{size[1]} has no interior; use padding 'zero' or 'edge'.")
