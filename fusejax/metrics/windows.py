"""Local means, variances and covariances under a separable window, with relative error near float32's own.

The textbook E[xy] - E[x]E[y] cancels: on 8-bit levels float32 leaves an error of several thousandths, larger than the
constants of SSIM and VIF in flat areas. Here the law of total covariance splits a window into its rows,
cov = E_rows[cov within a row] + cov over rows(row means), and each one-dimensional covariance is taken about the
pixel in the middle of its window. A flat window gives exactly zero.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from fusejax.filters import gaussian_kernel

ROWS, COLUMNS = -2, -1


def gaussian_taps(size: int, sigma: float) -> tuple[float, ...]:
    """Gaussian window of `size` taps (pixels) that sums to 1."""
    return tuple(gaussian_kernel(size, sigma).tolist())


def _shifted(x: Array, taps: int, axis: int, stride: int = 1) -> list[Array]:
    count = x.shape[axis] - taps + 1
    return [lax.slice_in_dim(x, i, i + count, stride=stride, axis=axis) for i in range(taps)]


def _smooth(x: Array, taps: tuple[float, ...], axis: int, stride: int = 1) -> Array:
    weights = np.asarray(taps, np.float32).tolist()
    return sum(w * part for w, part in zip(weights, _shifted(x, len(taps), axis, stride), strict=True))


def _covariance_along(x: Array, y: Array, taps: tuple[float, ...], axis: int) -> Array:
    """Covariance along one axis. w * (dx * dy) is symmetric in x and y, so equal pictures give equal bits."""
    xs, ys = _shifted(x, len(taps), axis), _shifted(y, len(taps), axis)
    middle = len(taps) // 2
    product = mean_x = mean_y = 0.0
    for w, x_i, y_i in zip(np.asarray(taps, np.float32).tolist(), xs, ys, strict=True):
        dx, dy = x_i - xs[middle], y_i - ys[middle]
        product, mean_x, mean_y = product + w * (dx * dy), mean_x + w * dx, mean_y + w * dy
    return product - mean_x * mean_y


def local_mean(x: Float[Array, "*b h w"], taps: tuple[float, ...], *, stride: int = 1) -> Float[Array, "*b h2 w2"]:
    """Windowed mean at the positions where the whole window fits ('valid'), every `stride`-th of them."""
    return _smooth(_smooth(x, taps, COLUMNS, stride), taps, ROWS, stride)


def _apart(function: Callable[..., Any], *args: Array) -> Any:
    """function(*args) that XLA's CPU backend does not fuse with what comes before or after.

    Straight-line code lets it fold the first pass of a separable window into every tap of the second and compute it a
    dozen times. It does not fuse across a conditional; the barrier hides that the condition is always true.
    """

    def conditional(*args: Array) -> Any:
        shapes = jax.eval_shape(function, *args)
        never = lambda *_: jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)  # noqa: E731
        return lax.cond(lax.optimization_barrier(jnp.bool_(True)), function, never, *args)

    return lax.platform_dependent(*args, cpu=conditional, default=function)


def local_statistics(
    x: Float[Array, "*b h w"], y: Float[Array, "*b h w"], taps: tuple[float, ...]
) -> tuple[Float[Array, "*b h2 w2"], Float[Array, "*b h2 w2"]]:
    """Windowed mean of x and covariance E[xy] - E[x]E[y], where the whole window fits ('valid').

    With y = x the covariance is the variance (non-negative up to rounding).
    """

    def along_rows(x: Array, y: Array) -> tuple[Array, Array, Array]:
        return _smooth(x, taps, COLUMNS), _smooth(y, taps, COLUMNS), _covariance_along(x, y, taps, COLUMNS)

    def across_rows(row_x: Array, row_y: Array, within: Array) -> tuple[Array, Array]:
        return _smooth(row_x, taps, ROWS), _smooth(within, taps, ROWS) + _covariance_along(row_x, row_y, taps, ROWS)

    return _apart(across_rows, *_apart(along_rows, x, y))


def box_covariance(
    x: Float[Array, "b h w"], y: Float[Array, "b h w"], size: int
) -> tuple[Float[Array, "b h2 w2"], Float[Array, "b h2 w2"], Float[Array, "b h2 w2"]]:
    """Uniform window: E[x], E[y] and the textbook E[xy] - E[x]E[y] with the rounding that float32 toolkits have.

    scikit-image on float32 pictures forms this difference of two rounded numbers, and where the constants of SSIM are
    tiny its rounding shows in the score (2e-4). On 8-bit levels every window sum here is an exact integer, so that only
    the same two roundings are left; the barriers keep XLA from dividing by a rounded reciprocal and from fusing the
    product into the difference.
    """
    count = lax.optimization_barrier(jnp.float32(size * size))

    def mean(z: Array) -> Array:
        return sum(_shifted(sum(_shifted(z, size, COLUMNS)), size, ROWS)) / count

    mean_x, mean_y = mean(x), mean(y)
    mean_of_product, product_of_means = lax.optimization_barrier((mean(x * y), mean_x * mean_y))
    return mean_x, mean_y, mean_of_product - product_of_means
