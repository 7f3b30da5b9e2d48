"""The shape of the light network: cell size, width, blocks, and removal of each part.

fusejax ablate light_shape --data-root DIR --out OUT [--full-size]

The shipped network (cells of 4, 24 channels, 3 blocks), ten variants that each change one thing,
and one with two scales. Short runs on small crops from random parameters. Tables:
configs/ablations/README.md ("The shape of the light network").
"""

import dataclasses
from pathlib import Path

from fusejax.evaluation.ablation import Ablation
from fusejax.evaluation.variants import LIGHT_SETS, light_config

CHANGES = {
    "shipped": {},
    "cells of 2": {"cell": 2},
    "cells of 8": {"cell": 8},
    "no pooled term": {"pooled": False},
    "no contrast guide": {"contrast_guide": False},
    "no detail": {"detail": 0.0},
    "16 channels": {"width": 16},
    "32 channels": {"width": 32},
    "2 blocks": {"blocks": 2},
    "4 blocks": {"blocks": 4},
    "depth-wise": {"depthwise": True},
    "two scales": {"width": 16, "blocks": 2, "coarse_cell": 16},
}


def get_ablation(data_root: Path, out: Path, full_size: bool) -> Ablation:  # noqa: ARG001
    base = light_config(data_root, full_size=full_size)
    variants = {
        name: dataclasses.replace(base, model=dataclasses.replace(base.model, **change))
        for name, change in CHANGES.items()
    }
    return Ablation("The shape of the light network", variants, LIGHT_SETS)
