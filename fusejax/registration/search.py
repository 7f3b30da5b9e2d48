"""Coarse search: correlation of descriptors over all shifts, for a grid of scales and rotations."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fusejax.registration.descriptors import described, self_similarity
from fusejax.registration.sampling import bilinear

SIDE = 112  # of the square canvas that holds a whole image, pixels
_TRANSFORM = 192  # side of the Fourier transform: the canvas and shifts up to 5/7 of it
_PEAKS = 3  # kept for every scale and rotation
_LEAST_OVERLAP = 0.3  # of the smaller image
# How much less likely a transform is far from these: exponent, scale, log of scale, shift (of the
# side), rotation (radians). Cameras side by side rarely differ by more.
_PRIOR = (0.02, 0.9, 0.25, 0.3, 0.1)


def _blurred(image: Float[Array, "n n"], sigma: Float[Array, ""]) -> Float[Array, "n n"]:
    """Gaussian blur whose sigma is no constant."""
    distance = jnp.arange(image.shape[0])[:, None] - jnp.arange(image.shape[0])[None, :]
    kernel = jnp.exp(-0.5 * (distance / jnp.maximum(sigma, 1e-3)) ** 2)
    kernel = kernel / kernel.sum(axis=1, keepdims=True)
    return kernel @ image @ kernel.T


def _shrunk(image: Array, mask: Array, factor: Array, angle: Array | float) -> tuple[Array, Array]:
    """Image and mask, shrunk by a factor <= 1 and rotated about the center of the canvas."""
    n = image.shape[0]
    image = _blurred(image, 0.6 * jnp.sqrt(jnp.maximum(1 / factor**2 - 1, 0.0)))
    c = (n - 1) / 2
    yy, xx = jnp.meshgrid(jnp.arange(n) - c, jnp.arange(n) - c, indexing="ij")
    cos, sin = jnp.cos(angle) / factor, jnp.sin(angle) / factor
    x, y = (cos * xx + sin * yy + c).ravel(), (-sin * xx + cos * yy + c).ravel()
    both = bilinear(jnp.stack([image, mask], axis=-1), x, y).reshape(n, n, 2)
    return both[..., 0], (both[..., 1] > 0.99).astype(image.dtype)


def _spectra(image: Array, mask: Array) -> Array:
    """Fourier transforms of the descriptors, of their energy and of their mask: [c + 2, ...]."""
    d = self_similarity(image, mask)
    stack = jnp.concatenate([d, (d**2).sum(axis=-1, keepdims=True), described(d)[..., None]], axis=-1)
    return jnp.fft.rfft2(jnp.moveaxis(stack, -1, 0), s=(_TRANSFORM, _TRANSFORM))


@jax.jit
def surfaces(
    vi: Float[Array, "n n"],
    vi_mask: Float[Array, "n n"],
    ir: Float[Array, "n n"],
    ir_mask: Float[Array, "n n"],
    below: Float[Array, " b"],
    above: Float[Array, " c"],
    angles: Float[Array, " a"],
) -> Float[Array, "s a m m"]:
    """Scores of all shifts for every scale and rotation.

    The score is the normalized correlation of the descriptors in the overlap, times the share of
    the smaller image that overlaps and the fourth root of that image's area at this scale, since
    chance correlations of small areas are larger, times a broad prior.

    Args:
        vi: visible canvas.
        vi_mask: 1 where it holds the image.
        ir: infrared canvas.
        ir_mask: 1 where it holds the image.
        below: infrared pixels per visible pixel, both of the canvas, at most 1.
        above: more of them, above 1.
        angles: rotations in radians.

    Returns:
        Scores of `below`, then of `above`, at shifts modulo m, -1 where the overlap is too small.
    """
    frequency = jnp.fft.fftfreq(_TRANSFORM, 1 / _TRANSFORM) / SIDE
    exponent, usual, log_scale, far, turned = _PRIOR

    def score(at_ir: Array, at_vi: Array, scale: Array, angle: Array) -> Array:
        energies = [at_vi[-2] * at_ir[-1], at_vi[-1] * at_ir[-2], at_vi[-1] * at_ir[-1]]
        products = jnp.stack([(at_vi[:-2] * at_ir[:-2]).sum(axis=0), *energies])
        cross, of_vi, of_ir, area = jnp.fft.irfft2(products, s=(_TRANSFORM, _TRANSFORM))
        of_vi, of_ir = (jnp.maximum(e, 1e-3 * e.max()) for e in (of_vi, of_ir))
        moved = (frequency * jnp.maximum(1.0, scale) / far) ** 2
        unlikely = (jnp.log(scale / usual) / log_scale) ** 2 + moved[:, None] + moved[None, :]
        likely = jnp.exp(-exponent * (unlikely + (angle / turned) ** 2))
        most = area.max()  # the smaller image, as large as this scale leaves it
        certain = (most / SIDE**2) ** 0.25 * jnp.clip(area / most, 0, 1)
        found = likely * cross / jnp.sqrt(of_vi * of_ir + 1e-12) * certain
        return jnp.where(area > _LEAST_OVERLAP * most, found, -1.0)

    # The image that is not shrunk is described once: infrared below a scale of 1, for every angle
    # the visible one above it.
    at_one = jnp.ones(())
    whole = _spectra(*_shrunk(ir, ir_mask, at_one, 0.0))
    turned_vi = jax.lax.map(lambda a: jnp.conj(_spectra(*_shrunk(vi, vi_mask, at_one, a))), angles)

    def shrunk_vi(scale: Array) -> Array:
        return jax.lax.map(
            lambda a: score(whole, jnp.conj(_spectra(*_shrunk(vi, vi_mask, scale, a))), scale, a), angles
        )

    def shrunk_ir(scale: Array) -> Array:
        at_ir = _spectra(*_shrunk(ir, ir_mask, 1 / scale, 0.0))
        return jax.lax.map(lambda at: score(at_ir, at[0], scale, at[1]), (turned_vi, angles))

    parts = [jax.lax.map(f, s) for f, s in ((shrunk_vi, below), (shrunk_ir, above)) if len(s)]
    return jnp.concatenate(parts)


@functools.partial(jax.jit, static_argnames=("count",))
def peaks(
    scores: Float[Array, "s a m m"], *, count: int = _PEAKS
) -> tuple[Float[Array, "s a k"], Float[Array, "s a k"], Float[Array, "s a k"]]:
    """The highest local maxima of every surface: score, shift in x, shift in y (canvas pixels)."""
    s, a, n, _ = scores.shape
    flat = scores.reshape(s * a, n, n)
    wrapped = jnp.pad(flat, ((0, 0), (2, 2), (2, 2)), mode="wrap")
    highest = jax.lax.reduce_window(wrapped, -jnp.inf, jax.lax.max, (1, 5, 5), (1, 1, 1), "VALID")
    values, place = jax.lax.top_k(jnp.where(flat >= highest, flat, -1.0).reshape(s * a, n * n), count)
    shifts = [jnp.where(d > n // 2, d - n, d).astype(scores.dtype) for d in (place % n, place // n)]
    values, x, y = (v.reshape(s, a, count) for v in (values, *shifts))
    return values, x, y


def similarity(scale: float, angle: float, x: float, y: float) -> np.ndarray:
    """Matrix from a pixel of the visible canvas to the pixel of the infrared canvas."""
    center = np.full(2, (SIDE - 1) / 2)
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shift = center + max(1.0, scale) * np.array([x, y]) - linear @ center
    return np.block([[linear, shift[:, None]], [np.zeros((1, 2)), np.ones((1, 1))]])
