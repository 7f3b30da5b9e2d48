"""What each metric adds to the light network's objective, numerically and visually.

fusejax ablate metric_objective --data-root DIR --out OUT --seeds 3 [--full-size]

The reference terms alone, with each of the metric terms, and with all of them as shipped. Tables:
configs/ablations/README.md ("Metrics as terms").
"""

import dataclasses
from pathlib import Path

from fusejax.evaluation.ablation import Ablation
from fusejax.evaluation.variants import LIGHT_SETS, light_config, with_objective

METRICS = {"qabf": "Qabf", "metric_ssim": "SSIM", "scd": "SCD", "vif": "VIF"}


def get_ablation(data_root: Path, out: Path, full_size: bool) -> Ablation:  # noqa: ARG001
    base = light_config(data_root, full_size=full_size)
    objective = base.stages[-1].objective

    def with_metrics(*names: str):
        terms = tuple(t for t in objective.terms if t.name not in METRICS or t.name in names)
        return with_objective(base, dataclasses.replace(objective, terms=terms))

    variants = {"reference alone": with_metrics()}
    variants |= {f"with {label}": with_metrics(name) for name, label in METRICS.items()}
    return Ablation("Metrics as terms", variants | {"with all (shipped)": base}, LIGHT_SETS)
