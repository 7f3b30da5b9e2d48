"""What each convention computes: plain mappings from a metric's name to a function with its options bound."""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial

from fusejax.metrics import edges, fidelity, information, structure, visual_information

Metric = Callable[..., object]
USUAL = ("EN", "SD", "SF", "AG", "MI", "SCD", "VIF", "Qabf", "SSIM")


@dataclasses.dataclass(frozen=True)
class Convention:
    """One way to score: `metrics` maps a name to `metric(fused, ir, vi_y) -> [b]`; `quantised` rounds pixels to 8 bit first."""

    name: str
    summary: str
    metrics: Mapping[str, Metric]
    quantised: bool


EXACT = Convention(
    name="exact",
    summary="definitions of the papers",
    quantised=False,
    metrics={
        "EN": information.entropy,
        "SD": fidelity.standard_deviation,
        "SF": edges.spatial_frequency,
        "AG": edges.average_gradient,
        "MI": information.mutual_information,
        "SCD": fidelity.sum_of_correlations_of_differences,
        "VIF": visual_information.vif,
        "Qabf": edges.qabf,
        "SSIM": structure.ssim,
    },
)
CDDFUSE = Convention(
    name="cddfuse",
    summary="CDDFuse's Python evaluator",
    quantised=True,
    metrics={
        "EN": information.entropy,
        "SD": fidelity.standard_deviation,
        "SF": partial(edges.spatial_frequency, over="differences"),
        "AG": partial(edges.average_gradient, difference="central", over="pixels"),
        "MI": partial(information.mutual_information, unit="nats"),
        "MSE": fidelity.mean_squared_error,
        "CC": fidelity.correlation,
        "PSNR": partial(fidelity.psnr, peak="fused"),
        "SCD": fidelity.sum_of_correlations_of_differences,
        "VIF": partial(visual_information.vif, combine="sum", flat_source=1.0),
        "Qabf": edges.qabf,
        "SSIM": partial(structure.ssim, window="box", data_range=2.0, combine="sum"),
    },
)
CONVENTIONS = {convention.name: convention for convention in (EXACT, CDDFUSE)}
