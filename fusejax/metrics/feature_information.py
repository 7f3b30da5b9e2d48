"""Haghighat's feature mutual information: how well source windows predict fused windows."""

from typing import Literal

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from fusejax.metrics.sharpness import central_gradient
from fusejax.ops.arrays import equal_shapes
from fusejax.ops.extent import valid_size, where_large
from fusejax.ops.numerics import image_mean, safe_sqrt, to_levels, undefined
from fusejax.options import checked_options
from fusejax.typing import Extent, Luma, PerImage

_SIZE = 3


def _windows(rows: Float[Array, "b 3 w"]) -> Float[Array, "9 b w2"]:
    """The 3x3 windows along one row of pixels, read column by column as in Matlab."""
    width = rows.shape[-1] - _SIZE + 1
    return jnp.stack([rows[:, i, j : j + width] for j in range(_SIZE) for i in range(_SIZE)])


def _distribution(window: Float[Array, "9 b w"]) -> Float[Array, "9 b w"]:
    """A window scaled to 0..1 and then to sum 1; a flat window becomes uniform."""
    low, high = window.min(0), window.max(0)
    scaled = jnp.where(high > low, (window - low) / jnp.where(high > low, high - low, 1.0), 1.0)
    return scaled / scaled.sum(0)


def _entropy(p: Float[Array, "n b w"]) -> Float[Array, "b w"]:
    """-sum p log2 |p|, as in the published code: the joint distribution can have negative cells."""
    size = jnp.abs(p)
    return -jnp.sum(jnp.where(size > 0, p * jnp.log2(jnp.where(size > 0, size, 1.0)), 0.0), axis=0)


def _deviation(p: Float[Array, "9 b w"]) -> Float[Array, "b w"]:
    """Standard deviation of the cell number 1..9 under the distribution p."""
    cell = jnp.arange(1.0, 10.0)[:, None, None]
    return safe_sqrt(jnp.sum(p * jnp.square(cell - jnp.sum(p * cell, axis=0)), axis=0))


def _correlation(x: Float[Array, "9 b w"], y: Float[Array, "9 b w"]) -> Float[Array, "b w"]:
    """Pearson correlation of two windows; zero where one is flat."""
    x, y = x - x.mean(0), y - y.mean(0)
    flat = (x.max(0) == x.min(0)) | (y.max(0) == y.min(0))
    scale = safe_sqrt((x * x).sum(0)) * safe_sqrt((y * y).sum(0))
    return jnp.where(flat, 0.0, (x * y).sum(0) / jnp.where(flat, 1.0, scale))


def _window_information(x: Float[Array, "9 b w"], y: Float[Array, "9 b w"]) -> Float[Array, "b w"]:
    """2 I(x; y) / (H(x) + H(y)) per window, under a joint distribution with these marginals.

    The distribution is a mixture of independence and the (upper or lower) Frechet bound that has
    the correlation of the windows (Nelsen).
    """
    p, q = _distribution(x), _distribution(y)
    correlation = _correlation(x, y)
    cumulative_p, cumulative_q = jnp.cumsum(p, axis=0)[:, None], jnp.cumsum(q, axis=0)[None, :]
    upper, lower = jnp.minimum(cumulative_p, cumulative_q), jnp.maximum(cumulative_p + cumulative_q - 1.0, 0.0)
    bound = jnp.where(correlation >= 0, upper, lower)
    covariance = jnp.sum(bound - cumulative_p * cumulative_q, axis=(0, 1))  # Hoeffding's formula
    solvable = (correlation != 0) & (covariance != 0)
    mixture = jnp.where(
        solvable, correlation * _deviation(p) * _deviation(q) / jnp.where(solvable, covariance, 1.0), 0.0
    )
    cells = jnp.diff(jnp.diff(bound, axis=0, prepend=0.0), axis=1, prepend=0.0)
    joint = mixture * cells + (1.0 - mixture) * p[:, None] * q[None, :]
    entropies = _entropy(p) + _entropy(q)
    information = entropies - _entropy(joint.reshape(-1, *joint.shape[2:]))
    ratio = jnp.where(entropies > 0, 2.0 * information / jnp.where(entropies > 0, entropies, 1.0), 0.0)
    return jnp.where((x == y).all(0), 1.0, ratio)


@checked_options
@equal_shapes
def feature_mutual_information(
    fused: Luma,
    ir: Luma,
    vi_y: Luma,
    *,
    feature: Literal["pixel", "gradient"] = "pixel",
    extent: Extent | None = None,
) -> PerImage:
    """FMI, mean over 3x3 windows and both sources of the normalized mutual information.

    Haghighat & Razian 2014 (Fast-FMI).

    Args:
        fused: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        feature: gray levels, or their central difference along rows (the first output of Matlab's
            `gradient`).
        extent: height and width of the images, if the arrays are larger.

    Returns:
        One value per image, 0..1, higher is better; NaN if a side is below 3 pixels.
    """
    target, *sources = (to_levels(x) for x in (fused, ir, vi_y))
    if min(target.shape[1:]) < _SIZE:
        return undefined(target)
    size = height, width = valid_size(fused, extent)
    if feature == "gradient":
        target, *sources = (central_gradient(x, 2, size) for x in (target, *sources))

    def one_row(row: Array) -> Array:
        f, a, b = (_windows(lax.dynamic_slice_in_dim(x, row, _SIZE, axis=1)) for x in (target, *sources))
        return 0.5 * (_window_information(a, f) + _window_information(b, f))

    # Row by row, because the 81 cells of every joint distribution would take 81 times the memory of
    # the image.
    scores = lax.map(one_row, jnp.arange(target.shape[1] - _SIZE + 1))
    mean = image_mean(jnp.moveaxis(scores, 0, 1), (height - _SIZE + 1, width - _SIZE + 1))
    return where_large(mean, size, _SIZE)
