"""Contrast of the fused image and its agreement with the sources, on gray levels 0..255."""

from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

from fusejax.ops.arrays import equal_shapes
from fusejax.ops.extent import masked, valid_size
from fusejax.ops.numerics import centered, image_mean, image_sum, pearson, safe_sqrt, to_levels
from fusejax.options import checked_options
from fusejax.typing import Extent, Luma, PerImage


@equal_shapes
def standard_deviation(
    fused: Luma, ir: Luma | None = None, vi_y: Luma | None = None, *, extent: Extent | None = None
) -> PerImage:
    """SD, standard deviation of the fused gray levels, divided by N (Rao 1997).

    Args:
        fused: fused luma in [0, 1].
        ir: not used.
        vi_y: not used.
        extent: height and width of the images, if the arrays are larger.

    Returns:
        One value per image, 0..127.5 levels, higher is better.

    Example:
        >>> import jax.numpy as jnp
        >>> black, white = jnp.zeros((1, 8, 8, 1)), jnp.ones((1, 8, 8, 1))
        >>> half = jnp.concatenate([black, white], axis=1)
        >>> standard_deviation(half, half, half).tolist()
        [127.5]
    """
    size = valid_size(fused, extent)
    return safe_sqrt(image_mean(jnp.square(centered(to_levels(fused), size)), size))


@equal_shapes
def mean_squared_error(
    fused: Luma, ir: Luma, vi_y: Luma, *, full_scale: float = 255.0, extent: Extent | None = None
) -> PerImage:
    """MSE, mean of the mean squared differences from the two sources (Jagalingam & Hegde 2015).

    Args:
        fused: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        full_scale: 255 for gray levels (CDDFuse), 1 for units of the full range (Linfeng Tang).
        extent: height and width of the images, if the arrays are larger.

    Returns:
        One value per image, 0..full_scale squared, lower is better.

    Example:
        >>> import jax.numpy as jnp
        >>> black, white = jnp.zeros((1, 8, 8, 1)), jnp.ones((1, 8, 8, 1))
        >>> mean_squared_error(white, white, black).tolist()  # (0 + 255^2) / 2
        [32512.5]
    """
    target, size = to_levels(fused), valid_size(fused, extent)
    errors = [image_mean(jnp.square(target - to_levels(source)), size) for source in (ir, vi_y)]
    return jnp.stack(errors).mean(0) * (full_scale / 255.0) ** 2


def root_mean_squared_error(fused: Luma, ir: Luma, vi_y: Luma, *, extent: Extent | None = None) -> PerImage:
    """RMSE, root of MSE (Jagalingam & Hegde 2015).

    Args:
        fused: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        extent: height and width of the images, if the arrays are larger.

    Returns:
        One value per image, 0..255 gray levels, lower is better.

    Example:
        >>> import jax.numpy as jnp
        >>> black, white = jnp.zeros((1, 8, 8, 1)), jnp.ones((1, 8, 8, 1))
        >>> root_mean_squared_error(white, white, white).tolist()
        [0.0]
    """
    return safe_sqrt(mean_squared_error(fused, ir, vi_y, extent=extent))


@equal_shapes
def norm_error(fused: Luma, ir: Luma, vi_y: Luma, *, extent: Extent | None = None) -> PerImage:
    """VIFB's "Rmse": mean over the sources of |F - S|_2 / (H W).

    This is not a mean of squares: it decreases with the image size.

    Args:
        fused: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        extent: height and width of the images, if the arrays are larger.

    Returns:
        One value per image, in gray levels, lower is better.
    """
    target, size = to_levels(fused), valid_size(fused, extent)
    squares = [image_sum(jnp.square(target - to_levels(source)), size) for source in (ir, vi_y)]
    return jnp.stack([safe_sqrt(total) / (size[0] * size[1]) for total in squares]).mean(0)


def _decibels(ratio: Float[Array, " b"]) -> Float[Array, " b"]:
    return 10.0 * jnp.log10(ratio)


@checked_options
@equal_shapes
def psnr(
    fused: Luma,
    ir: Luma,
    vi_y: Luma,
    *,
    peak: Literal["255", "fused"] = "255",
    error_scale: float = 255.0,
    extent: Extent | None = None,
) -> PerImage:
    """PSNR of the mean of the errors from both sources (Jagalingam & Hegde 2015).

    Args:
        fused: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        peak: 255, or the largest level of each fused image (CDDFuse).
        error_scale: full scale of the error. Linfeng Tang's toolkit divides 255 squared by an error
            on 0..1, which adds 48.13 dB.
        extent: height and width of the images, if the arrays are larger.

    Returns:
        One value per image in dB, higher is better; infinite if F equals both sources.

    Example:
        >>> import jax.numpy as jnp
        >>> black, white = jnp.zeros((1, 8, 8, 1)), jnp.ones((1, 8, 8, 1))
        >>> psnr(white, white, white).tolist()
        [inf]
    """
    levels = masked(to_levels(fused), valid_size(fused, extent))
    top = jnp.square(levels.max((1, 2))) if peak == "fused" else 255.0**2
    return _decibels(top / mean_squared_error(fused, ir, vi_y, full_scale=error_scale, extent=extent))


def norm_psnr(fused: Luma, ir: Luma, vi_y: Luma, *, extent: Extent | None = None) -> PerImage:
    """VIFB's PSNR: 255 squared over its "Rmse" (`norm_error`), not over a mean squared error.

    Args:
        fused: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        extent: height and width of the images, if the arrays are larger.

    Returns:
        One value per image in dB, higher is better.
    """
    return _decibels(255.0**2 / norm_error(fused, ir, vi_y, extent=extent))


@equal_shapes
def correlation(fused: Luma, ir: Luma, vi_y: Luma, *, extent: Extent | None = None) -> PerImage:
    """CC, mean Pearson correlation with the two sources (Deshmukh & Bhosale 2010).

    Args:
        fused: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        extent: height and width of the images, if the arrays are larger.

    Returns:
        One value per image, -1..1, higher is better; NaN if the fused image or a source is
        constant.

    Example:
        >>> import jax
        >>> x = jax.random.uniform(jax.random.key(0), (1, 48, 48, 1))
        >>> correlation(x, x, x).round(4).tolist()
        [1.0]
    """
    target, size = to_levels(fused), valid_size(fused, extent)
    return 0.5 * (pearson(to_levels(ir), target, size) + pearson(to_levels(vi_y), target, size))


@equal_shapes
def sum_of_correlations_of_differences(fused: Luma, ir: Luma, vi_y: Luma, *, extent: Extent | None = None) -> PerImage:
    """SCD = r(F - B, A) + r(F - A, B) (Aslantas & Bendes 2015, Eq. 2 to 4).

    Args:
        fused: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        extent: height and width of the images, if the arrays are larger.

    Returns:
        One value per image, -2..2, higher is better; NaN if a source is constant, or if F minus a
        source is constant (for example, if F equals a source).

    Example:
        >>> import jax
        >>> x = jax.random.uniform(jax.random.key(0), (1, 48, 48, 1))
        >>> y = jax.random.uniform(jax.random.key(1), x.shape)
        >>> sum_of_correlations_of_differences(x + y, x, y).round(3).tolist()  # the sum keeps both
        [2.0]
    """
    target, first, second = to_levels(fused), to_levels(ir), to_levels(vi_y)
    size = valid_size(fused, extent)
    return pearson(target - second, first, size) + pearson(target - first, second, size)
