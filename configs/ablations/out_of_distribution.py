"""Does foreign data help on sets that training has not seen, and does aligning it? CrossFuse's question on real pairs.

fusejax ablate out_of_distribution --data-root DIR --out OUT [--full-size]

Trains on RoadScene alone, with foreign pairs as they are, and with foreign patches chosen and corrected by Top-K
alignment, each with and without the consistency term, for the same number of steps.
"""

import dataclasses
from pathlib import Path

from fusejax.cli.align import AlignOptions, align_command
from fusejax.config import TrainConfig, load_config
from fusejax.data.alignment import AlignConfig
from fusejax.data.config import DataConfig
from fusejax.studies.ablation import Ablation

TARGET, AUXILIARY = "roadscene/train", "msrs128/train"
SETS = {
    "roadscene/val": "in distribution",
    "tno/test_dev": "out of it",
    "vifb/test_dev": "out of it",
    "msrs/test_dev": "the auxiliary's own",
}
DATA = ("target only", "unaligned", "aligned")


def get_ablation(data_root: Path, out: Path, full_size: bool) -> Ablation:
    plan = out / "plan.json"
    if not plan.exists():
        # Small frames hold one patch at the published stride; a stride of one patch leaves something to choose from.
        align = AlignConfig(stride=64)
        align_command(AlignOptions(data_root / TARGET, data_root / AUXILIARY, plan, config=align))
    variants = {
        f"{data} {'with' if consistency else 'without'} consistency": variant(
            data, plan, data_root, consistency=consistency, full_size=full_size
        )
        for data in DATA
        for consistency in (False, True)
    }
    return Ablation("CrossFuse, training data and consistency term", variants, SETS)


def variant(data: str, plan: Path, data_root: Path, *, consistency: bool, full_size: bool) -> TrainConfig:
    config = load_config("crossfuse" if full_size else "crossfuse_small")
    stages = list(config.stages)
    if not consistency:
        objective = stages[1].objective
        terms = tuple(term for term in objective.terms if term.name != "consistency")
        stages[1] = dataclasses.replace(stages[1], objective=dataclasses.replace(objective, terms=terms))
    foreign = {} if data == "target only" else {"auxiliary": AUXILIARY, "shares": (1.0, 1.0)}
    if data == "aligned":
        foreign["alignment"] = str(plan)
    pairs = DataConfig(root=str(data_root), folders=(TARGET,), crop=64, com_mask=None, **foreign)
    return dataclasses.replace(config, stages=tuple(stages), data=pairs)
