"""Degradations of a source, as pure functions of one image.

All have the form `f(key, image, strength, extent) -> image`. Strength and extent are traced: one
compiled function serves all strengths and sizes. The image is the top left part of an array that
may be larger (a bucket), and only the noise depends on the size of that array. A strength of 0
changes nothing. Values are not clipped; the caller does that.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Array, Float, Int

Image = Float[Array, "h w c"]
Strength = Float[Array, ""]
Extent = Int[Array, " 2"]
Degradation = Callable[[jax.Array, Image, Strength, Extent], Image]

_GAMMA = 2.2  # from display values to light
_READ_NOISE = 0.004  # standard deviation of a camera's noise in the dark, as a fraction of full light
_SHOT_NOISE = 0.002  # variance of the light per unit of light
_FOG = 0.85  # gray level of the airlight
_NEAREST = 0.2  # depth of the bottom row, if that of the top row is 1
# The blur is exact if its radius of 4 sigma is at most this many times the side.
_REFLECTIONS = 2


def gaussian_noise(key: jax.Array, image: Image, strength: Strength, extent: Extent) -> Image:
    """Adds white noise of standard deviation `strength` (of the range [0, 1]) to every channel."""
    del extent
    return image + strength * jax.random.normal(key, image.shape)


def poisson_noise(key: jax.Array, image: Image, strength: Strength, extent: Extent) -> Image:
    """Counts photons: x becomes Poisson(x / strength) * strength; white is 1 / strength photons."""
    del extent
    least = jnp.maximum(strength, 1e-6)
    counted = jax.random.poisson(key, jnp.maximum(image, 0) / least) * least
    return jnp.where(strength > 0, counted.astype(image.dtype), image)


def stripes(key: jax.Array, image: Image, strength: Strength, extent: Extent) -> Image:
    """Adds an offset of standard deviation `strength` to each column, like uncorrected sensors."""
    del extent
    return image + strength * jax.random.normal(key, (1, image.shape[1], 1))


def blur(key: jax.Array, image: Image, strength: Strength, extent: Extent) -> Image:
    """Gaussian blur of standard deviation `strength` pixels, truncated at 4 sigma, symmetric
    borders.
    """
    del key
    rows, columns = (_blur_matrix(n, strength, side) for n, side in zip(image.shape[:2], extent, strict=True))
    return jnp.einsum("ij,jkc,lk->ilc", rows, image, columns)


def _blur_matrix(n: int, sigma: Strength, side: Int[Array, ""]) -> Float[Array, "n n"]:
    """Weight of pixel j in blurred pixel i of a line of `side` pixels, mirrored at its ends."""
    i, j = jnp.arange(n)[:, None], jnp.arange(n)[None, :]

    def weight(distance: Int[Array, "n n"]) -> Float[Array, "n n"]:
        inside = jnp.abs(distance) <= jnp.round(4 * sigma)
        return jnp.where(inside, jnp.exp(-0.5 * jnp.square(distance / jnp.maximum(sigma, 1e-3))), 0.0)

    shifts = range(-_REFLECTIONS, _REFLECTIONS + 1)
    total = sum(weight(j - i + 2 * side * m) + weight(-1 - j - i + 2 * side * m) for m in shifts)
    total = jnp.where(j < side, total, 0.0)
    return jnp.where(i < side, total / jnp.maximum(total.sum(axis=1, keepdims=True), 1e-9), i == j)


def low_light(key: jax.Array, image: Image, strength: Strength, extent: Extent) -> Image:
    """Removes `strength` stops of light and adds camera noise (Foi et al. 2008, Eq. 4).

    Light is value^2.2. The noise is Gaussian with variance a * light + b and is faded in with the
    number of stops, since the image already contains its own noise.
    """
    del extent
    light = jnp.maximum(image, 0) ** _GAMMA * 2.0**-strength
    deviation = jnp.sqrt((1 - 2.0**-strength) * (_SHOT_NOISE * light + _READ_NOISE**2))
    noisy = light + deviation * jax.random.normal(key, image.shape)
    return jnp.where(strength > 0, jnp.maximum(noisy, 0) ** (1 / _GAMMA), image)


def overexposure(key: jax.Array, image: Image, strength: Strength, extent: Extent) -> Image:
    """Adds `strength` stops of light (value^2.2); values above white are lost."""
    del key, extent
    return jnp.minimum(image * 2.0 ** (strength / _GAMMA), 1.0)


def fog(key: jax.Array, image: Image, strength: Strength, extent: Extent) -> Image:
    """Koschmieder's law: x t + A (1 - t) with t = exp(-strength * depth).

    The depth is synthetic, since pairs have none: a plane from 1 at the top row to 0.2 at the
    bottom.
    """
    del key
    row = jnp.arange(image.shape[0])[:, None, None] / jnp.maximum(extent[0] - 1, 1)
    passed = jnp.exp(-strength * (1 - (1 - _NEAREST) * row))
    return image * passed + _FOG * (1 - passed)


def shift(key: jax.Array, image: Image, strength: Strength, extent: Extent) -> Image:
    """Moves the image by `strength` pixels in a random one of four directions; repeats the
    edges.
    """
    angle = jnp.pi / 2 * jax.random.randint(key, (), 0, 4)
    rows, columns = _grid(image)
    return _sample(image, rows + strength * jnp.sin(angle), columns + strength * jnp.cos(angle), extent)


def rotation(key: jax.Array, image: Image, strength: Strength, extent: Extent) -> Image:
    """Rotates the image by `strength` degrees about its center, in a random direction."""
    angle = jnp.deg2rad(strength) * jax.random.rademacher(key, ())
    middle = (extent - 1) / 2
    rows, columns = (x - m for x, m in zip(_grid(image), middle, strict=True))
    turned = jnp.cos(angle) * rows - jnp.sin(angle) * columns, jnp.sin(angle) * rows + jnp.cos(angle) * columns
    rows, columns = (x + m for x, m in zip(turned, middle, strict=True))
    return _sample(image, rows, columns, extent)


def _grid(image: Image) -> tuple[Float[Array, "h w"], Float[Array, "h w"]]:
    rows, columns = jnp.meshgrid(*(jnp.arange(n, dtype=image.dtype) for n in image.shape[:2]), indexing="ij")
    return rows, columns


def _sample(image: Image, rows: Float[Array, "h w"], columns: Float[Array, "h w"], extent: Extent) -> Image:
    """Linear interpolation at the given positions, clamped to the image."""
    at = [jnp.clip(x, 0, side - 1) for x, side in zip((rows, columns), extent, strict=True)]
    return jnp.stack([map_coordinates(plane, at, order=1) for plane in jnp.moveaxis(image, -1, 0)], axis=-1)


def dead(key: jax.Array, image: Image, strength: Strength, extent: Extent) -> Image:
    """Fades to black; at 1 the camera is dead."""
    del key, extent
    return image * (1 - strength)


def saturated(key: jax.Array, image: Image, strength: Strength, extent: Extent) -> Image:
    """Fades to white; at 1 the camera is saturated everywhere."""
    del key, extent
    return image + strength * (1 - image)


def inverted(key: jax.Array, image: Image, strength: Strength, extent: Extent) -> Image:
    """Inverts the polarity: at 1, hot is black."""
    del key, extent
    return image + strength * (1 - 2 * image)
