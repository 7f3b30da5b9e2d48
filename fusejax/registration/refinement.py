"""Refinement: Gauss-Newton on the correlation of descriptors, to a fraction of a pixel."""

import functools
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fusejax.registration.descriptors import described, erode, self_similarity
from fusejax.registration.geometry import to_unit
from fusejax.registration.sampling import bilinear

Model = Literal["translation", "similarity", "affine", "homography"]

# Free parameters: shift x and y, scale, rotation, anisotropy, shear, perspective x and y.
FREE: dict[str, tuple[int, ...]] = {
    "translation": (1, 1, 0, 0, 0, 0, 0, 0),
    "similarity": (1, 1, 1, 1, 0, 0, 0, 0),
    "affine": (1, 1, 1, 1, 1, 1, 0, 0),
    "homography": (1, 1, 1, 1, 1, 1, 1, 1),
}
_PRIOR = (0.1, 0.05, 0.05, 0.05)  # standard deviations of the last four parameters
_DEPENDENT = 25.0  # pixels whose descriptors vary together
_REACH = 4.0  # of one step, pixels
_DAMPING = 0.6  # of a full step, which overshoots: the curvature of Gauss and Newton is too low here


def basis(x: Float[Array, " n"], y: Float[Array, " n"]) -> tuple[Float[Array, "8 n"], Float[Array, "8 n"]]:
    """Displacement in x and y per unit of every parameter, at coordinates of `to_unit`."""
    one, zero = jnp.ones_like(x), jnp.zeros_like(x)
    return jnp.stack([one, zero, x, -y, x, y, x * x, x * y]), jnp.stack([zero, one, y, x, -y, x, x * y, y * y])


def _small(p: Float[Array, " 8"]) -> Float[Array, "3 3"]:
    """The homography of small parameters."""
    rows = [[1 + p[2] + p[4], p[5] - p[3], p[0]], [p[5] + p[3], 1 + p[2] - p[4], p[1]], [-p[6], -p[7], 1.0]]
    return jnp.array(rows, p.dtype)


def deviation(m: Float[Array, "3 3"]) -> Float[Array, " 4"]:
    """How far a homography of unit coordinates is from a similarity: the last four parameters."""
    m = m / m[2, 2]
    j = m[:2, :2] - m[:2, 2:] * m[2:, :2]  # the Jacobian at the center
    size = jnp.sqrt(jnp.abs(j[0, 0] * j[1, 1] - j[0, 1] * j[1, 0]) + 1e-12)
    return jnp.stack([(j[0, 0] - j[1, 1]) / 2 / size, (j[0, 1] + j[1, 0]) / 2 / size, -m[2, 0], -m[2, 1]])


