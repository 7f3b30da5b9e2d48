"""Structural similarity of the fused image and its sources, on gray levels 0..255."""

from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

from fusejax.metrics.windows import box_statistics, gaussian_taps, local_statistics
from fusejax.ops.arrays import equal_shapes
from fusejax.ops.extent import Size, continue_axis, continue_border, valid_size, where_large
from fusejax.ops.filters import pad_hw
from fusejax.ops.numerics import combined, image_mean, to_levels, undefined
from fusejax.options import checked_options
from fusejax.typing import Extent, Luma, PerImage

Window = Literal["gaussian", "box"]

_GAUSSIAN = gaussian_taps(11, 1.5)
_BOX = 7
_SCALE_POWERS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_MS_SSIM_SIDE = (len(_GAUSSIAN) - 1) * 2 ** (len(_SCALE_POWERS) - 1) + 1


def ssim_maps(
    target: Float[Array, "b h w"], sources: Float[Array, "n b h w"], window: Window, data_range: float
) -> tuple[Float[Array, "n b h2 w2"], Float[Array, "n b h2 w2"]]:
    """The two factors of SSIM at every position where the window fits.

    Args:
        target: one image.
        sources: n images to compare it with.
        window: Gaussian 11x11, sigma 1.5, or 7x7 box with sample covariance N / (N - 1).
        data_range: range L in the constants (0.01 L)^2 and (0.03 L)^2.

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
    extent: Extent | None = None,
) -> PerImage:
    """SSIM of the fused image with the two sources (Wang et al. 2004).

    Args:
        fused: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        window: Gaussian 11x11, sigma 1.5 (the paper), or 7x7 box with sample covariance N / (N - 1)
            (scikit-image).
        data_range: range L in the constants (0.01 L)^2 and (0.03 L)^2; 2 in CDDFuse's toolkit, 1 in
            Tang's.
        border: use only positions where the window fits, or all positions with a replicated border.
        combine: mean (the metric keeps its own range) or sum over the sources.
        extent: height and width of the images, if the arrays are larger.

    Returns:
        One value per image, each source in -1..1, higher is better; NaN if a side is shorter than
        the window and the border is `valid`.

    Example:
        >>> import jax
        >>> x = jax.random.uniform(jax.random.key(0), (1, 48, 48, 1))
        >>> ssim(x, x, x).round(4).tolist()
        [1.0]
        >>> ssim(x, x, x, combine="sum").round(4).tolist()  # as some toolkits print it
        [2.0]
    """
    taps = len(_GAUSSIAN) if window == "gaussian" else _BOX
    size = height, width = valid_size(fused, extent)
    target, *sources = (to_levels(with_margin(x, size, taps // 2, border)) for x in (fused, ir, vi_y))
    if min(target.shape[1:]) < taps:
        return undefined(target)
    luminance, structure = ssim_maps(target, jnp.stack(sources), window, data_range)
    if border == "edge":
        return combined(image_mean(luminance * structure, size), combine)
    mean = image_mean(luminance * structure, (height - taps + 1, width - taps + 1))
    return where_large(combined(mean, combine), size, taps)


def with_margin(x: Luma, size: Size, margin: int, border: Literal["valid", "edge"]) -> Float[Array, "b h2 w2 1"]:
    """Repeats the border of images that may be smaller than their arrays.

    Args:
        x: the images.
        size: size of the images.
        margin: number of pixels to add on each side.
        border: `edge`, or `valid`, which adds nothing.

    Returns:
        The padded images.
    """
    if border == "valid":
        return x
    return pad_hw(continue_border(x, size, border), (margin, margin), (margin, margin), border)


def _halved(x: Float[Array, "*b h w"], size: Size) -> Float[Array, "*b h2 w2"]:
    """Mean of 2x2 blocks; an odd last row or column is repeated."""
    for axis in (0, 1):
        x = continue_axis(x, size[axis], "edge", x.ndim - 2 + axis)
    rows, columns = x.shape[-2] % 2, x.shape[-1] % 2
    x = jnp.pad(x, [(0, 0)] * (x.ndim - 2) + [(0, rows), (0, columns)], mode="edge")
    x = x[..., 0::2, :] + x[..., 1::2, :]
    return 0.25 * (x[..., 0::2] + x[..., 1::2])


@checked_options
@equal_shapes
def ms_ssim(
    fused: Luma,
    ir: Luma,
    vi_y: Luma,
    *,
    data_range: float = 255.0,
    combine: Literal["sum", "mean"] = "mean",
    extent: Extent | None = None,
) -> PerImage:
    """MS-SSIM of the fused image with the two sources (Wang et al. 2003, Eq. 7).

    Five scales, each half the size of the previous one: mean contrast-structure to the powers
    0.0448, 0.2856, 0.3001 and 0.2363, and full SSIM to the power 0.1333 at the last scale. Negative
    means count as zero, since they have no real fractional power.

    Args:
        fused: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        data_range: range L in the constants (0.01 L)^2 and (0.03 L)^2.
        combine: mean or sum over the sources.
        extent: height and width of the images, if the arrays are larger.

    Returns:
        One value per image, each source in 0..1, higher is better; NaN if a side is below 161
        pixels, since the window would not fit the last scale.
    """
    target, sources = to_levels(fused), jnp.stack([to_levels(ir), to_levels(vi_y)])
    if min(target.shape[1:]) < _MS_SSIM_SIDE:
        return undefined(target)
    whole = size = valid_size(fused, extent)
    product = jnp.float32(1.0)
    for scale, power in enumerate(_SCALE_POWERS):
        luminance, structure = ssim_maps(target, sources, "gaussian", data_range)
        last = scale == len(_SCALE_POWERS) - 1
        fitting = (size[0] - len(_GAUSSIAN) + 1, size[1] - len(_GAUSSIAN) + 1)
        similarity = image_mean(luminance * structure if last else structure, fitting)
        positive = similarity > 0
        product = product * jnp.where(positive, jnp.where(positive, similarity, 1.0) ** power, 0.0)
        target, sources = _halved(target, size), _halved(sources, size)
        size = ((size[0] + 1) // 2, (size[1] + 1) // 2)
    return where_large(combined(product, combine), whole, _MS_SSIM_SIDE)
