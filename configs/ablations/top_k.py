"""How many aligned patches? CrossFuse's K.

fusejax ablate top_k --data-root DIR --out OUT [--full-size]

Four variants. Tables: configs/ablations/README.md ("How many aligned patches").
"""

from pathlib import Path

from fusejax.config import load_config
from fusejax.data.alignment import AlignConfig
from fusejax.evaluation.ablation import Ablation
from fusejax.evaluation.preparation import AlignmentPlan
from fusejax.evaluation.variants import with_data

TARGET, AUXILIARY = "roadscene/train", "msrs128/train"
# Not the author's grid, which would use only one patch of each of these small auxiliary images.
CROPS = {"patch_stride": 0, "flips": True}
SETS = {"roadscene/val": "in distribution", "tno/test_dev": "out of distribution", "vifb/test_dev": "out of it"}
NUMBERS = (200, 800, 2000)


def get_ablation(data_root: Path, out: Path, full_size: bool) -> Ablation:
    base = load_config("crossfuse" if full_size else "crossfuse_small")
    base = with_data(base, root=str(data_root), folders=(TARGET,), **CROPS)
    plans = {
        k: AlignmentPlan(data_root / TARGET, data_root / AUXILIARY, out / f"plan_{k}.json", AlignConfig(stride=64, k=k))
        for k in NUMBERS
    }
    aligned = {
        f"K = {k}": with_data(base, auxiliary=AUXILIARY, alignment=str(plan.path), shares=(1.0, 1.0))
        for k, plan in plans.items()
    }
    title = "CrossFuse, number of aligned patches"
    return Ablation(title, {"none": base} | aligned, SETS, preparations=tuple(plans.values()))
