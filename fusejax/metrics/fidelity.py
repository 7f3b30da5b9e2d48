"""Contrast of the fused picture and its pointwise agreement with the sources, on grey levels 0..255."""

from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

from fusejax.ops.numerics import centred, combined, pearson, picture_mean, picture_sum, safe_sqrt, to_levels
from fusejax.options import checked_options
from fusejax.typing import Luma, PerImage


def standard_deviation(fused: Luma, ir: Luma | None = None, vi_y: Luma | None = None) -> PerImage:
    """SD of the fused grey levels about their mean, divided by N; 0..127.5 levels, higher is better (Rao 1997).

    The sources are not used.
    """
    return safe_sqrt(picture_mean(jnp.square(centred(to_levels(fused)))))


def mean_squared_error(fused: Luma, ir: Luma, vi_y: Luma, *, full_scale: float = 255.0) -> PerImage:
    """MSE, mean of the two sources' mean squared differences, 0..full_scale squared, lower is better.

    Args: full_scale: 255 counts in grey levels (CDDFuse), 1 in units of the range (Linfeng Tang).
    """
    target = to_levels(fused)
    errors = [picture_mean(jnp.square(target - to_levels(source))) for source in (ir, vi_y)]
    return combined(jnp.stack(errors), "mean") * (full_scale / 255.0) ** 2


def root_mean_squared_error(fused: Luma, ir: Luma, vi_y: Luma) -> PerImage:
    """RMSE, root of MSE in grey levels, 0..255, lower is better."""
    return safe_sqrt(mean_squared_error(fused, ir, vi_y))


def norm_error(fused: Luma, ir: Luma, vi_y: Luma) -> PerImage:
    """VIFB's "Rmse": mean over the sources of |F - S|_2 / (H W), no mean of squares; it shrinks as pictures grow."""
    target = to_levels(fused)
    pixels = target.shape[1] * target.shape[2]
    errors = [safe_sqrt(picture_sum(jnp.square(target - to_levels(source)))) / pixels for source in (ir, vi_y)]
    return combined(jnp.stack(errors), "mean")


def _decibels(ratio: Float[Array, " b"]) -> Float[Array, " b"]:
    return 10.0 * jnp.log10(ratio)


@checked_options
def psnr(
    fused: Luma, ir: Luma, vi_y: Luma, *, peak: Literal["255", "fused"] = "255", error_scale: float = 255.0
) -> PerImage:
    """PSNR in dB from the mean of both sources' errors, higher is better; infinite where F equals both sources.

    Args:
        peak: 255, or the largest level of each fused picture (CDDFuse).
        error_scale: the error's full scale. Linfeng Tang sets 255 squared over an error on 0..1: 48.13 dB more.
    """
    top = jnp.square(to_levels(fused).max((1, 2))) if peak == "fused" else 255.0**2
    return _decibels(top / mean_squared_error(fused, ir, vi_y, full_scale=error_scale))


def norm_psnr(fused: Luma, ir: Luma, vi_y: Luma) -> PerImage:
    """VIFB's PSNR in dB: 255 squared over its "Rmse" (`norm_error`) instead of over a mean squared error."""
    return _decibels(255.0**2 / norm_error(fused, ir, vi_y))


def correlation(fused: Luma, ir: Luma, vi_y: Luma) -> PerImage:
    """CC, mean Pearson correlation with the two sources, -1..1, higher is better (Deshmukh & Bhosale 2010).

    NaN where the fused picture or a source is constant.
    """
    target = to_levels(fused)
    return 0.5 * (pearson(to_levels(ir), target) + pearson(to_levels(vi_y), target))


def sum_of_correlations_of_differences(fused: Luma, ir: Luma, vi_y: Luma) -> PerImage:
    """SCD = r(F - B, A) + r(F - A, B), -2..2, higher is better (Aslantas & Bendes 2015, Eq. 2 to 4).

    NaN where a source is constant or F minus a source is constant (so wherever F equals a source).
    """
    target, first, second = to_levels(fused), to_levels(ir), to_levels(vi_y)
    return pearson(target - second, first) + pearson(target - first, second)
