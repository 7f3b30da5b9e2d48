"""Metrics with perceptually weighted contrast: Qcb and Qcv, on gray levels 0..255."""

import math
from collections.abc import Callable
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from fusejax.metrics.edges import edge_vectors, varies
from fusejax.ops.arrays import equal_shapes
from fusejax.ops.extent import Size, masked, valid_size
from fusejax.ops.filters import separable_correlate
from fusejax.ops.numerics import divide, image_mean, image_sum, safe_sqrt, stretch, to_levels
from fusejax.typing import Extent, Luma, PerImage

_BLOCK = 16


# Contrast sensitivity at r cycles per degree; the module is NumPy or `jax.numpy`.
Sensitivity = Callable[[Array | np.ndarray, ModuleType], Array | np.ndarray]


def _sensitivity_filtered(
    x: Float[Array, "b h w"], size: Size, sensitivity: Sensitivity, pixels_per_cycle: float
) -> Float[Array, "b h w"]:
    """Multiplies the spectrum of each image by the sensitivity at r; zero beyond the image.

    The k-th frequency of either axis is 2 k / pixels_per_cycle cycles per degree, which is
    side / pixels_per_cycle at the last one.
    """
    height, width = size
    if not (isinstance(height, int) and isinstance(width, int)):
        return _filtered_within(x, size, sensitivity, pixels_per_cycle)
    u, v = np.arange(width // 2 + 1), np.minimum(np.arange(height), height - np.arange(height))
    gain = sensitivity(2.0 / pixels_per_cycle * np.hypot(u[None, :], v[:, None]), np).astype(np.float32)
    return jnp.fft.irfft2(jnp.fft.rfft2(x) * gain, s=(height, width))


def _filtered_within(
    x: Float[Array, "b h w"], size: Size, sensitivity: Sensitivity, pixels_per_cycle: float
) -> Float[Array, "b h w"]:
    """The same for images whose size is known only at run time, which an FFT cannot handle.

    The gain is even in both frequencies, so the Hartley transform, which is real and its own
    inverse, works as well as the Fourier transform. Computed with matrix products, it takes about
    ten times as long.
    """
    height, width = size
    mean = image_mean(x, size)[:, None, None]
    rows, columns = (_hartley(n, side) for n, side in zip(x.shape[1:], size, strict=True))
    v, u = (_folded_frequency(n, side) for n, side in zip(x.shape[1:], size, strict=True))
    r = 2.0 / pixels_per_cycle * jnp.hypot(u[None, :], v[:, None])
    gain = jnp.asarray(sensitivity(r, jnp)) / (height * width)

    def transform(y: Array) -> Array:
        return jnp.einsum("ij,bjk,kl->bil", rows, y, columns, precision=jax.lax.Precision.HIGHEST)

    # Without the mean, which would have the largest rounding error.
    filtered = transform(gain * transform(masked(x - mean, size)))
    return masked(filtered + mean * sensitivity(jnp.float32(0.0), jnp), size)


def _folded_frequency(n: int, side: int | Int[Array, ""]) -> Float[Array, " n"]:
    index = jnp.arange(n)
    return jnp.maximum(jnp.minimum(index, side - index), 0).astype(jnp.float32)


def _hartley(n: int, side: int | Int[Array, ""]) -> Float[Array, "n n"]:
    """cos + sin of 2 pi j k / side; zero beyond the side."""
    index = jnp.arange(n)
    turns = (index[:, None] * index[None, :]) % side  # integers, so that large angles stay exact
    angle = turns.astype(jnp.float32) * (2.0 * math.pi / side)
    return masked(jnp.cos(angle) + jnp.sin(angle), (side, side))


def _difference_of_gaussians(r: Array | np.ndarray, xp: ModuleType) -> Array | np.ndarray:
    return xp.exp(-((r / 15.3870) ** 2)) - 0.7622 * xp.exp(-((r / 1.3456) ** 2))


def _mannos_sakrison(r: Array | np.ndarray, xp: ModuleType) -> Array | np.ndarray:
    return 2.6 * (0.0192 + 0.144 * r) * xp.exp(-((0.144 * r) ** 1.1))


def _gaussian_31(sigma: float) -> np.ndarray:
    t = np.arange(-15, 16)
    return np.exp(-(t**2) / (2 * sigma**2)) / (np.sqrt(2 * np.pi) * sigma)


@equal_shapes
def qcb(fused: Luma, ir: Luma, vi_y: Luma, *, stretched: bool = False, extent: Extent | None = None) -> PerImage:
    """Qcb, similarity of perceived local contrast (Chen & Blum 2009).

    Contrast is the ratio of Gaussian means (sigma 2 over 4, 31 taps, zero border) of the image
    after a contrast sensitivity filter, then masked as |C|^3 / (C^2 + 1e-4). Sources are weighted
    by their squared masked contrast. Where neither image has any contrast, the similarity is 1, and
    two sources without contrast have equal weights.

    Args:
        fused: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        stretched: whether every image is first stretched to 0..255 and rounded (VIFB).
        extent: height and width of the images, if the arrays are larger.

    Returns:
        One value per image, 0..1, higher is better.

    Example:
        >>> import jax
        >>> x = jax.random.uniform(jax.random.key(0), (1, 48, 48, 1))
        >>> qcb(x, x, x).round(3).tolist()
        [1.0]
    """

    def masked_contrast(x: Luma) -> Array:
        levels = to_levels(x)
        levels = stretch(levels, size) if stretched else levels
        seen = _sensitivity_filtered(levels, size, _difference_of_gaussians, 30.0)[..., None]
        fine, coarse = (separable_correlate(seen, *[_gaussian_31(sigma)] * 2, padding="zero") for sigma in (2.0, 4.0))
        contrast = jnp.abs(jnp.where(coarse == 0, 0.0, fine / jnp.where(coarse == 0, 1.0, coarse) - 1.0))[..., 0]
        return contrast**3 / (contrast**2 + 1e-4)

    size = valid_size(fused, extent)
    target, first, second = (masked_contrast(x) for x in (fused, ir, vi_y))

    def similarity(source: Array) -> Array:
        low, high = jnp.minimum(source, target), jnp.maximum(source, target)
        return jnp.where(high > 0, low / jnp.where(high > 0, high, 1.0), 1.0)

    share = jnp.square(jnp.where(first > second, second / jnp.where(first > 0, first, 1.0), 1.0))
    other = jnp.square(jnp.where(second > first, first / jnp.where(second > 0, second, 1.0), 1.0))
    # other / (other + share) is first^2 / (first^2 + second^2) without squares that underflow.
    return image_mean((other * similarity(first) + share * similarity(second)) / (other + share), size)


@equal_shapes
def qcv(fused: Luma, ir: Luma, vi_y: Luma, *, stretched: bool = False, extent: Extent | None = None) -> PerImage:
    """Qcv, perceived squared error (Chen & Varshney 2007).

    Mean squares of the sensitivity-filtered difference source - F in blocks of 16x16, weighted by
    the block's sum of the source edge strength to the fifth power. Incomplete blocks are padded
    with zeros.

    Args:
        fused: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        stretched: whether every image is first stretched to 0..255 and rounded (VIFB).
        extent: height and width of the images, if the arrays are larger.

    Returns:
        One value per image, in levels squared, lower is better; NaN if no source has an edge: both
        are constant.

    Example:
        >>> import jax
        >>> x = jax.random.uniform(jax.random.key(0), (1, 48, 48, 1))
        >>> qcv(x, x, x).tolist()
        [0.0]
    """
    size = valid_size(fused, extent)
    target, *sources = (stretch(to_levels(x), size) if stretched else to_levels(x) for x in (fused, ir, vi_y))
    error = weight = jnp.float32(0.0)
    for source in sources:
        gx, gy = (g / 256.0 for g in edge_vectors(source, size, padding="zero"))
        saliency = _block_sums(masked(safe_sqrt(gx * gx + gy * gy) ** 5, size))
        seen = _sensitivity_filtered(source - target, size, _mannos_sakrison, 8.0)
        error = error + image_sum(saliency * _block_sums(seen * seen) / _BLOCK**2)
        weight = weight + image_sum(saliency)
    return jnp.where(varies(ir, size) | varies(vi_y, size), divide(error, weight), jnp.nan)


def _block_sums(x: Float[Array, "b h w"]) -> Float[Array, "b rows columns"]:
    height, width = x.shape[1:]
    x = jnp.pad(x, ((0, 0), (0, -height % _BLOCK), (0, -width % _BLOCK)))
    return x.reshape(x.shape[0], x.shape[1] // _BLOCK, _BLOCK, -1, _BLOCK).sum((2, 4))
