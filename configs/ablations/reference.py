"""Fine-grained reference against the plain maximum: fusejax ablate reference --data-root DIR --out OUT [--full-size]"""

import dataclasses
from pathlib import Path

from fusejax.config import load_config
from fusejax.losses import TermConfig
from fusejax.studies.ablation import Ablation

FOLDERS = ("roadscene/train", "msrs128/train")
SETS = {"roadscene/val": "road scenes", "msrs/test_dev": "day and night streets"}


def get_ablation(data_root: Path, out: Path, full_size: bool) -> Ablation:
    base = load_config("angularfuse" if full_size else "angularfuse_small")
    data = dataclasses.replace(base.data, root=str(data_root), folders=FOLDERS, shares=(1.0, 1.0))
    fine = dataclasses.replace(base, data=data)
    objective = base.stages[0].objective
    terms = tuple(
        TermConfig("maximum_intensity", term.weight) if term.name == "reference_intensity" else term
        for term in objective.terms
    )
    stage = dataclasses.replace(base.stages[0], objective=dataclasses.replace(objective, terms=terms))
    variants = {"75 % edges, 25 % equalised": fine, "maximum": dataclasses.replace(fine, stages=(stage,))}
    return Ablation("AngularFuse's intensity reference", variants, SETS)
