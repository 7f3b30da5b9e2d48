"""Fine-grained reference against the plain maximum as AngularFuse's intensity target.

fusejax ablate reference --data-root DIR --out OUT [--full-size]

Two variants. Tables: configs/ablations/README.md ("Fine-grained reference").
"""

import dataclasses
from pathlib import Path

from fusejax.evaluation.ablation import Ablation
from fusejax.evaluation.variants import STREET_SETS, street_config, with_objective
from fusejax.losses.config import TermConfig


def get_ablation(data_root: Path, out: Path, full_size: bool) -> Ablation:  # noqa: ARG001
    base = street_config(data_root, full_size=full_size)
    objective = base.stages[-1].objective
    terms = tuple(
        TermConfig("maximum_intensity", term.weight) if term.name == "reference_intensity" else term
        for term in objective.terms
    )
    maximum = with_objective(base, dataclasses.replace(objective, terms=terms))
    return Ablation(
        "AngularFuse's intensity reference", {"75 % edges, 25 % equalized": base, "maximum": maximum}, STREET_SETS
    )
