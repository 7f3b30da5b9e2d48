"""Local means, variances and covariances under a separable window, accurate in float32.

The textbook formula E[xy] - E[x]E[y] suffers from cancellation: on 8-bit levels, float32 leaves an
error of several thousandths, larger than the constants of SSIM and VIF in flat areas. Here the law
of total covariance splits a window into its rows, cov = E_rows[cov within a row] + cov over
rows(row means), and each one-dimensional covariance is taken about the middle pixel of its window.
A flat window gives exactly zero.
"""

from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from fusejax.ops.filters import gaussian_kernel
from fusejax.ops.numerics import isolate_on_cpu, sum_arrays

ROWS, COLUMNS = -2, -1


def gaussian_taps(size: int, sigma: float) -> tuple[float, ...]:
    """Gaussian window with `size` taps (pixels) that sums to 1."""
    return tuple(gaussian_kernel(size, sigma).tolist())


def _shifted(x: Array, taps: int, axis: int, stride: int = 1) -> list[Array]:
    count = x.shape[axis] - taps + 1
    return [lax.slice_in_dim(x, i, i + count, stride=stride, axis=axis) for i in range(taps)]


def _float32(taps: tuple[float, ...]) -> list[float]:
    return np.asarray(taps, np.float32).tolist()


def _smooth(x: Array, taps: tuple[float, ...], axis: int, stride: int = 1) -> Array:
    return sum_arrays(w * part for w, part in zip(_float32(taps), _shifted(x, len(taps), axis, stride), strict=True))


def _offset(x: Array, taps: tuple[float, ...], axis: int) -> Array:
    """Weighted mean of a one-dimensional window minus its middle pixel; zero on a flat window."""
    parts = _shifted(x, len(taps), axis)
    middle = parts[len(taps) // 2]
    return sum_arrays(w * (part - middle) for w, part in zip(_float32(taps), parts, strict=True))


def _second_moment(x: Array, y: Array, within: Array | None, taps: tuple[float, ...], axis: int) -> Array:
    """Weighted mean of within + dx * dy, with differences from the middle of the window.

    dx * dy is symmetric in x and y, so equal images give equal bits and a copy has VIF 1.
    """
    xs, ys = _shifted(x, len(taps), axis), _shifted(y, len(taps), axis)
    inner = [0.0] * len(taps) if within is None else _shifted(within, len(taps), axis)
    middle = len(taps) // 2
    products = ((x_i - xs[middle]) * (y_i - ys[middle]) for x_i, y_i in zip(xs, ys, strict=True))
    return sum_arrays(w * (product + part) for w, product, part in zip(_float32(taps), products, inner, strict=True))


def local_mean(x: Float[Array, "*b h w"], taps: tuple[float, ...], *, stride: int = 1) -> Float[Array, "*b h2 w2"]:
    """Windowed mean at every `stride`-th position where the whole window fits ('valid')."""
    return _smooth(_smooth(x, taps, COLUMNS, stride), taps, ROWS, stride)


class Statistics(NamedTuple):
    """Windowed statistics of a target x and its n sources y, where the whole window fits."""

    mean_x: Float[Array, "b h w"]
    mean_y: Float[Array, "n b h w"]
    variance_x: Float[Array, "b h w"]
    variance_y: Float[Array, "n b h w"]
    covariance: Float[Array, "n b h w"]


def local_statistics(x: Float[Array, "b h w"], y: Float[Array, "n b h w"], taps: tuple[float, ...]) -> Statistics:
    """Means, variances and covariances E[xy] - E[x]E[y] of a target x and n sources y ('valid').

    Variances are non-negative up to rounding. Quantities of the sources do not depend on x, so
    under `vmap` over several targets they are computed only once.
    """
    (mean_x, mean_y), rows = _one_pass((x, y), None, taps, COLUMNS)
    (mean_x, mean_y), (variance_x, variance_y, covariance) = _one_pass((mean_x, mean_y), rows, taps, ROWS)
    return Statistics(mean_x, mean_y, variance_x, variance_y, covariance)


def _one_pass(
    images: tuple[Array, Array], within: tuple[Array, ...] | None, taps: tuple[float, ...], axis: int
) -> tuple[tuple[Array, Array], tuple[Array, ...]]:
    """Means, variances and covariance along an axis, with those `within` rows added."""
    x, y = images
    offset_x, offset_y = isolate_on_cpu(lambda *z: tuple(_offset(p, taps, axis) for p in z), x, y)
    margin, count = len(taps) // 2, x.shape[axis] - len(taps) + 1
    mean_x, mean_y = (
        lax.slice_in_dim(p, margin, margin + count, axis=axis) + o for p, o in ((x, offset_x), (y, offset_y))
    )
    second = isolate_on_cpu(partial(_covariances, taps=taps, axis=axis), x, y, offset_x, offset_y, within)
    return (mean_x, mean_y), second


def _covariances(
    x: Array,
    y: Array,
    offset_x: Array,
    offset_y: Array,
    within: tuple[Array, ...] | None,
    *,
    taps: tuple[float, ...],
    axis: int,
) -> tuple[Array, ...]:
    """Variance of x, variance of y and their covariance, along an axis."""
    pairs = ((x, x, offset_x, offset_x), (y, y, offset_y, offset_y), (x, y, offset_x, offset_y))
    return tuple(
        _second_moment(a, b, part, taps, axis) - offset_a * offset_b
        for (a, b, offset_a, offset_b), part in zip(pairs, within or (None,) * 3, strict=True)
    )


def box_statistics(x: Float[Array, "b h w"], y: Float[Array, "n b h w"], size: int) -> Statistics:
    """Statistics under a uniform window, with the textbook formula E[xy] - E[x]E[y] and its
    rounding.

    On float32 images, scikit-image takes this difference of two rounded numbers, and if the
    constants of SSIM are tiny, the rounding is visible in the score (2e-4). On 8-bit levels the
    window sums here are exact integers, so only those roundings remain. The passes are kept
    separate so that XLA does not fuse product and difference without rounding.
    """
    sums = isolate_on_cpu(partial(_row_sums, size=size), x, y)
    mean_x, mean_y, xx, yy, xy, square_x, square_y, product = isolate_on_cpu(partial(_box_means, size=size), *sums)
    return Statistics(mean_x, mean_y, xx - square_x, yy - square_y, xy - product)


def _row_sums(x: Array, y: Array, *, size: int) -> tuple[Array, ...]:
    """Sums of x, y, x^2, y^2 and x y along the rows of the windows."""
    return tuple(sum_arrays(_shifted(z, size, COLUMNS)) for z in (x, y, x * x, y * y, x * y))


def _box_means(*rows: Array, size: int) -> tuple[Array, ...]:
    """Means of x, y, x^2, y^2, x y, and the products of the first two."""
    mean_x, mean_y, *second = (_rounded_quotient(sum_arrays(_shifted(z, size, ROWS)), size * size) for z in rows)
    return mean_x, mean_y, *second, mean_x * mean_x, mean_y * mean_y, mean_x * mean_y


def _rounded_quotient(total: Array, count: int) -> Array:
    """total / count without the error of the rounded reciprocal by which XLA multiplies."""
    # Integer quotients are exact.
    whole = jnp.floor(total * (1.0 / count))
    return whole + (total - whole * count) * (1.0 / count)
