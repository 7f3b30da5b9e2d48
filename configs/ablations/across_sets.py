"""Train on one set, test on the others: four networks.

fusejax ablate across_sets --data-root DIR --out OUT [--full-size]

Each network is trained on RoadScene, on MSRS, on both and on synthetic streets, for the same number
of steps, and scored on six sets, none of which it saw. Tables: configs/ablations/README.md ("Train
on one set, test on the others").
"""

from pathlib import Path

from fusejax.config import load_config
from fusejax.evaluation.ablation import Ablation
from fusejax.evaluation.variants import light_config, with_data, without_term

NETWORKS = ("angularfuse", "crossfuse", "fusionnet")
TRAINED_ON = {
    "RoadScene": {"folders": ("roadscene/train",)},
    "MSRS": {"folders": ("msrs128/train",)},
    "both": {"folders": ("roadscene/train", "msrs128/train"), "shares": (1.0, 1.0)},
    "synthetic": {"folders": (), "synthetic": 1000},
}
SETS = {
    "roadscene/val": "road scenes",
    "msrs/test_dev": "day and night streets",
    "tno/test_dev": "military scenes",
    "vifb/test_dev": "surveillance",
    "m3fd/test_dev": "streets, 1024x768",
    "llvip/test_dev": "night streets from above",
}
CROPS = {"patch_stride": 0, "flips": True}


def get_ablation(data_root: Path, out: Path, full_size: bool) -> Ablation:  # noqa: ARG001
    bases = {"light": light_config(data_root, full_size=full_size)}
    bases |= {name: load_config(name if full_size else f"{name}_small") for name in NETWORKS}
    bases["fusionnet"] = without_term(bases["fusionnet"], "target_aware")  # the real sets have no boxes
    variants = {}
    for network, config in bases.items():
        own = with_data(config, crop=64, max_boxes=0, box_share=0.0, **CROPS)
        for trained_on, data in TRAINED_ON.items():
            root = str(data_root) if data["folders"] else ""
            variants[f"{network}, {trained_on}"] = with_data(own, **{"root": root, "shares": (), **data})
    return Ablation("Train on one set, test on the others", variants, SETS, shown=0)
