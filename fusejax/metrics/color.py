"""Colour kept from the visible picture."""

import jax.numpy as jnp

from fusejax.ops.numerics import picture_mean, safe_sqrt
from fusejax.typing import PerImage, Rgb


def colour_deviation(fused: Rgb, vi: Rgb) -> PerImage:
    """CD, mean angle between the RGB vectors of the visible and the fused pixel, 0..pi/2 radians, lower is better.

    Li & Fu 2024 (FCDFusion). A change of brightness alone costs nothing; pixels that are black in either picture count
    as zero, as in the authors' code. The angle is taken as atan2(|v x f|, v . f), which stays exact for small angles.
    """
    sine = safe_sqrt(jnp.square(jnp.cross(vi, fused)).sum(-1))
    cosine = (vi * fused).sum(-1)
    visible = (sine > 0) | (cosine > 0)
    return picture_mean(jnp.where(visible, jnp.arctan2(sine, jnp.where(visible, cosine, 1.0)), 0.0))
