"""AngularFuse's parts: each term, the cosine, the reference, the blocks, the masks.

fusejax ablate angular_parts --data-root DIR --out OUT [--full-size]

The recipe, and variants that each change one thing. Residual blocks without attention have about
the FLOPs of the blocks that they replace (-8 % at the small size, -7 % at full size). Tables:
configs/ablations/README.md ("AngularFuse's parts").
"""

import dataclasses
from pathlib import Path

from fusejax.config import TrainConfig
from fusejax.data.config import ComMaskConfig
from fusejax.evaluation.ablation import Ablation
from fusejax.evaluation.variants import STREET_SETS, street_config, with_data, with_objective, without_term
from fusejax.losses.config import ReferenceConfig, TermConfig

REFERENCES = {
    "reference 100/0": ReferenceConfig(edge_weight=1.0, equalized_weight=0.0),
    "reference 0/100": ReferenceConfig(edge_weight=0.0, equalized_weight=1.0),
    "reference 50/50": ReferenceConfig(edge_weight=0.5, equalized_weight=0.5),
    "plain equalization": ReferenceConfig(equalization="global"),
}
MASKS = {
    "masks keep 0.25": ComMaskConfig(keep=0.25),
    "masks keep 0.75": ComMaskConfig(keep=0.75),
    "masks always": ComMaskConfig(probability=1.0),
    "masks filled with the mean": ComMaskConfig(fill="mean"),
    "random masks": ComMaskConfig(variant="random"),
}


def get_ablation(data_root: Path, out: Path, full_size: bool) -> Ablation:  # noqa: ARG001
    base = street_config(data_root, full_size=full_size)
    blocks = dataclasses.replace(base.model, attention=False, residual_blocks=5 if full_size else 4)
    variants = {
        "recipe": base,
        "no intensity": without_term(base, "reference_intensity"),
        "no magnitude": without_term(base, "angle_magnitude"),
        "no direction": without_term(base, "angle_direction"),
        "absolute cosine": _with_terms(base, {"angle_direction": ("angle_direction", {"signed": False})}),
        "direction not weighted": _with_terms(base, {"angle_direction": ("angle_direction", {"weighting": "none"})}),
        "gradient of the reference": _with_terms(
            base,
            {"angle_magnitude": ("reference_magnitude", {}), "angle_direction": ("reference_direction", {})},
        ),
        "one vector term": _with_terms(
            without_term(base, "angle_direction"), {"angle_magnitude": ("angle_vector", {})}
        ),
        "residual blocks alone": dataclasses.replace(base, model=blocks),
    }
    variants |= {name: _with_reference(base, reference) for name, reference in REFERENCES.items()}
    variants |= {name: with_data(base, com_mask=mask) for name, mask in MASKS.items()}
    return Ablation("AngularFuse's parts", variants, STREET_SETS)


def _with_terms(config: TrainConfig, changes: dict) -> TrainConfig:
    """The configuration with other functions and options for some terms."""
    objective = config.stages[-1].objective
    terms = tuple(
        TermConfig(changes[term.name][0], term.weight, changes[term.name][1]) if term.name in changes else term
        for term in objective.terms
    )
    return with_objective(config, dataclasses.replace(objective, terms=terms))


def _with_reference(config: TrainConfig, reference: ReferenceConfig) -> TrainConfig:
    return with_objective(config, dataclasses.replace(config.stages[-1].objective, reference=reference))
