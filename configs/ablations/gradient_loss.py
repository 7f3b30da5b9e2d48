"""Five gradient losses on the AngularFuse U-Net: fusejax ablate gradient_loss --data-root DIR --out OUT [--full-size]

The question of arXiv 2510.13067. All have the same intensity term (the maximum of the sources) and the same weight, 10:
their Sobel kernels are alike and none is normalised. The angle-aware loss has its two terms at 10 each.
"""

import dataclasses
from pathlib import Path

from fusejax.config import load_config
from fusejax.losses import ObjectiveConfig, TermConfig
from fusejax.studies.ablation import Ablation

FOLDERS = ("roadscene/train", "msrs128/train")
SETS = {"roadscene/val": "road scenes", "msrs/test_dev": "day and night streets"}
LOSSES = {
    "conventional": ("joint_gradient",),
    "axis-wise magnitude": ("axiswise_gradient",),
    "TC-MoA signed sum": ("signed_sum_gradient",),
    "direction-aware multi-scale": ("direction_aware_gradient",),
    "angle-aware": ("angle_magnitude", "angle_direction"),
}


def get_ablation(data_root: Path, out: Path, full_size: bool) -> Ablation:
    base = load_config("angularfuse" if full_size else "angularfuse_small")
    data = dataclasses.replace(base.data, root=str(data_root), folders=FOLDERS, shares=(1.0, 1.0))

    def variant(terms: tuple[str, ...]):
        weighted = (TermConfig("maximum_intensity"), *(TermConfig(name, 10.0) for name in terms))
        stage = dataclasses.replace(base.stages[0], objective=ObjectiveConfig(weighted))
        return dataclasses.replace(base, stages=(stage,), data=data)

    return Ablation("Gradient losses on the AngularFuse U-Net", {k: variant(v) for k, v in LOSSES.items()}, SETS)
