"""SSIM terms: Gaussian 11x11, sigma 1.5, constants (0.01)^2 and (0.03)^2 (Wang et al. 2004).

The map has one value per pixel: borders are reflected about the center of the border pixel, as in
kornia's `same`, and if a side has fewer than 6 pixels the reflection is repeated (a single pixel is
repeated). Images of every size therefore have a value, unlike for the metric `SSIM`, which uses
only positions where the window fits.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from fusejax.metrics.structure import ssim_maps
from fusejax.ops.arrays import equal_shapes
from fusejax.ops.filters import pad_hw
from fusejax.ops.numerics import image_mean
from fusejax.typing import Luma, PerImage

_MARGIN = (5, 5)


def ssim_map(x: Luma, sources: Float[Array, "n b h w 1"]) -> Float[Array, "n b h w"]:
    """SSIM of one image with n others at every pixel.

    Args:
        x: luma in [0, 1].
        sources: n lumas in [0, 1].

    Returns:
        n maps in [-1, 1]; 1 where the two windows are equal.
    """
    target, *others = (pad_hw(z, _MARGIN, _MARGIN, "reflect")[..., 0] for z in (x, *sources))
    luminance, structure = ssim_maps(target, jnp.stack(others), "gaussian", 1.0)
    return luminance * structure


@equal_shapes
def ssim_loss(fused_y: Luma, ir: Luma, vi_y: Luma) -> PerImage:
    """1 - (SSIM(F, V) + SSIM(F, I)) / 2 (TC-MoA, CDDFuse; arXiv 2510.13067 only names it).

    Averaging the sources already scores well. Departure: TC-MoA pads with zeros, which rewards
    agreement on the false border.

    Args:
        fused_y: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].

    Returns:
        One value per image, in [0, 2]; 0 (up to rounding, 1e-7) if and only if all three are equal.

    Example:
        >>> import jax
        >>> x = jax.random.uniform(jax.random.key(0), (1, 48, 48, 1))
        >>> ssim_loss(x, x, x).round(3).tolist()
        [0.0]
    """
    return 1.0 - image_mean(ssim_map(fused_y, jnp.stack([ir, vi_y]))).mean(axis=0)


@equal_shapes
def dssim(a: Luma, b: Luma) -> PerImage:
    """mean clip((1 - SSIM(a, b)) / 2, 0, 1) (CrossFuse's phase I; kornia's SSIMLoss(11)).

    Departure: kornia adds 1e-12 to the denominator, which reduces exact agreement on black by 5e-6
    and has no visible effect elsewhere.

    Args:
        a: luma in [0, 1].
        b: luma in [0, 1].

    Returns:
        One value per image, in [0, 1].
    """
    return image_mean(jnp.clip(0.5 * (1.0 - ssim_map(a, b[None])[0]), 0.0, 1.0))
