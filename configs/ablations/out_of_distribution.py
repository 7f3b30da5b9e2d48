"""Does foreign data help on unseen sets, and does aligning it help? CrossFuse's question.

fusejax ablate out_of_distribution --data-root DIR --out OUT [--full-size]

Trains on RoadScene alone, with unmodified foreign pairs, and with foreign patches selected and
corrected by Top-K alignment, each with and without the consistency term, for the same number of
steps. Tables: configs/crossfuse.md.
"""

from pathlib import Path

from fusejax.config import load_config
from fusejax.data.alignment import AlignConfig
from fusejax.evaluation.ablation import Ablation
from fusejax.evaluation.preparation import AlignmentPlan
from fusejax.evaluation.variants import with_data, without_term

TARGET, AUXILIARY = "roadscene/train", "msrs128/train"
# Not the author's grid, which would use only one patch of each of these small auxiliary images.
CROPS = {"patch_stride": 0, "flips": True}
SETS = {
    "roadscene/val": "in distribution",
    "tno/test_dev": "out of distribution",
    "vifb/test_dev": "out of distribution",
    "msrs/test_dev": "the auxiliary set",
}
# Small images contain only one patch at the published stride; this stride gives several to choose
# from.
ALIGN = AlignConfig(stride=64)


def get_ablation(data_root: Path, out: Path, full_size: bool) -> Ablation:
    plan = AlignmentPlan(data_root / TARGET, data_root / AUXILIARY, out / "plan.json", ALIGN)
    foreign = {"auxiliary": AUXILIARY, "shares": (1.0, 1.0)}
    data = {"target only": {}, "unaligned": foreign, "aligned": foreign | {"alignment": str(plan.path)}}
    base = load_config("crossfuse" if full_size else "crossfuse_small")
    variants = {}
    for name, changes in data.items():
        whole = with_data(base, root=str(data_root), folders=(TARGET,), **CROPS, **changes)
        variants[f"{name} without consistency"] = without_term(whole, "consistency")
        variants[f"{name} with consistency"] = whole
    title = "CrossFuse, training data and consistency term"
    return Ablation(title, variants, SETS, preparations=(plan,))
