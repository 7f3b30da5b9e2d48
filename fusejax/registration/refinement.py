"""Refinement: the transform under which the blocks of a view correlate best.

The correlation of every block is known for all shifts within a reach (`blocks`), so the sum over
the blocks can be climbed without warping again, from wide and smooth to narrow: the basin is as
wide as the reach, and a block that fits elsewhere, or nowhere, does not pull.
"""

import functools
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Model = Literal["translation", "similarity", "affine", "homography"]

# Free parameters: shift x and y, scale, rotation, anisotropy, shear, perspective x and y.
FREE: dict[str, tuple[int, ...]] = {
    "translation": (1, 1, 0, 0, 0, 0, 0, 0),
    "similarity": (1, 1, 1, 1, 0, 0, 0, 0),
    "affine": (1, 1, 1, 1, 1, 1, 0, 0),
    "homography": (1, 1, 1, 1, 1, 1, 1, 1),
}
_PRIOR = (0.1, 0.05, 0.05, 0.05)  # standard deviations of the last four parameters
_GAIN = 1000.0  # of the mean correlation against the prior
_STEPS = 8  # of the climb for every width


def basis(x: Float[Array, " n"], y: Float[Array, " n"]) -> tuple[Float[Array, "8 n"], Float[Array, "8 n"]]:
    """Displacement in x and y per unit of every parameter, at coordinates of `to_unit`."""
    one, zero = jnp.ones_like(x), jnp.zeros_like(x)
    return jnp.stack([one, zero, x, -y, x, y, x * x, x * y]), jnp.stack([zero, one, y, x, -y, x, x * y, y * y])


def small(p: Float[Array, " 8"]) -> Float[Array, "3 3"]:
    """The homography of small parameters."""
    rows = [[1 + p[2] + p[4], p[5] - p[3], p[0]], [p[5] + p[3], 1 + p[2] - p[4], p[1]], [-p[6], -p[7], 1.0]]
    return jnp.array(rows, p.dtype)


def deviation(m: Float[Array, "3 3"]) -> Float[Array, " 4"]:
    """How far a homography of unit coordinates is from a similarity: the last four parameters."""
    m = m / m[2, 2]
    j = m[:2, :2] - m[:2, 2:] * m[2:, :2]  # the Jacobian at the center
    size = jnp.sqrt(jnp.abs(j[0, 0] * j[1, 1] - j[0, 1] * j[1, 0]) + 1e-12)
    return jnp.stack([(j[0, 0] - j[1, 1]) / 2 / size, (j[0, 1] + j[1, 0]) / 2 / size, -m[2, 0], -m[2, 1]])


def _smoothed(surfaces: Float[Array, "n m m"], sigma: float) -> Float[Array, "n m m"]:
    """Surfaces blurred over the shifts."""
    if not sigma:
        return surfaces
    at = np.arange(surfaces.shape[1])
    kernel = np.exp(-0.5 * ((at[:, None] - at[None, :]) / sigma) ** 2)
    kernel = jnp.asarray(kernel / kernel.sum(axis=1, keepdims=True), surfaces.dtype)
    return jnp.einsum("yi,nij,xj->nyx", kernel, surfaces, kernel)


