"""Differentiable warp of a batch of images by homographies."""

import functools

import jax
from jaxtyping import Array, Float

from fusejax.registration.sampling import bilinear, mapped_grid


@functools.partial(jax.jit, static_argnames=("size",))
def warp(
    image: Float[Array, "b h w c"], matrix: Float[Array, "b 3 3"], *, size: tuple[int, int]
) -> tuple[Float[Array, "b h2 w2 c"], Float[Array, "b h2 w2 1"]]:
    """Resamples images through homographies, bilinearly.

    Differentiable in the images and in the matrices; the mask has no gradient. An image that is
    shrunk by more than a factor of two should be blurred first.

    Args:
        image: images in any range, at least 2x2 pixels.
        matrix: from a pixel (x, y) of the result to the pixel of `image` that it shows; pixel
            centers are at integers.
        size: height and width of the result.

    Returns:
        The warped images, zero where `image` has no pixel, and a mask, 1 where it has one.
    """

    def one(image: Array, matrix: Array) -> tuple[Array, Array]:
        x, y = mapped_grid(matrix, size)
        h, w = image.shape[:2]
        inside = (x >= 0) & (x <= w - 1) & (y >= 0) & (y <= h - 1)
        return bilinear(image, x, y).reshape(*size, -1), inside.astype(image.dtype).reshape(*size, 1)

    return jax.vmap(one)(image, matrix)
