"""Structural similarity of the fused image and its sources, on gray levels 0..255."""

from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

from fusejax.metrics.windows import box_statistics, gaussian_taps, local_statistics
from fusejax.ops.arrays import equal_shapes
from fusejax.ops.filters import pad_hw
from fusejax.ops.numerics import combined, image_mean, to_levels, undefined
from fusejax.options import checked_options
from fusejax.typing import Luma, PerImage

Window = Literal["gaussian", "box"]

_GAUSSIAN = gaussian_taps(11, 1.5)
_BOX = 7
_SCALE_POWERS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def ssim_maps(
    target: Float[Array, "b h w"], sources: Float[Array, "n b h w"], window: Window, data_range: float
) -> tuple[Float[Array, "n b h2 w2"], Float[Array, "n b h2 w2"]]:
    """The two factors of SSIM at every position where the window fits.

    Args:
        target: one image.
        sources: n images to compare it with.
        window: Gaussian 11x11, sigma 1.5, or 7x7 box with sample covariance N / (N - 1).
        data_range: range L behind the constants (0.01 L)^2 and (0.03 L)^2.

    Returns:
        The luminance and the contrast-structure factor.
    """
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    if window == "gaussian":
        s, sample = local_statistics(target, sources, _GAUSSIAN), 1.0
    else:
        s, sample = box_statistics(target, sources, _BOX), _BOX**2 / (_BOX**2 - 1)
    luminance = (2.0 * s.mean_x * s.mean_y + c1) / (s.mean_x**2 + s.mean_y**2 + c1)
    return luminance, (2.0 * sample * s.covariance + c2) / (sample * (s.variance_x + s.variance_y) + c2)


@checked_options
@equal_shapes
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
    """SSIM of the fused image with the two sources (Wang et al. 2004).

    Args:
        fused: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        window: Gaussian 11x11, sigma 1.5 (the paper), or 7x7 box with sample covariance N / (N - 1)
            (scikit-image).
        data_range: range L behind the constants (0.01 L)^2 and (0.03 L)^2; 2 in CDDFuse's toolkit,
            1 in Tang's.
        border: only where the window fits, or everywhere with a replicated border.
        combine: mean (the metric keeps its own range) or sum over the sources.

    Returns:
        One value per image, each source in -1..1, higher is better; NaN if a side is shorter than
        the window and the border is `valid`.
    """
    size = len(_GAUSSIAN) if window == "gaussian" else _BOX
    margin = (size // 2, size // 2)
    target, *sources = (to_levels(pad_hw(x, margin, margin, border)) for x in (fused, ir, vi_y))
    if min(target.shape[1:]) < size:
        return undefined(target)
    luminance, structure = ssim_maps(target, jnp.stack(sources), window, data_range)
    return combined(image_mean(luminance * structure), combine)


def _halved(x: Float[Array, "*b h w"]) -> Float[Array, "*b h2 w2"]:
    """Mean of 2x2 blocks; an odd last row or column is repeated."""
    rows, columns = x.shape[-2] % 2, x.shape[-1] % 2
    x = jnp.pad(x, [(0, 0)] * (x.ndim - 2) + [(0, rows), (0, columns)], mode="edge")
    x = x[..., 0::2, :] + x[..., 1::2, :]
    return 0.25 * (x[..., 0::2] + x[..., 1::2])


@checked_options
@equal_shapes
def ms_ssim(
    fused: Luma, ir: Luma, vi_y: Luma, *, data_range: float = 255.0, combine: Literal["sum", "mean"] = "mean"
) -> PerImage:
    """MS-SSIM of the fused image with the two sources (Wang et al. 2003, Eq. 7).

    Five scales, each half the one before; mean contrast-structure to the powers 0.0448, 0.2856,
    0.3001 and 0.2363, and full SSIM to 0.1333 at the last scale. Negative means count as zero,
    since a fractional power of them does not exist.

    Args:
        fused: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        data_range: range L behind the constants (0.01 L)^2 and (0.03 L)^2.
        combine: mean or sum over the sources.

    Returns:
        One value per image, each source in 0..1, higher is better; NaN if a side is below 161
        pixels, since the window would not fit the last scale.
    """
    target, sources = to_levels(fused), jnp.stack([to_levels(ir), to_levels(vi_y)])
    if min(target.shape[1:]) <= (len(_GAUSSIAN) - 1) * 2 ** (len(_SCALE_POWERS) - 1):
        return undefined(target)
    product = jnp.float32(1.0)
    for scale, power in enumerate(_SCALE_POWERS):
        luminance, structure = ssim_maps(target, sources, "gaussian", data_range)
        last = scale == len(_SCALE_POWERS) - 1
        similarity = image_mean(luminance * structure if last else structure)
        positive = similarity > 0
        product = product * jnp.where(positive, jnp.where(positive, similarity, 1.0) ** power, 0.0)
        target, sources = _halved(target), _halved(sources)
    return combined(product, combine)
