"""Does target-aware supervision help with few or imprecise boxes? FusionNet's open question.

fusejax ablate target_aware --data-root DIR --out OUT [--full-size]

Trains on synthetic pairs, whose boxes are exact; some variants see only some of the boxes, or boxes
with shifted edges. Crops are drawn independently of the boxes, so that all variants see the same
ones. The variants are scored with all true boxes on other synthetic pairs (written below OUT), and
on real pairs without boxes, which shows the cost of the term. Tables: configs/ablations/README.md
("Target-aware supervision").
"""

from pathlib import Path

from fusejax.config import load_config
from fusejax.evaluation.ablation import Ablation
from fusejax.evaluation.preparation import BoxedPairs
from fusejax.evaluation.variants import with_data, without_term

HELD_OUT = "synthetic"
SETS = {HELD_OUT: "synthetic streets with all their boxes", "msrs/test_dev": "day and night streets without boxes"}
BOXES = {
    "all boxes": {},
    "50 % of the boxes": {"box_keep": 0.5},
    "10 % of the boxes": {"box_keep": 0.1},
    "edges 20 % off": {"box_jitter": 0.2},
}


def get_ablation(data_root: Path, out: Path, full_size: bool) -> Ablation:  # noqa: ARG001
    pairs, scored, size, workers = (2000, 24, (256, 320), 8) if full_size else (200, 12, (128, 160), 0)
    # Absolute, because relative sets are resolved below the data root.
    held_out = BoxedPairs((out / f"{HELD_OUT}_{size[0]}x{size[1]}").absolute(), scored, size)
    base = load_config("fusionnet" if full_size else "fusionnet_small")
    base = with_data(base, synthetic=pairs, box_share=0.0, workers=workers)
    variants = {"no term": without_term(base, "target_aware")}
    variants |= {name: with_data(base, **options) for name, options in BOXES.items()}
    return Ablation(
        "FusionNet's target-aware term and the boxes it is given",
        variants,
        SETS,
        boxed={HELD_OUT: held_out.folder},
        preparations=(held_out,),
    )
