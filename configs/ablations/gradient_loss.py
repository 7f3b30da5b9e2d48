"""Five gradient losses on the AngularFuse U-Net: the question of arXiv 2510.13067.

fusejax ablate gradient_loss --data-root DIR --out OUT [--full-size]

All variants have the same intensity term (the maximum of the sources) and the same gradient weight,
10, since they use the same Sobel kernels, none of which is normalized. The angle-aware loss has two
terms with a weight of 10 each. Tables: configs/ablations/README.md ("Five gradient losses").
"""

from pathlib import Path

from fusejax.evaluation.ablation import Ablation
from fusejax.evaluation.variants import STREET_SETS, street_config, with_objective
from fusejax.losses.config import ObjectiveConfig, TermConfig

LOSSES = {
    "conventional": ("joint_gradient",),
    "axis-wise magnitude": ("axiswise_gradient",),
    "TC-MoA signed sum": ("signed_sum_gradient",),
    "direction-aware multi-scale": ("direction_aware_gradient",),
    "angle-aware": ("angle_magnitude", "angle_direction"),
}


def get_ablation(data_root: Path, out: Path, full_size: bool) -> Ablation:  # noqa: ARG001
    base = street_config(data_root, full_size=full_size)
    intensity = TermConfig("maximum_intensity")
    objectives = {
        name: ObjectiveConfig((intensity, *(TermConfig(term, 10.0) for term in terms)))
        for name, terms in LOSSES.items()
    }
    variants = {name: with_objective(base, objective) for name, objective in objectives.items()}
    return Ablation("Gradient losses on the AngularFuse U-Net", variants, STREET_SETS)
