"""Metrics that weight contrast as an observer would: Qcb and Qcv, on gray levels 0..255."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fusejax.ops.arrays import equal_shapes
from fusejax.ops.filters import separable_correlate, sobel
from fusejax.ops.numerics import divide, image_mean, image_sum, safe_sqrt, stretch, to_levels
from fusejax.typing import Luma, PerImage

_BLOCK = 16


def _frequencies(size: int) -> np.ndarray:
    """Frequencies of an FFT of this size, -1..1 (Matlab's `freqspace`)."""
    return np.fft.fftfreq(size) * 2.0


def _sensitivity_filtered(
    x: Float[Array, "b h w"], sensitivity: Callable[[np.ndarray], np.ndarray], pixels_per_cycle: float
) -> Float[Array, "b h w"]:
    """Multiplies the spectrum by sensitivity(r), r in cycles per degree.

    r is W / pixels_per_cycle at the last column.
    """
    height, width = x.shape[1:]
    u = width / pixels_per_cycle * _frequencies(width)[: width // 2 + 1]
    v = height / pixels_per_cycle * _frequencies(height)
    gain = sensitivity(np.hypot(u[None, :], v[:, None])).astype(np.float32)
    return jnp.fft.irfft2(jnp.fft.rfft2(x) * gain, s=(height, width))


def _difference_of_gaussians(r: np.ndarray) -> np.ndarray:
    return np.exp(-((r / 15.3870) ** 2)) - 0.7622 * np.exp(-((r / 1.3456) ** 2))


def _mannos_sakrison(r: np.ndarray) -> np.ndarray:
    return 2.6 * (0.0192 + 0.144 * r) * np.exp(-((0.144 * r) ** 1.1))


def _gaussian_31(sigma: float) -> np.ndarray:
    t = np.arange(-15, 16)
    return np.exp(-(t**2) / (2 * sigma**2)) / (np.sqrt(2 * np.pi) * sigma)


@equal_shapes
def qcb(fused: Luma, ir: Luma, vi_y: Luma, *, stretched: bool = False) -> PerImage:
    """Qcb, similarity of perceived local contrast (Chen & Blum 2009).

    Contrast is the ratio of Gaussian means (sigma 2 over 4, 31 taps, zero border) of the image
    after a contrast sensitivity filter, then masked as |C|^3 / (C^2 + 1e-4); sources are weighted
    with their masked contrast squared. Where neither image has any contrast the two agree fully,
    and two sources without contrast have equal weights.

    Args:
        fused: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        stretched: every image is first stretched to 0..255 and rounded (VIFB).

    Returns:
        One value per image, 0..1, higher is better.
    """

    def masked_contrast(x: Luma) -> Array:
        levels = to_levels(x)
        levels = stretch(levels) if stretched else levels
        seen = _sensitivity_filtered(levels, _difference_of_gaussians, 30.0)[..., None]
        fine, coarse = (separable_correlate(seen, *[_gaussian_31(sigma)] * 2, padding="zero") for sigma in (2.0, 4.0))
        contrast = jnp.abs(jnp.where(coarse == 0, 0.0, fine / jnp.where(coarse == 0, 1.0, coarse) - 1.0))[..., 0]
        return contrast**3 / (contrast**2 + 1e-4)

    target, first, second = (masked_contrast(x) for x in (fused, ir, vi_y))

    def similarity(source: Array) -> Array:
        low, high = jnp.minimum(source, target), jnp.maximum(source, target)
        return jnp.where(high > 0, low / jnp.where(high > 0, high, 1.0), 1.0)

    share = jnp.square(jnp.where(first > second, second / jnp.where(first > 0, first, 1.0), 1.0))
    other = jnp.square(jnp.where(second > first, first / jnp.where(second > 0, second, 1.0), 1.0))
    # other / (other + share) is first^2 / (first^2 + second^2) without squares that underflow.
    return image_mean((other * similarity(first) + share * similarity(second)) / (other + share))


@equal_shapes
def qcv(fused: Luma, ir: Luma, vi_y: Luma, *, stretched: bool = False) -> PerImage:
    """Qcv, perceived squared error (Chen & Varshney 2007).

    Mean squares of the sensitivity-filtered difference source - F in blocks of 16x16, weighted with
    the block's sum of source edge strength to the fifth power. Incomplete blocks are padded with
    zeros.

    Args:
        fused: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        stretched: every image is first stretched to 0..255 and rounded (VIFB).

    Returns:
        One value per image, in levels squared, lower is better; NaN if no source has an edge.
    """
    target, *sources = (stretch(to_levels(x)) if stretched else to_levels(x) for x in (fused, ir, vi_y))
    error = weight = jnp.float32(0.0)
    for source in sources:
        gx, gy = (g[..., 0] / 256.0 for g in sobel(source[..., None], padding="zero"))
        saliency = _block_sums(safe_sqrt(gx * gx + gy * gy) ** 5)
        seen = _sensitivity_filtered(source - target, _mannos_sakrison, 8.0)
        error = error + image_sum(saliency * _block_sums(seen * seen) / _BLOCK**2)
        weight = weight + image_sum(saliency)
    return divide(error, weight)


def _block_sums(x: Float[Array, "b h w"]) -> Float[Array, "b rows columns"]:
    height, width = x.shape[1:]
    x = jnp.pad(x, ((0, 0), (0, -height % _BLOCK), (0, -width % _BLOCK)))
    return x.reshape(x.shape[0], x.shape[1] // _BLOCK, _BLOCK, -1, _BLOCK).sum((2, 4))
