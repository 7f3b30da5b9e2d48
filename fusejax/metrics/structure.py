"""Structural similarity between the fused picture and its sources: SSIM and MS-SSIM, on grey levels 0..255."""

from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

from fusejax.metrics.numerics import both, picture_mean, to_levels, undefined
from fusejax.metrics.windows import box_covariance, gaussian_taps, local_covariance, local_mean
from fusejax.typing import Luma, PerImage

Window = Literal["gaussian", "box"]


_GAUSSIAN = gaussian_taps(11, 1.5)
_BOX = 7


def _statistics(x: Array, y: Array, window: Window) -> tuple[Array, Array, Array, Array, Array]:
    """Local means, variances and covariance where the window fits; sample statistics, N / (N - 1), for the box."""
    if window == "gaussian":
        means = local_mean(x, _GAUSSIAN), local_mean(y, _GAUSSIAN)
        return *means, *(local_covariance(p, q, _GAUSSIAN) for p, q in ((x, x), (y, y), (x, y)))
    mean_x, mean_y, covariance = box_covariance(x, y, _BOX)
    variances = (box_covariance(z, z, _BOX)[2] for z in (x, y))
    return mean_x, mean_y, *(_BOX**2 / (_BOX**2 - 1) * z for z in (*variances, covariance))


def _ssim_maps(
    x: Float[Array, "b h w"], y: Float[Array, "b h w"], window: Window, data_range: float
) -> tuple[Array, Array]:
    """The luminance and the contrast-structure factor of SSIM at every position where the window fits."""
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    mean_x, mean_y, variance_x, variance_y, covariance = _statistics(x, y, window)
    luminance = (2.0 * mean_x * mean_y + c1) / (mean_x * mean_x + mean_y * mean_y + c1)
    return luminance, (2.0 * covariance + c2) / (variance_x + variance_y + c2)


def ssim(
    fused: Luma,
    ir: Luma,
    vi_y: Luma,
    *,
    window: Window = "gaussian",
    data_range: float = 255.0,
    border: Literal["valid", "edge"] = "valid",
    combine: Literal["sum", "mean"] = "mean",
) -> PerImage:
    """SSIM of the fused picture with the two sources; each in -1..1, higher is better (Wang et al. 2004).

    Args:
        window: Gaussian 11x11, sigma 1.5 (the paper), or 7x7 box with sample covariance N / (N - 1) (scikit-image).
        data_range: range L behind the constants (0.01 L)^2 and (0.03 L)^2; CDDFuse's toolkit has 2, Tang's 1.
        border: only where the window fits, or everywhere with a replicated border.
        combine: mean (the metric keeps its own range) or sum over the sources.
    NaN where a side is shorter than the window and the border is `valid`.
    """
    size = len(_GAUSSIAN) if window == "gaussian" else _BOX
    target, *sources = (to_levels(x) for x in (fused, ir, vi_y))
    if border == "edge":
        pad = ((0, 0), (size // 2,) * 2, (size // 2,) * 2)
        target, *sources = (jnp.pad(x, pad, mode="edge") for x in (target, *sources))
    if min(target.shape[1:]) < size:
        return undefined(target)

    def similarity(source: Array) -> Array:
        luminance, structure = _ssim_maps(target, source, window, data_range)
        return picture_mean(luminance * structure)

    return both(*(similarity(source) for source in sources), combine)
