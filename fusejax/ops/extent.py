"""Arrays of which only the top left part belongs to the image.

Images of many sizes then share one compiled function, whose arguments include height and width.
Operations that read past the border of an image see padded values (`continue_border`), and
reductions ignore pixels outside the image (`inside`).
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Num

from fusejax.typing import Extent

CORRECTED = "corrected-for-extent"
"""Name scope of operations on many pixels that are right on arrays larger than the image."""

# Height and width: numbers, or traced ones where the array is larger than the image.
Size = tuple[int | Int[Array, ""], int | Int[Array, ""]]


def bucket(side: int, multiple: int = 1) -> int:
    """The side in pixels of the array to which an image is padded.

    One compiled function covers all sizes in a bucket: multiples of 16 up to 64, of 64 up to 256,
    and of 128 beyond.

    Args:
        side: height or width of the image in pixels.
        multiple: number of which the result must also be a multiple, such as that of a network.

    Returns:
        At least `side`.
    """
    multiple = math.lcm(multiple, 16 if side <= 64 else 64 if side <= 256 else 128)
    return -(-side // multiple) * multiple


def valid_size(x: Float[Array, "b h w *c"], extent: Extent | None) -> Size:
    """Height and width of the image in an array.

    Args:
        x: the array.
        extent: height and width; None if the image fills the array.

    Returns:
        Numbers, or traced ones if there is an extent.
    """
    return (x.shape[1], x.shape[2]) if extent is None else (extent[0], extent[1])


def inside(shape: tuple[int, ...], size: Size) -> Bool[Array, "h w"] | None:
    """Which pixels of an array belong to the image.

    Args:
        shape: rows and columns of the array.
        size: size of the image.

    Returns:
        The mask; None if all pixels do.
    """
    if isinstance(size[0], int) and tuple(shape) == size:
        return None
    rows, columns = (jax.lax.broadcasted_iota(jnp.int32, tuple(shape), axis) for axis in (0, 1))
    return (rows < size[0]) & (columns < size[1])


def masked(x: Num[Array, "*b h w"], size: Size, value: float = 0) -> Num[Array, "*b h w"]:
    """Replaces pixels that do not belong to the image.

    Args:
        x: one image or any number of them.
        size: size of the images.
        value: value for the other pixels.

    Returns:
        Array of the shape of `x`.
    """
    mask = inside(x.shape[-2:], size)
    return x if mask is None else jnp.where(mask, x, value)


def where_large(value: Float[Array, "*b"], size: Size, least: int) -> Float[Array, "*b"]:
    """NaN if a side is shorter than `least` pixels, for sizes known only at run time.

    Args:
        value: value of a metric.
        size: size of the images.
        least: minimum side for which the metric is defined.

    Returns:
        The value, or NaN.
    """
    if isinstance(size[0], int):
        return value if min(size) >= least else jnp.full_like(value, jnp.nan)
    return jnp.where(jnp.minimum(*size) >= least, value, jnp.nan)


def continue_border(x: Float[Array, "*b h w c"], size: Size | Extent, mode: str) -> Float[Array, "*b h w c"]:
    """Fills the array beyond the last row and column of the image as padding would.

    Args:
        x: features; the top left `size` belongs to the image.
        size: rows and columns of the image.
        mode: `constant` or `zero` (zeros), `edge`, or `reflect` (correct for one row and column
            only); the names of `jnp.pad` and `fusejax.ops.filters`.

    Returns:
        Array of the shape of `x`.
    """
    for axis in (0, 1):
        x = continue_axis(x, size[axis], mode, x.ndim - 3 + axis)
    return x


def continue_axis(
    x: Float[Array, "*shape"], length: int | Int[Array, ""], mode: str, axis: int
) -> Float[Array, "*shape"]:
    """`continue_border` along one axis.

    Args:
        x: the array.
        length: length of the image along the axis.
        mode: see `continue_border`.
        axis: index of the axis, counted from the front.

    Returns:
        Array of the shape of `x`.
    """
    if isinstance(length, int) and length == x.shape[axis]:
        return x
    index = jax.lax.broadcasted_iota(jnp.int32, (x.shape[axis],) + (1,) * (x.ndim - 1 - axis), 0)
    if mode in ("constant", "zero"):
        line = jnp.zeros((), x.dtype)
    else:
        line = jax.lax.dynamic_slice_in_dim(x, jnp.maximum(length - 1 - (mode == "reflect"), 0), 1, axis)
    return jnp.where(index >= length, line, x)
