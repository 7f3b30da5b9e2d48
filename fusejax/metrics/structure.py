"""Structural similarity between the fused picture and its sources: SSIM and MS-SSIM, on grey levels 0..255."""

from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

from fusejax.metrics.numerics import both, picture_mean, to_levels, undefined
from fusejax.metrics.windows import box_taps, gaussian_taps, local_covariance, local_mean
from fusejax.typing import Luma, PerImage

Window = Literal["gaussian", "box"]


def _window(window: Window) -> tuple[float, ...]:
    return gaussian_taps(11, 1.5) if window == "gaussian" else box_taps(7)


def _ssim_maps(
    x: Float[Array, "b h w"], y: Float[Array, "b h w"], taps: tuple[float, ...], data_range: float, sample: bool
) -> tuple[Array, Array]:
    """The luminance and the contrast-structure factor of SSIM at every position where the window fits."""
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    correction = len(taps) ** 2 / (len(taps) ** 2 - 1) if sample else 1.0
    mean_x, mean_y = local_mean(x, taps), local_mean(y, taps)
    luminance = (2.0 * mean_x * mean_y + c1) / (mean_x * mean_x + mean_y * mean_y + c1)
    covariance = correction * local_covariance(x, y, taps)
    variance = correction * (local_covariance(x, x, taps) + local_covariance(y, y, taps))
    return luminance, (2.0 * covariance + c2) / (variance + c2)


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
    taps = _window(window)
    target, *sources = (to_levels(x) for x in (fused, ir, vi_y))
    if border == "edge":
        pad = ((0, 0), (len(taps) // 2,) * 2, (len(taps) // 2,) * 2)
        target, *sources = (jnp.pad(x, pad, mode="edge") for x in (target, *sources))
    if min(target.shape[1:]) < len(taps):
        return undefined(target)

    def similarity(source: Array) -> Array:
        luminance, structure = _ssim_maps(target, source, taps, data_range, sample=window == "box")
        return picture_mean(luminance * structure)

    return both(*(similarity(source) for source in sources), combine)
