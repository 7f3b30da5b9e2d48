"""Structural similarity between the fused picture and its sources: SSIM and MS-SSIM, on grey levels 0..255."""

from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

from fusejax.metrics.numerics import combined, picture_mean, to_levels, undefined
from fusejax.metrics.windows import box_statistics, gaussian_taps, local_statistics
from fusejax.typing import Luma, PerImage

Window = Literal["gaussian", "box"]


_GAUSSIAN = gaussian_taps(11, 1.5)
_BOX = 7


def _ssim_maps(
    target: Float[Array, "b h w"], sources: Float[Array, "n b h w"], window: Window, data_range: float
) -> tuple[Float[Array, "n b h2 w2"], Float[Array, "n b h2 w2"]]:
    """The luminance and the contrast-structure factor of SSIM at every position where the window fits."""
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    if window == "gaussian":
        s, sample = local_statistics(target, sources, _GAUSSIAN), 1.0
    else:
        s, sample = box_statistics(target, sources, _BOX), _BOX**2 / (_BOX**2 - 1)
    luminance = (2.0 * s.mean_x * s.mean_y + c1) / (s.mean_x**2 + s.mean_y**2 + c1)
    return luminance, (2.0 * sample * s.covariance + c2) / (sample * (s.variance_x + s.variance_y) + c2)


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
    target, sources = to_levels(fused), jnp.stack([to_levels(ir), to_levels(vi_y)])
    if border == "edge":
        pad = ((size // 2, size // 2),) * 2
        target, sources = (
            jnp.pad(target, ((0, 0), *pad), mode="edge"),
            jnp.pad(sources, ((0, 0),) * 2 + pad, mode="edge"),
        )
    if min(target.shape[1:]) < size:
        return undefined(target)
    luminance, structure = _ssim_maps(target, sources, window, data_range)
    return combined(picture_mean(luminance * structure), combine)
