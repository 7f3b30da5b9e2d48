"""Does AngularFuse's direction term help? fusejax ablate angle --data-root DIR --out OUT [--full-size]"""

import dataclasses
from pathlib import Path

from fusejax.config import load_config
from fusejax.studies.ablation import Ablation

FOLDERS = ("roadscene/train", "msrs128/train")
SETS = {"roadscene/val": "road scenes", "msrs/test_dev": "day and night streets"}


def get_ablation(data_root: Path, out: Path, full_size: bool) -> Ablation:
    base = load_config("angularfuse" if full_size else "angularfuse_small")
    data = dataclasses.replace(base.data, root=str(data_root), folders=FOLDERS, shares=(1.0, 1.0))
    whole = dataclasses.replace(base, data=data)
    objective = base.stages[0].objective
    terms = tuple(term for term in objective.terms if term.name != "angle_direction")
    stage = dataclasses.replace(base.stages[0], objective=dataclasses.replace(objective, terms=terms))
    variants = {"magnitude and direction": whole, "magnitude only": dataclasses.replace(whole, stages=(stage,))}
    return Ablation("AngularFuse's angle-aware loss", variants, SETS)
