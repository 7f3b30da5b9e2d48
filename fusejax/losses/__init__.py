"""Losses: one value per image, `[b]`; the caller averages. Weighted sums come with their named parts."""

import dataclasses
from typing import Literal

from fusejax.filters import sobel
from fusejax.losses.angle import direction_loss, gradient_vector_loss, magnitude_loss, stronger_gradient
from fusejax.losses.intensity import intensity_loss
from fusejax.reference import ReferenceConfig, fine_grained_reference
from fusejax.typing import Luma, PerImage, check_choices


@dataclasses.dataclass(frozen=True)
class AngularObjectiveConfig:
    """L = L_int + gradient_weight * (L_mag + direction_weight * L_dir).

    The paper states intensity plus angle-aware gradient but no weights; 10 is CDDFuse's ratio of gradient to intensity.

    Attributes:
      gradient_source: what the fused gradient is held against: `sources`, at every pixel the stronger of the two
        source gradients, or `reference`, the gradient of the reference image.
      direction_weighting: `magnitude` or `none`, see `losses.angle.direction_loss`.
    """

    gradient_weight: float = 10.0
    direction_weight: float = 1.0
    gradient_source: Literal["sources", "reference"] = "sources"
    direction_weighting: Literal["magnitude", "none"] = "magnitude"
    reference: ReferenceConfig = dataclasses.field(default_factory=ReferenceConfig)

    def __post_init__(self):
        check_choices(self)
        if min(self.gradient_weight, self.direction_weight) < 0:
            raise ValueError(
                f"gradient_weight {self.gradient_weight} and direction_weight {self.direction_weight} "
                "must not be negative; a negative weight rewards wrong edges."
            )


def angularfuse_objective(
    fused_y: Luma, ir: Luma, vi_y: Luma, *, config: AngularObjectiveConfig
) -> tuple[PerImage, dict[str, PerImage]]:
    """AngularFuse's training objective and its unweighted parts `intensity`, `magnitude`, `direction`.

    Args: fused luma and the clean pair in [0, 1]; never the pair masked by ComMask, whose block borders are edges of
      the input only.
    Raises: ValueError where the three differ in shape.
    """
    if not fused_y.shape == ir.shape == vi_y.shape:
        raise ValueError(f"fused_y is {fused_y.shape}, ir {ir.shape}, vi_y {vi_y.shape}; all must be one [b, h, w, 1].")
    reference = fine_grained_reference(ir, vi_y, config=config.reference)
    from_reference = config.gradient_source == "reference"
    target = sobel(reference, padding="edge") if from_reference else stronger_gradient(ir, vi_y)
    fused = sobel(fused_y, padding="edge")
    parts = {
        "intensity": intensity_loss(fused_y, reference),
        "magnitude": magnitude_loss(fused, target),
        "direction": direction_loss(fused, target, weighting=config.direction_weighting),
    }
    angle = parts["magnitude"] + config.direction_weight * parts["direction"]
    return parts["intensity"] + config.gradient_weight * angle, parts


__all__ = [
    "AngularObjectiveConfig",
    "angularfuse_objective",
    "direction_loss",
    "gradient_vector_loss",
    "intensity_loss",
    "magnitude_loss",
    "stronger_gradient",
]
