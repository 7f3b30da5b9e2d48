"""Two variants of the tiny configuration, for tests of `fusejax ablate`."""

import dataclasses
from pathlib import Path

from fusejax.config import load_config
from fusejax.evaluation.ablation import Ablation
from fusejax.losses import ObjectiveConfig, TermConfig


def get_ablation(data_root: Path, out: Path, full_size: bool) -> Ablation:
    tiny = load_config(str(Path(__file__).parent / "tiny.py"))

    def variant(term: str):
        objective = ObjectiveConfig((TermConfig("maximum_intensity"), TermConfig(term)))
        stage = dataclasses.replace(tiny.stages[0], objective=objective, steps=4 if full_size else 1)
        return dataclasses.replace(tiny, stages=(stage,))

    variants = {"conventional": variant("joint_gradient"), "per axis": variant("axiswise_gradient")}
    return Ablation("Tiny networks", variants, {"val": "made up"}, shown=1)
