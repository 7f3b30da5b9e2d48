"""The conventions: mappings from metric names to functions with bound options."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fusejax.metrics import (
    edges,
    feature_information,
    fidelity,
    information,
    look,
    perceptual,
    sharpness,
    structure,
    visual_information,
)
from fusejax.metrics.color import color_deviation
from fusejax.ops.color import LUMA_WEIGHTS
from fusejax.typing import PerImage

Colors = Float[Array, "*b h w 3"]
Grays = Float[Array, "*b h w 1"]
Metric = Callable[..., PerImage]

USUAL = ("EN", "SD", "SF", "AG", "MI", "SCD", "VIF", "Qabf", "SSIM")


def _weighted(rgb: Colors, weights: Sequence[float] | np.ndarray) -> Grays:
    """Weighted sum of the channels; not a matrix product, which GPUs may compute in TF32."""
    red, green, blue = (float(w) * rgb[..., i : i + 1] for i, w in enumerate(weights))
    return red + green + blue


def luma(rgb: Colors) -> Grays:
    """BT.601 luma, not rounded.

    Args:
        rgb: in [0, 1].

    Returns:
        Luma in [0, 1].
    """
    return _weighted(rgb, LUMA_WEIGHTS)


def rounded_luma(rgb: Colors) -> Grays:
    """BT.601 luma of 8-bit levels, rounded half to even (CDDFuse).

    Args:
        rgb: in [0, 1].

    Returns:
        Luma n / 255.
    """
    return jnp.round(luma(jnp.round(255.0 * rgb))) / 255.0


def matlab_gray(rgb: Colors) -> Grays:
    """Matlab's `rgb2gray` of 8-bit levels: weights 0.2989, 0.5870, 0.1140, rounded half up.

    Args:
        rgb: in [0, 1].

    Returns:
        Luma n / 255.
    """
    return jnp.floor(_weighted(jnp.round(255.0 * rgb), (0.2989, 0.5870, 0.1140)) + 0.5) / 255.0


@dataclasses.dataclass(frozen=True)
class Convention:
    """One set of metric definitions.

    Attributes:
        name: name in options and tables.
        summary: summary of the choices, for table headings.
        metrics: name -> `metric(fused, ir, vi_y, extent=None) -> [b]` on luma in [0, 1].
        quantized: whether every image is first rounded to 8 bits.
        gray: function from RGB to luma for color images; None scores each channel and averages the
            scores.
        color: name -> `metric(fused, vi, extent=None) -> [b]` on RGB.
    """

    name: str
    summary: str
    metrics: Mapping[str, Metric]
    quantized: bool
    gray: Callable[[Colors], Grays] | None
    color: Mapping[str, Metric] = dataclasses.field(default_factory=dict)


EXACT = Convention(
    name="exact",
    summary="definitions of the papers: MI in bits, SSIM with L = 255 and Gaussian window, PSNR with peak 255; "
    "SSIM, MS-SSIM, VIF, CC are means over the two sources; pixels are rounded only for histograms",
    quantized=False,
    gray=luma,
    metrics={
        "EN": information.entropy,
        "SD": fidelity.standard_deviation,
        "SF": sharpness.spatial_frequency,
        "AG": sharpness.average_gradient,
        "EI": sharpness.edge_intensity,
        "MI": information.mutual_information,
        "NMI": information.normalized_mutual_information,
        "CE": information.cross_entropy,
        "FMI_pixel": partial(feature_information.feature_mutual_information, feature="pixel"),
        "FMI_gradient": partial(feature_information.feature_mutual_information, feature="gradient"),
        "CC": fidelity.correlation,
        "PSNR": fidelity.psnr,
        "MSE": fidelity.mean_squared_error,
        "RMSE": fidelity.root_mean_squared_error,
        "SCD": fidelity.sum_of_correlations_of_differences,
        "VIF": visual_information.vif,
        "VIFF": visual_information.viff,
        "Qabf": edges.qabf,
        "Nabf": edges.nabf,
        "Qcb": perceptual.qcb,
        "Qcv": perceptual.qcv,
        "SSIM": structure.ssim,
        "MS-SSIM": structure.ms_ssim,
    },
    color={"CD": color_deviation},
)

CDDFUSE = Convention(
    name="cddfuse",
    summary="CDDFuse's Python evaluator: 8-bit images, MI in nats, SSIM 7x7 box with L = 2, PSNR with the fused "
    "image's own peak; SSIM, MI and VIF are sums over the two sources",
    quantized=True,
    gray=rounded_luma,
    metrics={
        "EN": information.entropy,
        "SD": fidelity.standard_deviation,
        "SF": partial(sharpness.spatial_frequency, over="differences"),
        "AG": partial(sharpness.average_gradient, difference="central", over="pixels"),
        "MI": partial(information.mutual_information, unit="nats"),
        "MSE": fidelity.mean_squared_error,
        "CC": fidelity.correlation,
        "PSNR": partial(fidelity.psnr, peak="fused"),
        "SCD": fidelity.sum_of_correlations_of_differences,
        "VIF": partial(visual_information.vif, combine="sum", flat_source=1.0),
        "Qabf": partial(edges.qabf, equal="strength"),
        "SSIM": partial(structure.ssim, window="box", data_range=2.0, combine="sum"),
    },
)

TANG = Convention(
    name="tang",
    summary="Linfeng Tang's Matlab toolkit: 8-bit images, MI in bits (levels 254 and 255 share a joint cell), MSE on "
    "0..1, PSNR 48.13 dB too high, SSIM with L = 1, Nabf with the infrared image as fused; VIF is a sum, SSIM a mean",
    quantized=True,
    gray=matlab_gray,
    metrics={
        "EN": information.entropy,
        "SD": fidelity.standard_deviation,
        "SF": partial(sharpness.spatial_frequency, over="differences"),
        "AG": partial(sharpness.average_gradient, difference="central"),
        "MI": partial(information.mutual_information, saturated=True),
        "MSE": partial(fidelity.mean_squared_error, full_scale=1.0),
        "CC": fidelity.correlation,
        "PSNR": partial(fidelity.psnr, error_scale=1.0),
        "SCD": fidelity.sum_of_correlations_of_differences,
        "VIF": partial(visual_information.vif, combine="sum"),
        "Qabf": partial(edges.qabf, equal="strength"),
        "Nabf": edges.nabf_first_source,
        "SSIM": partial(structure.ssim, data_range=1.0, border="edge"),
    },
)

VIFB = Convention(
    name="vifb",
    summary="VIFB's Matlab benchmark: 8-bit images, per color channel; MI (nats), Qcb and Qcv after min-max "
    "stretching, RMSE and PSNR from |F - S| / (H W), SSIM as a sum",
    quantized=True,
    gray=None,
    metrics={
        "EN": information.entropy,
        "SD": fidelity.standard_deviation,
        "SF": sharpness.spatial_frequency,
        "AG": partial(sharpness.average_gradient, difference="central"),
        "EI": sharpness.edge_intensity,
        "MI": partial(information.mutual_information, unit="nats", stretched=True),
        "CE": information.cross_entropy,
        "PSNR": fidelity.norm_psnr,
        "RMSE": fidelity.norm_error,
        "Qabf": partial(edges.qabf, equal="strength"),
        "Qcb": partial(perceptual.qcb, stretched=True),
        "Qcv": partial(perceptual.qcv, stretched=True),
        "SSIM": partial(structure.ssim, combine="sum"),
    },
)

LOOK = Convention(
    name="look",
    summary="what a viewer notices first, as our own measures of 8-bit images: contrast kept and cancelled, texture in "
    "flat areas, veil over dark areas, saturation",
    quantized=True,
    gray=luma,
    metrics={
        "kept": look.kept_contrast,
        "cancelled": look.cancelled_contrast,
        "texture": look.flat_texture,
        "veil": look.veil,
    },
    color={"saturation": look.saturation},
)

CONVENTIONS: dict[str, Convention] = {c.name: c for c in (EXACT, CDDFUSE, TANG, VIFB, LOOK)}
