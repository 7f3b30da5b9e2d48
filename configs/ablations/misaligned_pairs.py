"""Training pairs that do not line up: deformed inputs, deformed pairs, and tolerant terms.

fusejax ablate misaligned_pairs --data-root DIR --out OUT [--full-size]

The light network with a plain objective of maximum and gradient, on pairs that line up; with
deformed inputs, while the objective sees the registered pair; and on deformed pairs, as in data
that nobody registered, with the plain terms and with their shift-tolerant forms. All are scored on
pairs that line up. No table of it is stored yet.
"""

import dataclasses
from pathlib import Path

from fusejax.config import TrainConfig
from fusejax.data.config import AugmentConfig
from fusejax.evaluation.ablation import Ablation
from fusejax.evaluation.variants import LIGHT_SETS, light_config, with_data, with_objective
from fusejax.losses.config import ObjectiveConfig, TermConfig

DEFORMATION = {"corners": 3.0, "elastic": 0.7}
RADIUS = 3


def get_ablation(data_root: Path, out: Path, full_size: bool) -> Ablation:  # noqa: ARG001
    base = light_config(data_root, full_size=full_size)
    terms = TermConfig("maximum_intensity"), TermConfig("joint_gradient", 0.5, {"padding": "valid"})
    plain = with_objective(base, ObjectiveConfig(terms))
    radius = {"radius": RADIUS}
    tolerant = with_objective(
        base,
        ObjectiveConfig((TermConfig("tolerant_maximum", 1.0, radius), TermConfig("tolerant_gradient", 0.5, radius))),
    )
    variants = {
        "pairs that line up": plain,
        "deformed inputs": _deformed(plain, "input"),
        "deformed pairs": _deformed(plain, "pair"),
        "deformed pairs, tolerant": _deformed(tolerant, "pair"),
        "pairs that line up, tolerant": tolerant,
    }
    return Ablation("Pairs that do not line up", variants, LIGHT_SETS)


def _deformed(config: TrainConfig, what: str) -> TrainConfig:
    augment = config.data.augment or AugmentConfig()
    return with_data(config, augment=dataclasses.replace(augment, **DEFORMATION, deformed=what))
