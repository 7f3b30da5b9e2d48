"""The table of metrics: titles, ranges, directions, sources, and when a metric is undefined."""

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True, kw_only=True)
class MetricInfo:
    """One row of the table.

    Attributes:
        title: full name.
        family: metrics of one family share work and are computed together.
        values: range and unit in the `exact` convention, or in `look`.
        better: which values are better.
        source: the publication that defines the metric.
        undefined: when the value is NaN, as a phrase that can follow "undefined where".
    """

    title: str
    family: str
    values: str
    better: Literal["higher", "lower", "closer to 0", "closer to 1"]
    source: str
    undefined: str = "never"


METRICS: dict[str, MetricInfo] = {
    "EN": MetricInfo(
        title="entropy",
        family="information",
        values="0..8 bits",
        better="higher",
        source="Roberts et al. 2008",
    ),
    "SD": MetricInfo(
        title="standard deviation",
        family="fidelity",
        values="0..127.5 levels",
        better="higher",
        source="Rao 1997",
    ),
    "SF": MetricInfo(
        title="spatial frequency",
        family="edges",
        values="0..361 levels",
        better="higher",
        source="Eskicioglu & Fisher 1995",
        undefined="a side has one pixel (not in exact)",
    ),
    "AG": MetricInfo(
        title="average gradient",
        family="edges",
        values="0..255 levels",
        better="higher",
        source="Cui et al. 2015",
        undefined="a side has one pixel",
    ),
    "EI": MetricInfo(
        title="edge intensity",
        family="edges",
        values="0..1442 levels",
        better="higher",
        source="Rajalingam & Priya 2018; border as in VIFB",
    ),
    "MI": MetricInfo(
        title="mutual information",
        family="information",
        values="0..16 bits",
        better="higher",
        source="Qu et al. 2002",
    ),
    "NMI": MetricInfo(
        title="normalized mutual information",
        family="information",
        values="0..2",
        better="higher",
        source="Hossny et al. 2008",
        undefined="the fused image and a source are both constant",
    ),
    "CE": MetricInfo(
        title="cross entropy",
        family="information",
        values="bits",
        better="lower",
        source="Bulanon et al. 2009, as VIFB computes it",
    ),
    "FMI_pixel": MetricInfo(
        title="feature mutual information, gray levels",
        family="feature information",
        values="0..1",
        better="higher",
        source="Haghighat & Razian 2014",
        undefined="a side is below 3 pixels",
    ),
    "FMI_gradient": MetricInfo(
        title="feature mutual information, gradients",
        family="feature information",
        values="0..1",
        better="higher",
        source="Haghighat & Razian 2014",
        undefined="a side is below 3 pixels",
    ),
    "CC": MetricInfo(
        title="correlation coefficient",
        family="fidelity",
        values="-1..1",
        better="higher",
        source="Deshmukh & Bhosale 2010",
        undefined="the fused image or a source is constant",
    ),
    "PSNR": MetricInfo(
        title="peak signal-to-noise ratio",
        family="fidelity",
        values="dB",
        better="higher",
        source="Jagalingam & Hegde 2015",
        undefined="never; infinite where F equals both",
    ),
    "MSE": MetricInfo(
        title="mean squared error",
        family="fidelity",
        values="0..65025 levels squared",
        better="lower",
        source="Jagalingam & Hegde 2015",
    ),
    "RMSE": MetricInfo(
        title="root mean squared error",
        family="fidelity",
        values="0..255 levels",
        better="lower",
        source="Jagalingam & Hegde 2015",
    ),
    "SCD": MetricInfo(
        title="sum of correlations of differences",
        family="fidelity",
        values="-2..2",
        better="higher",
        source="Aslantas & Bendes 2015",
        undefined="a source is constant, or the fused image equals a source up to a constant",
    ),
    "VIF": MetricInfo(
        title="visual information fidelity",
        family="visual information",
        values="0 and up",
        better="higher",
        source="Sheikh & Bovik 2006, pixel domain",
        undefined="a source is constant, or a side is below 41 pixels",
    ),
    "VIFF": MetricInfo(
        title="visual information fidelity for fusion",
        family="visual information",
        values="0 and up",
        better="higher",
        source="Han et al. 2013",
        undefined="a side is below 41 pixels",
    ),
    "Qabf": MetricInfo(
        title="edge transfer",
        family="edges",
        values="0..0.975",
        better="higher",
        source="Xydeas & Petrovic 2000",
        undefined="no source has an edge",
    ),
    "Nabf": MetricInfo(
        title="edge artifacts",
        family="edges",
        values="0..1",
        better="lower",
        source="Kumar 2013",
        undefined="a side has one pixel",
    ),
    "Qcb": MetricInfo(
        title="perceived contrast",
        family="perceptual",
        values="0..1",
        better="higher",
        source="Chen & Blum 2009",
    ),
    "Qcv": MetricInfo(
        title="perceived error",
        family="perceptual",
        values="0 and up, levels squared",
        better="lower",
        source="Chen & Varshney 2007",
        undefined="no source has an edge",
    ),
    "SSIM": MetricInfo(
        title="structural similarity",
        family="structure",
        values="-1..1",
        better="higher",
        source="Wang et al. 2004",
        undefined="a side is below the window (11 or 7)",
    ),
    "MS-SSIM": MetricInfo(
        title="multi-scale structural similarity",
        family="structure",
        values="0..1",
        better="higher",
        source="Wang et al. 2003",
        undefined="a side is below 161 pixels",
    ),
    "CD": MetricInfo(
        title="color deviation",
        family="color",
        values="0..1.571 radians",
        better="lower",
        source="Li & Fu 2024",
        undefined="the fused or the visible image is gray",
    ),
    "kept": MetricInfo(
        title="contrast kept of the stronger source",
        family="look",
        values="0..1",
        better="higher",
        source="our own",
        undefined="no contrast is above 0.03",
    ),
    "cancelled": MetricInfo(
        title="contrast cancelled by the other source",
        family="look",
        values="0..1",
        better="lower",
        source="our own",
        undefined="no contrast is above 0.03",
    ),
    "texture": MetricInfo(
        title="texture added to flat areas",
        family="look",
        values="-255..255 levels; negative if grain is smoothed",
        better="lower",
        source="our own",
        undefined="less than 2% of the visible image is flat and without infrared structure",
    ),
    "veil": MetricInfo(
        title="lift of the darkest 30% without infrared structure",
        family="look",
        values="-255..255 levels; negative where dark places get darker",
        better="closer to 0",
        source="our own",
        undefined="such areas are less than 2% of the image",
    ),
    "saturation": MetricInfo(
        title="saturation relative to the visible image",
        family="look",
        values="0 and up; 1 keeps it",
        better="closer to 1",
        source="our own",
        undefined="the fused image is gray, or less than 1% of the visible image is colored",
    ),
}
