"""Fusion metrics under named conventions. `evaluate(fused, ir, vi)` scores a batch; every metric is a pure function."""

from fusejax.metrics.conventions import CONVENTIONS, USUAL, Convention
from fusejax.metrics.evaluation import evaluate
from fusejax.metrics.running_mean import RunningMean
from fusejax.metrics.table import METRICS, MetricInfo, higher_is_better, undefined_reason

__all__ = [
    "CONVENTIONS",
    "METRICS",
    "USUAL",
    "Convention",
    "MetricInfo",
    "RunningMean",
    "evaluate",
    "higher_is_better",
    "undefined_reason",
]
