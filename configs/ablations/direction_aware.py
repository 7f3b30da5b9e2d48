"""The direction-aware gradient loss under its own weights, on two networks (arXiv 2510.13067).

fusejax ablate direction_aware --data-root DIR --out OUT [--full-size]

All variants have the paper's weights: 1.5 SSIM, 7 intensity (the maximum of the sources), 1.5
gradient. On AngularFuse's U-Net, the loss is compared with its three baselines and with its own
options: numbers of scales, golden weights, antialiasing, soft gate, padding. On FusionNet, with the
baselines. Tables: configs/ablations/README.md ("Direction-aware loss under its own weights").
"""

import dataclasses
from pathlib import Path

from fusejax.config import load_config
from fusejax.evaluation.ablation import Ablation
from fusejax.evaluation.variants import STREET_SETS, street_config, with_objective
from fusejax.losses.config import ObjectiveConfig, TermConfig
from fusejax.losses.gradient import GOLDEN_WEIGHTS

WEIGHTS = {"ssim": 1.5, "maximum_intensity": 7.0}
GRADIENT = 1.5
AWARE = "direction_aware_gradient"
LOSSES = {
    "direction-aware": (AWARE, {}),
    "conventional": ("joint_gradient", {}),
    "axis-wise magnitude": ("axiswise_gradient", {}),
    "TC-MoA signed sum": ("signed_sum_gradient", {}),
}
OPTIONS = {
    "one scale": {"weights": (1.0,)},
    "two scales": {"weights": (0.5, 0.5)},
    "golden weights": {"weights": GOLDEN_WEIGHTS},
    "antialias": {"antialias": True},
    "soft gate": {"gate": "soft"},
    "edge padding": {"padding": "edge"},
}


def get_ablation(data_root: Path, out: Path, full_size: bool) -> Ablation:  # noqa: ARG001
    base = street_config(data_root, full_size=full_size)
    guest = load_config("fusionnet" if full_size else "fusionnet_small")
    data = dataclasses.replace(base.data, com_mask=None)
    # Both networks see the same crops, for the same number of steps.
    base = dataclasses.replace(base, data=data)
    host = dataclasses.replace(base, name="direction_aware_fusionnet", model=guest.model)
    losses = LOSSES | {name: (AWARE, options) for name, options in OPTIONS.items()}
    variants = {name: _with_gradient(base, *loss) for name, loss in losses.items()}
    variants |= {f"FusionNet, {name}": _with_gradient(host, *loss) for name, loss in LOSSES.items()}
    return Ablation("The direction-aware loss under its own weights", variants, STREET_SETS)


def _with_gradient(config, term: str, options: dict):
    terms = [TermConfig(name, weight) for name, weight in WEIGHTS.items()]
    return with_objective(config, ObjectiveConfig((*terms, TermConfig(term, GRADIENT, options))))
