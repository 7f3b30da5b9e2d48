"""Losses: pure functions with one value per image, `[b]`; the caller averages them.

An objective is a weighted list of named losses (`TERMS`).
"""

from etils import epy

with epy.lazy_api_imports(globals()):
    from fusejax.losses.angle import (
        angle_direction_loss,
        angle_magnitude_loss,
        angle_vector_loss,
        direction_loss,
        gradient_vector_loss,
        magnitude_loss,
        reference_direction_loss,
        reference_magnitude_loss,
    )
    from fusejax.losses.config import ObjectiveConfig, ReferenceConfig, RegionConfig, TermConfig
    from fusejax.losses.consistency import consistency_loss
    from fusejax.losses.features import channel_correlation, decomposition_loss
    from fusejax.losses.gradient import (
        axiswise_gradient_loss,
        direction_aware_gradient_loss,
        joint_gradient_loss,
        signed_sum_gradient_loss,
    )
    from fusejax.losses.intensity import intensity_loss, maximum_intensity_loss, square_intensity_loss
    from fusejax.losses.look import (
        chosen_bands_loss,
        flat_texture_loss,
        glare_contrast_loss,
        kept_contrast_loss,
        resolved_base_loss,
        undershoot_loss,
    )
    from fusejax.losses.objective import TERMS, Progress, check_objective, decay_factor, evaluate_objective
    from fusejax.losses.quality import metric_ssim_loss, qabf_loss, scd_loss, vif_loss
    from fusejax.losses.reconstruction import reconstruction_loss
    from fusejax.losses.reference import fine_grained_reference
    from fusejax.losses.region import target_aware_loss
    from fusejax.losses.resolved import Resolved, resolve_pair
    from fusejax.losses.structure import dssim, ssim_loss
    from fusejax.losses.tolerant import tolerant_gradient_loss, tolerant_maximum_loss

__all__ = [
    "TERMS",
    "ObjectiveConfig",
    "Progress",
    "ReferenceConfig",
    "RegionConfig",
    "Resolved",
    "TermConfig",
    "angle_direction_loss",
    "angle_magnitude_loss",
    "angle_vector_loss",
    "axiswise_gradient_loss",
    "channel_correlation",
    "check_objective",
    "chosen_bands_loss",
    "consistency_loss",
    "decay_factor",
    "decomposition_loss",
    "direction_aware_gradient_loss",
    "direction_loss",
    "dssim",
    "evaluate_objective",
    "fine_grained_reference",
    "flat_texture_loss",
    "glare_contrast_loss",
    "gradient_vector_loss",
    "intensity_loss",
    "joint_gradient_loss",
    "kept_contrast_loss",
    "magnitude_loss",
    "maximum_intensity_loss",
    "metric_ssim_loss",
    "qabf_loss",
    "reconstruction_loss",
    "reference_direction_loss",
    "reference_magnitude_loss",
    "resolve_pair",
    "resolved_base_loss",
    "scd_loss",
    "signed_sum_gradient_loss",
    "square_intensity_loss",
    "ssim_loss",
    "target_aware_loss",
    "tolerant_gradient_loss",
    "tolerant_maximum_loss",
    "undershoot_loss",
    "vif_loss",
]
