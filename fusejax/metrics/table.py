"""The table of metrics: what each one is called, measures, and when it has no value."""

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True)
class MetricInfo:
    """One row of the table.

    Attributes:
        family: metrics of one family share work and are computed together.
        values: range and unit in the `exact` convention.
        undefined: when the value is NaN.
    """

    family: str
    title: str
    values: str
    better: Literal["higher", "lower"]
    source: str
    undefined: str = "never"


_CONSTANT = "the fused picture or a source is constant"

METRICS: dict[str, MetricInfo] = {
    "EN": MetricInfo("information", "entropy", "0..8 bits", "higher", "Roberts et al. 2008"),
    "SD": MetricInfo("fidelity", "standard deviation", "0..127.5 levels", "higher", "Rao 1997"),
    "SF": MetricInfo(
        "edges",
        "spatial frequency",
        "0..361 levels",
        "higher",
        "Eskicioglu & Fisher 1995",
        "a side has one pixel (not in exact)",
    ),
    "AG": MetricInfo("edges", "average gradient", "0..255 levels", "higher", "Cui et al. 2015", "a side has one pixel"),
    "EI": MetricInfo(
        "edges", "edge intensity", "0..1442 levels", "higher", "Rajalingam & Priya 2018; border as in VIFB"
    ),
    "MI": MetricInfo("information", "mutual information", "0..16 bits", "higher", "Qu et al. 2002"),
    "NMI": MetricInfo(
        "information",
        "normalised mutual information",
        "0..2",
        "higher",
        "Hossny et al. 2008",
        "the fused picture and a source are both constant",
    ),
    "CE": MetricInfo("information", "cross entropy", "bits", "lower", "Bulanon et al. 2009, as VIFB computes it"),
    "FMI_pixel": MetricInfo(
        "feature information",
        "feature mutual information, grey levels",
        "0..1",
        "higher",
        "Haghighat & Razian 2014",
        "a side is below 3 pixels",
    ),
    "FMI_gradient": MetricInfo(
        "feature information",
        "feature mutual information, gradients",
        "0..1",
        "higher",
        "Haghighat & Razian 2014",
        "a side is below 3 pixels",
    ),
    "CC": MetricInfo("fidelity", "correlation coefficient", "-1..1", "higher", "Deshmukh & Bhosale 2010", _CONSTANT),
    "PSNR": MetricInfo(
        "fidelity",
        "peak signal-to-noise ratio",
        "dB",
        "higher",
        "Jagalingam & Hegde 2015",
        "never; infinite where F equals both",
    ),
    "MSE": MetricInfo("fidelity", "mean squared error", "0..65025 levels squared", "lower", "Jagalingam & Hegde 2015"),
    "RMSE": MetricInfo("fidelity", "root mean squared error", "0..255 levels", "lower", "Jagalingam & Hegde 2015"),
    "SCD": MetricInfo(
        "fidelity",
        "sum of correlations of differences",
        "-2..2",
        "higher",
        "Aslantas & Bendes 2015",
        "a source is constant, or the fused picture equals a source up to a constant",
    ),
    "VIF": MetricInfo(
        "visual information",
        "visual information fidelity",
        "0 and up",
        "higher",
        "Sheikh & Bovik 2006, pixel domain",
        "a source is constant, or a side is below 41 pixels",
    ),
    "VIFF": MetricInfo(
        "visual information",
        "visual information fidelity for fusion",
        "0 and up",
        "higher",
        "Han et al. 2013",
        "a side is below 41 pixels",
    ),
    "Qabf": MetricInfo(
        "edges", "edge transfer", "0..0.975", "higher", "Xydeas & Petrovic 2000", "no source has an edge"
    ),
    "Nabf": MetricInfo("edges", "edge artefacts", "0..1", "lower", "Kumar 2013", "a side has one pixel"),
    "Qcb": MetricInfo("perceptual", "perceived contrast", "0..1", "higher", "Chen & Blum 2009"),
    "Qcv": MetricInfo(
        "perceptual",
        "perceived error",
        "0 and up, levels squared",
        "lower",
        "Chen & Varshney 2007",
        "no source has an edge",
    ),
    "SSIM": MetricInfo(
        "structure",
        "structural similarity",
        "-1..1",
        "higher",
        "Wang et al. 2004",
        "a side is below the window (11 or 7)",
    ),
    "MS-SSIM": MetricInfo(
        "structure",
        "multi-scale structural similarity",
        "0..1",
        "higher",
        "Wang et al. 2003",
        "a side is below 161 pixels",
    ),
    "CD": MetricInfo(
        "colour",
        "colour deviation",
        "0..1.571 radians",
        "lower",
        "Li & Fu 2024",
        "the fused or the visible picture is grey",
    ),
}


def higher_is_better(metric: str) -> bool:
    """Direction of a metric, by name.

    Scores inside regions (`ROI-SSIM`, `ROI-MSE`) have the direction of the metric they are named
    after.
    """
    return METRICS[metric.removeprefix("ROI-")].better == "higher"


def undefined_reason(name: str) -> str:
    """When a metric is NaN, in words that fit behind "undefined where"."""
    return METRICS[name].undefined
