"""Do complementary masks help, and of which size? fusejax ablate com_mask --data-root DIR --out OUT [--full-size]"""

import dataclasses
from pathlib import Path

from fusejax.config import load_config
from fusejax.data.config import ComMaskConfig
from fusejax.studies.ablation import Ablation

FOLDERS = ("roadscene/train", "msrs128/train")
SETS = {"roadscene/val": "road scenes", "msrs/test_dev": "day and night streets"}
PATCH_SIZES = (8, 16, 32)


def get_ablation(data_root: Path, out: Path, full_size: bool) -> Ablation:
    base = load_config("angularfuse" if full_size else "angularfuse_small")

    def variant(masks: ComMaskConfig | None):
        options = {"root": str(data_root), "folders": FOLDERS, "shares": (1.0, 1.0), "com_mask": masks}
        return dataclasses.replace(base, data=dataclasses.replace(base.data, **options))

    sizes = {f"patches of {k}": variant(ComMaskConfig(patch_sizes=(k,))) for k in PATCH_SIZES}
    variants = {"no masks": variant(None), "as the paper": variant(ComMaskConfig())} | sizes
    return Ablation("AngularFuse's complementary masks", variants, SETS)
