"""Preservation of the visible image's color."""

import jax.numpy as jnp

from fusejax.ops.arrays import equal_shapes
from fusejax.ops.extent import valid_size
from fusejax.ops.numerics import image_mean, safe_sqrt
from fusejax.typing import Extent, PerImage, Rgb


@equal_shapes
def color_deviation(fused: Rgb, vi: Rgb, *, extent: Extent | None = None) -> PerImage:
    """CD, mean angle between the RGB vectors of the visible and the fused pixel (Li & Fu 2024).

    A change of brightness alone has no cost; pixels that are black in either image count as zero,
    as in the authors' code (FCDFusion). The angle is computed as atan2(|v x f|, v . f), which is
    accurate for small angles.

    Args:
        fused: fused RGB in [0, 1].
        vi: visible RGB in [0, 1].
        extent: height and width of the images, if the arrays are larger.

    Returns:
        One value per image, 0..pi/2 radians, lower is better.

    Example:
        >>> import jax.numpy as jnp
        >>> red, green = jnp.eye(3)[:2, None, None, None] * jnp.ones((2, 1, 4, 4, 3))
        >>> f"{color_deviation(red, green)[0]:.3f}"  # a right angle
        '1.571'
    """
    sine = safe_sqrt(jnp.square(jnp.cross(vi, fused)).sum(-1))
    cosine = (vi * fused).sum(-1)
    visible = (sine > 0) | (cosine > 0)
    angle = jnp.where(visible, jnp.arctan2(sine, jnp.where(visible, cosine, 1.0)), 0.0)
    return image_mean(angle, valid_size(fused, extent))
