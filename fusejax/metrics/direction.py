"""Which values of a metric are better, and where it is undefined."""

import numpy as np
from jaxtyping import Float

from fusejax.metrics.table import METRICS, MetricInfo
from fusejax.metrics.temporal_table import TEMPORAL_METRICS


def higher_is_better(metric: str) -> bool:
    """Whether larger values of a metric are better.

    Args:
        metric: name of the metric; scores inside regions (`ROI-SSIM`, `ROI-MSE`) have the direction
            of the metric they are named after.

    Returns:
        True if higher is better; False if lower is, or if there is a best value (`merit`).

    Example:
        >>> higher_is_better("Qabf"), higher_is_better("MSE"), higher_is_better("ROI-SSIM")
        (True, False, True)
    """
    return _info(metric).better == "higher"


def merit(metric: str, values: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Values of a metric, changed so that larger ones are better.

    Args:
        metric: as for `higher_is_better`.
        values: in the unit of the metric.

    Returns:
        The values, their negatives, or the negative distance from the best value; NaN stays NaN.

    Example:
        >>> import numpy as np
        >>> merit("saturation", np.array([0.5, 1.0, 1.25])).tolist()
        [-0.5, -0.0, -0.25]
    """
    better = _info(metric).better
    if better.startswith("closer to "):
        return -np.abs(values - float(better.removeprefix("closer to ")))
    return values if better == "higher" else -values


def _info(metric: str) -> MetricInfo:
    return (METRICS | TEMPORAL_METRICS)[metric.removeprefix("ROI-")]


def undefined_reason(name: str) -> str:
    """When a metric is NaN.

    Args:
        name: name of the metric.

    Returns:
        A phrase that can follow "undefined where".

    Example:
        >>> undefined_reason("Qabf")
        'no source has an edge'
    """
    return (METRICS | TEMPORAL_METRICS)[name].undefined
