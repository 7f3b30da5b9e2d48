"""How many aligned patches? CrossFuse's K: fusejax ablate top_k --data-root DIR --out OUT [--full-size]"""

import dataclasses
from pathlib import Path

from fusejax.cli.align import AlignOptions, align_command
from fusejax.config import TrainConfig, load_config
from fusejax.data.alignment import AlignConfig
from fusejax.data.config import DataConfig
from fusejax.studies.ablation import Ablation

TARGET, AUXILIARY = "roadscene/train", "msrs128/train"
SETS = {"roadscene/val": "in distribution", "tno/test_dev": "out of it", "vifb/test_dev": "out of it"}
NUMBERS = (200, 800, 2000)


def get_ablation(data_root: Path, out: Path, full_size: bool) -> Ablation:
    variants = {"none": variant(None, data_root, full_size)}
    for k in NUMBERS:
        plan = out / f"plan_{k}.json"
        if not plan.exists():
            config = AlignConfig(stride=64, k=k)
            align_command(AlignOptions(data_root / TARGET, data_root / AUXILIARY, plan, config=config))
        variants[f"K = {k}"] = variant(plan, data_root, full_size)
    return Ablation("CrossFuse, number of aligned patches", variants, SETS)


def variant(plan: Path | None, data_root: Path, full_size: bool) -> TrainConfig:
    foreign = {"auxiliary": AUXILIARY, "alignment": str(plan), "shares": (1.0, 1.0)} if plan else {}
    data = DataConfig(root=str(data_root), folders=(TARGET,), crop=64, com_mask=None, **foreign)
    return dataclasses.replace(load_config("crossfuse" if full_size else "crossfuse_small"), data=data)
