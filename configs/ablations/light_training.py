"""How the light network is trained: averaging, crops, data shares and augmentation.

fusejax ablate light_training --data-root DIR --out OUT [--full-size]

Variants of the shipped recipe, each of which changes one thing. Short runs on small crops from
random parameters. Tables: configs/ablations/README.md ("How the light network is trained").
"""

import dataclasses
from pathlib import Path

from fusejax.data.config import AugmentConfig
from fusejax.evaluation.ablation import Ablation
from fusejax.evaluation.variants import LIGHT_SETS, light_config, with_data


def get_ablation(data_root: Path, out: Path, full_size: bool) -> Ablation:  # noqa: ARG001
    base = light_config(data_root, full_size=full_size)
    crop, augment = base.data.crop, base.data.augment or AugmentConfig()

    def augmented(**changes):
        return with_data(base, augment=dataclasses.replace(augment, **changes))

    variants = {
        "shipped": base,
        "no averaging": dataclasses.replace(base, average_decay=0.0),
        "crops of half the side": with_data(base, crop=crop // 2),
        "crops of twice the side": with_data(base, crop=crop * 2),
        "mostly RoadScene": with_data(base, shares=(0.9, 0.1)),
        "mostly MSRS": with_data(base, shares=(0.1, 0.9)),
        "no augmentation": augmented(brightness=0.0, contrast=0.0, glare=0.0),
        "no glare": augmented(glare=0.0),
        "noise": augmented(noise=0.05),
        "misalignment": augmented(misalignment=2),
    }
    return Ablation("How the light network is trained", variants, LIGHT_SETS)
