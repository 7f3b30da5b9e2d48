"""Does target-aware supervision help with few or imprecise boxes? FusionNet's open question, on made-up pairs.

fusejax ablate target_aware --data-root DIR --out OUT [--full-size]

Trains on made-up pairs, whose boxes are exact; some variants see only a share of them, or shifted edges. Crops are
drawn without regard to boxes, so that all variants see the same ones. Scored with all true boxes on other made-up pairs
(written below OUT), and on real pairs without boxes, where one sees what the term costs.
"""

import dataclasses
from pathlib import Path

from fusejax.config import TrainConfig, load_config
from fusejax.data.synthetic import write_synthetic_folder
from fusejax.studies.ablation import Ablation

HELD_OUT = "synthetic"
SETS = {HELD_OUT: "made-up streets with all their boxes", "msrs/test_dev": "day and night streets without boxes"}
BOXES = {
    "all boxes": {},
    "50 % of the boxes": {"box_keep": 0.5},
    "10 % of the boxes": {"box_keep": 0.1},
    "edges 20 % off": {"box_jitter": 0.2},
}


def get_ablation(data_root: Path, out: Path, full_size: bool) -> Ablation:
    base = load_config("fusionnet" if full_size else "fusionnet_small")
    pairs, scored, size = (2000, 24, (256, 320)) if full_size else (200, 12, (128, 160))
    held_out = out / f"{HELD_OUT}_{size[0]}x{size[1]}"
    if len(list((held_out / "boxes").glob("*.json"))) < scored:  # each pair's last file
        write_synthetic_folder(held_out, count=scored, size=size, seed=1, boxes=True)
    data = dataclasses.replace(base.data, synthetic=pairs, box_share=0.0, workers=8 if full_size else 0)
    whole = dataclasses.replace(base, data=data)
    variants = {"no term": without_term(whole)} | {
        name: dataclasses.replace(whole, data=dataclasses.replace(data, **options)) for name, options in BOXES.items()
    }
    # Absolute, because sets are looked for below the data root.
    boxed = {HELD_OUT: held_out.absolute()}
    return Ablation("FusionNet's target-aware term and the boxes it is given", variants, SETS, boxed=boxed)


def without_term(config: TrainConfig) -> TrainConfig:
    (stage,) = config.stages
    terms = tuple(term for term in stage.objective.terms if term.name != "target_aware")
    objective = dataclasses.replace(stage.objective, terms=terms)
    return dataclasses.replace(config, stages=(dataclasses.replace(stage, objective=objective),))