def _spline(t: Float[Array, " n"]) -> tuple[Float[Array, "n 4"], Float[Array, "n 4"], Float[Array, "n 4"]]:
    """Cubic B-spline at four neighbors, with its first and second derivative."""
    value = [(1 - t) ** 3 / 6, (3 * t**3 - 6 * t**2 + 4) / 6, (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6, t**3 / 6]
    slope = [-((1 - t) ** 2) / 2, (3 * t**2 - 4 * t) / 2, (-3 * t**2 + 2 * t + 1) / 2, t**2 / 2]
    bend = [1 - t, 3 * t - 2, -3 * t + 1, t]
    return jnp.stack(value, -1), jnp.stack(slope, -1), jnp.stack(bend, -1)


def _sampled(
    surfaces: Float[Array, "n m m"], shift: Float[Array, "2 n"]
) -> tuple[Float[Array, " n"], Float[Array, "2 n"], Float[Array, "3 n"]]:
    """Value, gradient and curvature (xx, xy, yy) of every surface at its own shift."""
    n, m, _ = surfaces.shape
    reach = m // 2
    inside = (jnp.abs(shift) <= reach - 1).all(axis=0).astype(surfaces.dtype)
    x, y = jnp.clip(shift + reach, 1, 2 * reach - 1.001)
    j, i = (jnp.floor(v).astype(jnp.int32) for v in (x, y))
    near = jnp.arange(-1, 3)
    patch = surfaces[jnp.arange(n)[:, None, None], (i[:, None] + near)[:, :, None], (j[:, None] + near)[:, None, :]]
    (x0, x1, x2), (y0, y1, y2) = _spline(x - j), _spline(y - i)
    taken = [jnp.einsum("nyx,ny,nx->n", patch, v, u) for v, u in ((y0, x0), (y0, x1), (y1, x0))]
    bent = [jnp.einsum("nyx,ny,nx->n", patch, v, u) for v, u in ((y0, x2), (y1, x1), (y2, x0))]
    return taken[0], inside * jnp.stack(taken[1:]), inside * jnp.stack(bent)


def _downward(curvature: Float[Array, "3 n"]) -> Float[Array, "3 n"]:
    """Minus the curvature (xx, xy, yy), without the directions in which a surface bends upward."""
    xx, xy, yy = -curvature
    mean, half = (xx + yy) / 2, jnp.sqrt(((xx - yy) / 2) ** 2 + xy**2 + 1e-20)
    high, low = jnp.maximum(mean + half, 0.0), jnp.maximum(mean - half, 0.0)
    cos, sin = (xx - yy) / 2 / half, xy / half
    mean, half = (high + low) / 2, (high - low) / 2
    return jnp.stack([mean + half * cos, half * sin, mean - half * cos])


@functools.partial(jax.jit, static_argnames=("widths",))
def climb(
    surfaces: Float[Array, "n m m"],
    weights: Float[Array, " n"],
    centers: Float[Array, "2 n"],
    half: Float[Array, ""],
    carried: Float[Array, " 4"],
    free: Float[Array, "k 8"],
    *,
    widths: tuple[float, ...],
) -> tuple[Float[Array, " 8"], Float[Array, ""], Float[Array, "8 n"], Float[Array, "8 8"]]:
    """Parameters under which the weighted mean of the blocks' correlation is highest.

    Levenberg-Marquardt steps on the surfaces, smoothed from wide to narrow, with a prior that
    holds anisotropy, shear and perspective near zero where the images say little.

    Args:
        surfaces: see `fusejax.registration.blocks.block_surfaces`.
        weights: of the blocks.
        centers: of the blocks, x and y in unit coordinates.
        half: pixels of a unit.
        carried: `deviation` of the transform so far.
        free: 1 for parameters that may change, for every width.
        widths: standard deviations of the smoothing, in pixels; one or more.

    Returns:
        The parameters, the mean correlation there, the gradient of every block by the parameters,
        and the curvature of the sum, with the prior (both in units of the prior).
    """
    bx, by = (half * b for b in basis(*centers))
    share = _GAIN * weights / (weights.sum() + 1e-9)
    prior = jnp.concatenate([jnp.zeros(4), 1 / jnp.asarray(_PRIOR) ** 2]).astype(surfaces.dtype)
    so_far = jnp.concatenate([jnp.zeros(4, surfaces.dtype), carried])

    def at(smooth: Array, p: Array) -> tuple[Array, Array, Array, Array]:
        u, v, scale = small(p) @ jnp.stack([*centers, jnp.ones_like(centers[0])])
        value, slope, bend = _sampled(smooth, half * (jnp.stack([u, v]) / scale - centers))
        xx, xy, yy = _downward(bend) * share
        mixed = (bx * xy) @ by.T
        curvature = (bx * xx) @ bx.T + (by * yy) @ by.T + mixed + mixed.T + jnp.diag(prior)
        total = (share * value).sum() - 0.5 * (prior * (p + so_far) ** 2).sum()
        return total, share * (bx * slope[0] + by * slope[1]), curvature, (share * value).sum() / _GAIN

    def step(smooth: Array, free: Array, carry: tuple[Any, ...], _: None) -> tuple[tuple[Any, ...], None]:
        p, damping, (total, slopes, curvature, mean) = carry
        gradient = slopes.sum(axis=1) - prior * (p + so_far)
        h = curvature + damping * jnp.diag(jnp.diag(curvature)) + 1e-3 * jnp.eye(8)
        h = h * free[:, None] * free[None, :] + jnp.diag(1 - free)
        tried = p + jnp.linalg.solve(h, gradient * free)
        there = at(smooth, tried)
        better = there[0] > total
        kept = jax.tree.map(lambda new, old: jnp.where(better, new, old), there, (total, slopes, curvature, mean))
        damping = jnp.where(better, damping / 4, jnp.maximum(damping, 1e-3) * 6)
        return (jnp.where(better, tried, p), damping, kept), None

    p, found = jnp.zeros(8, surfaces.dtype), None
    for k, width in enumerate(widths):
        smooth = _smoothed(surfaces, width)
        start = (p, jnp.full((), 1e-3, surfaces.dtype), at(smooth, p))
        (p, _, found), _ = jax.lax.scan(functools.partial(step, smooth, free[k]), start, None, length=_STEPS)
    assert found is not None
    return p, found[3], found[1], found[2]