@functools.partial(jax.jit, static_argnames=("steps",))
def refine(
    vi: Float[Array, "h w"],
    vi_mask: Float[Array, "h w"],
    ir: Float[Array, "h w"],
    ir_mask: Float[Array, "h w"],
    carried: Float[Array, " 4"],
    free: Float[Array, " 8"],
    *,
    steps: int,
) -> tuple[Float[Array, "3 3"], Float[Array, ""], Float[Array, "8 8"], Float[Array, ""]]:
    """Residual homography between two views that nearly line up.

    Gradient of the normalized correlation of the descriptors, composed on the side of the visible
    view; curvature of Gauss and Newton (the structure of the visible descriptors times the
    correlation, as in ECC, Evangelidis and Psarakis 2008), plus a prior that holds anisotropy,
    shear and perspective near zero where the images say little.

    Args:
        vi: visible view.
        vi_mask: 1 where it is valid.
        ir: infrared view, warped by the transform so far.
        ir_mask: 1 where it is valid.
        carried: `deviation` of the transform so far.
        free: 1 for parameters that may change.
        steps: number of iterations.

    Returns:
        The homography in unit coordinates, the correlation, the covariance of the parameters as the
        images' noise predicts it, and the share of the view that both cameras see.
    """
    h, w = vi.shape
    half = max(h, w) / 2
    unit = to_unit((h, w))
    into, out = jnp.asarray(unit, vi.dtype), jnp.asarray(np.linalg.inv(unit), vi.dtype)
    a, b = self_similarity(vi, vi_mask), self_similarity(ir, ir_mask)
    c, a_valid = a.shape[-1], described(a).ravel()
    values = jnp.concatenate([b, described(b)[..., None]], axis=-1)
    yy, xx = jnp.meshgrid(jnp.arange(h, dtype=vi.dtype), jnp.arange(w, dtype=vi.dtype), indexing="ij")
    x, y = into[0, 0] * xx.ravel() + into[0, 2], into[1, 1] * yy.ravel() + into[1, 2]
    bx, by = basis(x, y)
    ax, ay = (jnp.asarray(jnp.gradient(a, axis=k)).reshape(-1, c) * half for k in (1, 0))
    txx, txy, tyy = ((p * q).sum(axis=-1) for p, q in ((ax, ax), (ax, ay), (ay, ay)))
    flat = a.reshape(-1, c)
    prior = jnp.concatenate([jnp.zeros(4), 1 / jnp.asarray(_PRIOR) ** 2]).astype(vi.dtype)

    def compare(m: Array) -> tuple[Array, ...]:
        u, v, scale = (out @ m) @ jnp.stack([x, y, jnp.ones_like(x)])
        s = bilinear(values, u / scale, v / scale)
        valid = a_valid * (s[:, -1] > 0.99)
        s = s[:, :-1] * valid[:, None]
        cross, of_a, of_b = (flat * s).sum(), ((flat**2).sum(axis=-1) * valid).sum() + 1e-12, (s**2).sum() + 1e-12
        return s, valid, cross, of_a, of_b, cross / jnp.sqrt(of_a * of_b)

    def step(carry: tuple[Array, ...], _: None) -> tuple[tuple[Array, ...], Array]:
        m, best, highest = carry
        s, valid, cross, of_a, of_b, ncc = compare(m)
        rho = jnp.clip(ncc, 0.05, 0.98)
        inner = erode(valid.reshape(h, w), 1).ravel()
        sx, sy = (jnp.asarray(jnp.gradient(s.reshape(h, w, c), axis=k)).reshape(-1, c) for k in (1, 0))
        rest = (s * (cross / of_b) - flat * valid[:, None]) * inner[:, None] * jnp.sqrt(of_a / of_b) * half
        slope = bx @ (sx * rest).sum(axis=-1) + by @ (sy * rest).sum(axis=-1)
        curve = (bx * (txx * inner)) @ bx.T + (by * (tyy * inner)) @ by.T
        mixed = (bx * (txy * inner)) @ by.T
        gain = rho / (1 - rho**2) * valid.sum() / _DEPENDENT / of_a
        gradient = gain * slope + prior * jnp.concatenate([jnp.zeros(4, m.dtype), carried + deviation(m)])
        precision = gain * rho * (curve + mixed + mixed.T) + jnp.diag(prior)
        precision = precision * free[:, None] * free[None, :] + jnp.diag(1 - free)
        p = jnp.linalg.solve(precision + 1e-4 * jnp.diag(jnp.diag(precision)) + 1e-6 * jnp.eye(8), gradient * free)
        reach = jnp.abs(jnp.concatenate([p @ bx[:, ::97], p @ by[:, ::97]])).max() * half
        best, highest = jnp.where(ncc > highest, m, best), jnp.maximum(ncc, highest)
        m = m @ jnp.linalg.inv(_small(p * jnp.minimum(_DAMPING, _REACH / (reach + 1e-6))))
        return (m / m[2, 2], best, highest), precision

    start = into @ out
    (m, best, highest), precisions = jax.lax.scan(
        step, (start, start, jnp.full((), -1.0, vi.dtype)), None, length=steps
    )
    m = jnp.where(compare(m)[-1] > highest, m, best)
    _, valid, _, _, _, ncc = compare(m)
    covariance = jnp.linalg.inv(precisions[-1] + 1e-6 * jnp.eye(8)) * free[:, None] * free[None, :]
    return m, ncc, covariance, valid.mean()
