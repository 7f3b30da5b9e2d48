"""Losses: pure functions with one value per image, `[b]`; the caller averages. Objectives are lists of them."""

from fusejax.losses.objective import (
    TERMS,
    ObjectiveConfig,
    Progress,
    RegionConfig,
    TermConfig,
    check_objective,
    decay_factor,
    evaluate_objective,
)

__all__ = [
    "TERMS",
    "ObjectiveConfig",
    "Progress",
    "RegionConfig",
    "TermConfig",
    "check_objective",
    "decay_factor",
    "evaluate_objective",
]
