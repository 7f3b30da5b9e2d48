"""Terms for pairs that are off by a few pixels: the best match within a radius counts.

Where the infrared image is shifted against the visible one, plain terms ask for both edges beside
each other, or for their blurred mean over many pairs. These ask for the fused image that fits the
infrared image at the shift at which it fits best, one shift per image; whole training crops are
small enough for that.
"""

import functools
import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fusejax.losses.gradient import sobel_magnitude
from fusejax.ops.arrays import equal_shapes
from fusejax.ops.numerics import pixel_mean
from fusejax.typing import Luma, PerImage


@equal_shapes
def tolerant_maximum_loss(fused_y: Luma, ir: Luma, vi_y: Luma, *, radius: int = 2) -> PerImage:
    """min over s, |s| <= r in x and y, of mean |F - max(V, I shifted by s)|; ours.

    `maximum_intensity_loss` with the shift of the infrared image at which it is lowest, over the
    pixels at least r from the border; equal to it for r = 0.

    Args:
        fused_y: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        radius: largest shift r along each axis, in pixels.

    Returns:
        One value per image, in [0, 1].

    Raises:
        ValueError: if `radius` is negative, or the image has no pixel that far from its border.

    Example:
        >>> import jax.numpy as jnp
        >>> ir = jnp.zeros((1, 9, 9, 1)).at[:, 4, 4].set(1.0)
        >>> moved, black = jnp.roll(ir, 2, axis=1), jnp.zeros_like(ir)
        >>> tolerant_maximum_loss(moved, ir, black).tolist()
        [0.0]
    """
    inner = functools.partial(_inner, radius=_checked(radius, fused_y))
    fused, vi = inner(fused_y), inner(vi_y)
    return _best(lambda moved: pixel_mean(jnp.abs(fused - jnp.maximum(moved, vi))), ir, radius)


@equal_shapes
def tolerant_gradient_loss(fused_y: Luma, ir: Luma, vi_y: Luma, *, radius: int = 2) -> PerImage:
    """min over s, |s| <= r in x and y, of mean |g(F) - max(g(V), g(I) shifted by s)|; ours.

    `joint_gradient_loss` with `valid` padding and the shift of the infrared image at which it is
    lowest, over the pixels at least r from the border; equal to it for r = 0. Targets carry no
    gradient.

    Args:
        fused_y: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        radius: largest shift r along each axis, in pixels.

    Returns:
        One value per image, in [0, 8].

    Raises:
        ValueError: see `tolerant_maximum_loss`.

    Example:
        >>> import jax.numpy as jnp
        >>> ir = jnp.zeros((1, 12, 12, 1)).at[:, 5:7, 5:7].set(1.0)
        >>> moved, black = jnp.roll(ir, 1, axis=2), jnp.zeros_like(ir)
        >>> tolerant_gradient_loss(moved, ir, black).tolist()
        [0.0]
    """
    inner = functools.partial(_inner, radius=_checked(radius, fused_y))
    edges = functools.partial(sobel_magnitude, padding="valid")
    fused, vi, of_ir = inner(edges(fused_y)), inner(edges(vi_y)), edges(ir)

    def compare(moved: Array) -> Array:
        return pixel_mean(jnp.abs(fused - jax.lax.stop_gradient(jnp.maximum(moved, vi))))

    return _best(compare, of_ir, radius)


def _checked(radius: int, image: Luma) -> int:
    if radius < 0 or 2 * radius >= min(image.shape[1:3]):
        size = "x".join(map(str, image.shape[1:3]))
        raise ValueError(f"radius is {radius} for images of {size} pixels; give 0 to less than half of their sides.")
    return radius


def _inner(x: Luma, *, radius: int) -> Float[Array, "b h2 w2 1"]:
    return x[:, radius : x.shape[1] - radius, radius : x.shape[2] - radius]


def _best(compare: Callable[[Array], Array], ir: Luma, radius: int) -> PerImage:
    """The lowest value of every image over all shifts of `ir`."""
    b, h, w, c = ir.shape
    shape = (b, h - 2 * radius, w - 2 * radius, c)
    shifts = jnp.asarray(np.array(list(itertools.product(range(2 * radius + 1), repeat=2))), jnp.int32)
    values = jax.lax.map(lambda s: compare(jax.lax.dynamic_slice(ir, (0, s[0], s[1], 0), shape)), shifts)
    return values.min(axis=0)
