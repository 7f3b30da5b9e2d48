"""Fusion metrics under named conventions.

`evaluate(fused, ir, vi)` scores a batch; every metric is a pure function that returns one value per
image.
"""

from etils import epy

with epy.lazy_api_imports(globals()):
    from fusejax.metrics.color import color_deviation
    from fusejax.metrics.conventions import CONVENTIONS, USUAL, Convention
    from fusejax.metrics.direction import higher_is_better, merit, undefined_reason
    from fusejax.metrics.edges import nabf, qabf
    from fusejax.metrics.evaluation import evaluate
    from fusejax.metrics.feature_information import feature_mutual_information
    from fusejax.metrics.fidelity import (
        correlation,
        mean_squared_error,
        psnr,
        root_mean_squared_error,
        standard_deviation,
        sum_of_correlations_of_differences,
    )
    from fusejax.metrics.information import cross_entropy, entropy, mutual_information, normalized_mutual_information
    from fusejax.metrics.look import cancelled_contrast, flat_texture, kept_contrast, saturation, veil
    from fusejax.metrics.perceptual import qcb, qcv
    from fusejax.metrics.region import average_fusion, mse_lower_bound, roi_mse, roi_ssim
    from fusejax.metrics.sharpness import average_gradient, edge_intensity, spatial_frequency
    from fusejax.metrics.structure import ms_ssim, ssim
    from fusejax.metrics.table import METRICS, MetricInfo
    from fusejax.metrics.temporal import evaluate_video
    from fusejax.metrics.temporal_table import TEMPORAL_METRICS
    from fusejax.metrics.visual_information import vif, viff

__all__ = [
    "CONVENTIONS",
    "METRICS",
    "TEMPORAL_METRICS",
    "USUAL",
    "Convention",
    "MetricInfo",
    "average_fusion",
    "average_gradient",
    "cancelled_contrast",
    "color_deviation",
    "correlation",
    "cross_entropy",
    "edge_intensity",
    "entropy",
    "evaluate",
    "evaluate_video",
    "feature_mutual_information",
    "flat_texture",
    "higher_is_better",
    "kept_contrast",
    "mean_squared_error",
    "merit",
    "ms_ssim",
    "mse_lower_bound",
    "mutual_information",
    "nabf",
    "normalized_mutual_information",
    "psnr",
    "qabf",
    "qcb",
    "qcv",
    "roi_mse",
    "roi_ssim",
    "root_mean_squared_error",
    "saturation",
    "spatial_frequency",
    "ssim",
    "standard_deviation",
    "sum_of_correlations_of_differences",
    "undefined_reason",
    "veil",
    "vif",
    "viff",
]
