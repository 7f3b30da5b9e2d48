"""CrossFuse's views and paths: what is the aggressive view, and what does each path do?

fusejax ablate crossfuse_parts --data-root DIR --out OUT [--full-size]

The recipe on the target alone; other aggressive views; one path removed in training, or the paths'
parts exchanged (the paper's Table VI). Tables: configs/ablations/README.md ("CrossFuse's parts").
"""

import dataclasses
from pathlib import Path

from fusejax.config import TrainConfig, load_config
from fusejax.evaluation.ablation import Ablation
from fusejax.evaluation.variants import with_data, with_objective, without_term

TARGET = "roadscene/train"
# Not the author's grid, which would use only one patch of each of these small images.
CROPS = {"patch_stride": 0, "flips": True}
SETS = {"roadscene/val": "in distribution", "tno/test_dev": "out of distribution"}
VIEWS = ("jpeg", "noise", "cutout")
PATHS = {"no short path": "long", "no long path": "short", "paths exchanged": "exchanged"}


def get_ablation(data_root: Path, out: Path, full_size: bool) -> Ablation:  # noqa: ARG001
    base = load_config("crossfuse" if full_size else "crossfuse_small")
    base = with_data(base, root=str(data_root), folders=(TARGET,), **CROPS)
    variants = {"blur (recipe)": base, "no view": without_term(base, "consistency")}
    variants |= {view: _with_view(base, view) for view in VIEWS}
    variants |= {
        name: dataclasses.replace(base, model=dataclasses.replace(base.model, paths=paths))
        for name, paths in PATHS.items()
    }
    return Ablation("CrossFuse's views and paths", variants, SETS)


def _with_view(config: TrainConfig, view: str) -> TrainConfig:
    objective = config.stages[-1].objective
    terms = tuple(
        dataclasses.replace(term, options=term.options | {"view": view}) if term.name == "consistency" else term
        for term in objective.terms
    )
    return with_objective(config, dataclasses.replace(objective, terms=terms))
