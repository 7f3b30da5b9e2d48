"""SSIM terms: Gaussian 11x11, sigma 1.5, pictures in [0, 1], constants (0.01)^2 and (0.03)^2 (Wang et al. 2004).

The map has one value per pixel: borders are reflected about the border pixel's centre, kornia's `same`, and where a
side has fewer than 6 pixels the reflection goes back and forth (one pixel is repeated). So every size has a value,
unlike the metric `SSIM`, which keeps to the positions where the window fits.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from fusejax.metrics.structure import ssim_maps
from fusejax.ops.filters import pad_hw
from fusejax.ops.numerics import picture_mean
from fusejax.typing import Luma, PerImage

_MARGIN = (5, 5)


def ssim_map(x: Luma, sources: Float[Array, "n b h w 1"]) -> Float[Array, "n b h w"]:
    """SSIM of x with n pictures at every pixel, each in [-1, 1]; 1 where the two windows are equal."""
    target, *others = (pad_hw(z, _MARGIN, _MARGIN, "reflect")[..., 0] for z in (x, *sources))
    luminance, structure = ssim_maps(target, jnp.stack(others), "gaussian", 1.0)
    return luminance * structure


def ssim_loss(fused_y: Luma, ir: Luma, vi_y: Luma) -> PerImage:
    """1 - (SSIM(F, V) + SSIM(F, I)) / 2 per image, in [0, 2] (TC-MoA, CDDFuse; arXiv 2510.13067 only names it).

    0 (up to rounding, 1e-7) iff all three are equal; averaging the sources already scores well. Departure: TC-MoA pads
    with zeros, which rewards agreement on the false border.
    """
    return 1.0 - picture_mean(ssim_map(fused_y, jnp.stack([ir, vi_y]))).mean(axis=0)


def dssim(a: Luma, b: Luma) -> PerImage:
    """mean clip((1 - SSIM(a, b)) / 2, 0, 1) per image (CrossFuse phase I; kornia's SSIMLoss(11)).

    Departure: kornia adds 1e-12 to the denominator, which takes 5e-6 off exact agreement on black and is not seen
    elsewhere.
    """
    return picture_mean(jnp.clip(0.5 * (1.0 - ssim_map(a, b[None])[0]), 0.0, 1.0))
