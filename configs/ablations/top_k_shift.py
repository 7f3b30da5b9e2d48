"""Where does alignment begin to help? CrossFuse's K crossed with an artificial shift of the target.

fusejax ablate top_k_shift --data-root DIR --out OUT [--full-size]

The target's visible images are darkened by a gamma of 1 to 4, those that it is scored on likewise,
and foreign pairs are added as they are, or aligned with K = 25 to 2000 patches. With a gamma of 1
nothing is shifted. Tables: configs/ablations/README.md ("Alignment and the size of the shift").
"""

from pathlib import Path

from fusejax.config import load_config
from fusejax.data.alignment import AlignConfig
from fusejax.evaluation.ablation import Ablation
from fusejax.evaluation.preparation import AlignmentPlan, ShiftedPairs
from fusejax.evaluation.variants import with_data

TARGET, SCORED, AUXILIARY = "roadscene/train", "roadscene/val", "msrs128/train"
CROPS = {"patch_stride": 0, "flips": True}
GAMMAS = (1.0, 2.0, 4.0)
NUMBERS = (25, 50, 100, 200, 800, 2000)


def get_ablation(data_root: Path, out: Path, full_size: bool) -> Ablation:
    base = with_data(load_config("crossfuse" if full_size else "crossfuse_small"), root=str(data_root), **CROPS)
    variants, sets, places, preparations = {}, {}, {}, []
    for gamma in GAMMAS:
        pairs = {
            name: ShiftedPairs(data_root / name, (out / f"gamma_{gamma:g}" / name).absolute(), gamma)
            for name in (TARGET, SCORED)
        }
        target, shift = pairs[TARGET].folder, f"gamma {gamma:g}"
        own = with_data(base, folders=(str(target),))
        foreign = {"auxiliary": AUXILIARY, "shares": (1.0, 1.0)}
        variants |= {f"{shift}, target only": own, f"{shift}, unaligned": with_data(own, **foreign)}
        preparations += pairs.values()
        for k in NUMBERS:
            path = out / f"plan_{gamma:g}_{k}.json"
            preparations.append(AlignmentPlan(target, data_root / AUXILIARY, path, AlignConfig(stride=64, k=k)))
            variants[f"{shift}, K = {k}"] = with_data(own, **foreign, alignment=str(path))
        sets[f"{SCORED}, {shift}"] = f"scored with a {shift}"
        places[f"{SCORED}, {shift}"] = pairs[SCORED].folder
    title = "CrossFuse's alignment and the size of the shift"
    return Ablation(title, variants, sets, shown=0, places=places, preparations=tuple(preparations))
