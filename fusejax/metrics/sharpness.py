"""Sharpness of the fused image alone, on gray levels 0..255."""

from typing import Literal

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from fusejax.metrics.edges import edge_vectors
from fusejax.ops.arrays import equal_shapes
from fusejax.ops.extent import Size, continue_axis, valid_size, where_large
from fusejax.ops.numerics import image_mean, image_sum, safe_sqrt, to_levels, undefined
from fusejax.options import checked_options
from fusejax.typing import Extent, Luma, PerImage


@checked_options
@equal_shapes
def spatial_frequency(
    fused: Luma,
    ir: Luma | None = None,
    vi_y: Luma | None = None,
    *,
    over: Literal["pixels", "differences"] = "pixels",
    extent: Extent | None = None,
) -> PerImage:
    """SF = sqrt(RF^2 + CF^2) of first differences (Eskicioglu & Fisher 1995).

    Args:
        fused: fused luma in [0, 1].
        ir: not used.
        vi_y: not used.
        over: whether to divide by all H*W pixels (the paper, VIFB) or by the number of differences
            (CDDFuse, Linfeng Tang), for which a one-pixel side is undefined.
        extent: height and width of the images, if the arrays are larger.

    Returns:
        One value per image, 0..361 levels, higher is better; NaN if undefined.
    """
    x = to_levels(fused)
    height, width = valid_size(x, extent)
    if over == "differences" and min(x.shape[1:]) < 2:
        return undefined(x)
    total = jnp.zeros(x.shape[0], x.dtype)
    for axis, size in ((1, (height - 1, width)), (2, (height, width - 1))):
        difference = jnp.diff(x, axis=axis)
        count = height * width if over == "pixels" else size[0] * size[1]
        total = total + (image_sum(jnp.square(difference), size) / count if difference.size else 0.0)
    return where_large(safe_sqrt(total), (height, width), 1 if over == "pixels" else 2)


def central_gradient(x: Float[Array, "b h w"], axis: int, size: Size) -> Float[Array, "b h w"]:
    """Central differences, one-sided at the two ends (`numpy.gradient`, Matlab's `gradient`).

    Args:
        x: in any range, at least two pixels along the axis.
        axis: 1 for rows, 2 for columns.
        size: size of the images.

    Returns:
        The differences, in the shape of x.
    """
    step = continue_axis(jnp.diff(x, axis=axis), size[axis - 1] - 1, "edge", axis)
    first, last = (lax.slice_in_dim(step, i, i + 1, axis=axis) for i in (0, step.shape[axis] - 1))
    lower, upper = (jnp.concatenate(parts, axis=axis) for parts in ((first, step), (step, last)))
    return 0.5 * (lower + upper)


@checked_options
@equal_shapes
def average_gradient(
    fused: Luma,
    ir: Luma | None = None,
    vi_y: Luma | None = None,
    *,
    difference: Literal["forward", "central"] = "forward",
    over: Literal["pixels", "inner"] = "inner",
    extent: Extent | None = None,
) -> PerImage:
    """AG, mean of sqrt((gx^2 + gy^2) / 2) (Cui et al. 2015, Eq. 16).

    Args:
        fused: fused luma in [0, 1].
        ir: not used.
        vi_y: not used.
        difference: forward over the (H-1)(W-1) pixels that have both neighbors (the paper), or
            central everywhere (all toolkits).
        over: whether to divide by (H-1)(W-1) (the paper, Linfeng Tang, VIFB) or by H*W (CDDFuse).
        extent: height and width of the images, if the arrays are larger.

    Returns:
        One value per image, 0..255 levels, higher is better; NaN if a side has one pixel.
    """
    x = to_levels(fused)
    if min(x.shape[1:]) < 2:
        return undefined(x)
    size = height, width = valid_size(x, extent)
    inner = (height - 1, width - 1)
    if difference == "forward":
        gx, gy = jnp.diff(x[:, :-1], axis=2), jnp.diff(x[:, :, :-1], axis=1)
    else:
        gx, gy = central_gradient(x, 2, size), central_gradient(x, 1, size)
    total = image_sum(safe_sqrt(0.5 * (gx * gx + gy * gy)), inner if difference == "forward" else size)
    count = size if over == "pixels" else inner
    return where_large(total / (count[0] * count[1]), size, 2)


@equal_shapes
def edge_intensity(
    fused: Luma, ir: Luma | None = None, vi_y: Luma | None = None, *, extent: Extent | None = None
) -> PerImage:
    """EI, mean magnitude of the 3x3 Sobel gradient (1-2-1, replicated border; VIFB).

    Args:
        fused: fused luma in [0, 1].
        ir: not used.
        vi_y: not used.
        extent: height and width of the images, if the arrays are larger.

    Returns:
        One value per image, 0..1442 levels, higher is better.
    """
    size = valid_size(fused, extent)
    gx, gy = edge_vectors(to_levels(fused), size, padding="edge")
    return image_mean(safe_sqrt(gx * gx + gy * gy), size)
