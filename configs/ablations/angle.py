"""Does AngularFuse's direction term help?

fusejax ablate angle --data-root DIR --out OUT [--full-size]

Two variants. Tables: configs/ablations/README.md ("Angle-aware against magnitude only").
"""

from pathlib import Path

from fusejax.evaluation.ablation import Ablation
from fusejax.evaluation.variants import STREET_SETS, street_config, without_term


def get_ablation(data_root: Path, out: Path, full_size: bool) -> Ablation:  # noqa: ARG001
    base = street_config(data_root, full_size=full_size)
    variants = {"magnitude and direction": base, "magnitude only": without_term(base, "angle_direction")}
    return Ablation("AngularFuse's angle-aware loss", variants, STREET_SETS)
