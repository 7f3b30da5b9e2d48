"""Bilinear samples of one image at any points."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def bilinear(values: Float[Array, "h w c"], x: Float[Array, " n"], y: Float[Array, " n"]) -> Float[Array, "n c"]:
    """Samples an image; zero outside it.

    Args:
        values: image of at least 2x2 pixels, in any range.
        x: columns; pixel centers are at integers.
        y: rows, likewise.

    Returns:
        Samples [n, c], differentiable in all three arguments inside the image.
    """
    h, w, c = values.shape
    flat = values.reshape(h * w, c)
    inside = (x >= 0) & (x <= w - 1) & (y >= 0) & (y <= h - 1)
    j, i = jnp.clip(jnp.floor(x), 0, w - 2), jnp.clip(jnp.floor(y), 0, h - 2)
    fx, fy = (x - j)[:, None], (y - i)[:, None]
    first = i.astype(jnp.int32) * w + j.astype(jnp.int32)
    top = flat[first] * (1 - fx) + flat[first + 1] * fx
    bottom = flat[first + w] * (1 - fx) + flat[first + w + 1] * fx
    return jnp.where(inside[:, None], top * (1 - fy) + bottom * fy, 0.0)


def mapped_grid(matrix: Float[Array, "3 3"], size: tuple[int, int]) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """Where a homography takes every pixel of an image of that size: x and y, row by row."""
    y, x = jnp.meshgrid(jnp.arange(size[0], dtype=jnp.float32), jnp.arange(size[1], dtype=jnp.float32), indexing="ij")
    u, v, scale = jnp.einsum("ij,jn->in", matrix, jnp.stack([x.ravel(), y.ravel(), jnp.ones(x.size)]))
    return u / scale, v / scale
