"""Do complementary masks help, and which patch size is best?

fusejax ablate com_mask --data-root DIR --out OUT [--full-size]

Five variants. Tables: configs/ablations/README.md ("Complementary masks").
"""

from pathlib import Path

from fusejax.data.config import ComMaskConfig
from fusejax.evaluation.ablation import Ablation
from fusejax.evaluation.variants import STREET_SETS, street_config, with_data

PATCH_SIZES = (8, 16, 32)


def get_ablation(data_root: Path, out: Path, full_size: bool) -> Ablation:  # noqa: ARG001
    base = street_config(data_root, full_size=full_size)
    masks = {"no masks": None, "as the paper": ComMaskConfig()}
    masks |= {f"patches of {k}": ComMaskConfig(patch_sizes=(k,)) for k in PATCH_SIZES}
    variants = {name: with_data(base, com_mask=config) for name, config in masks.items()}
    return Ablation("AngularFuse's complementary masks", variants, STREET_SETS)
