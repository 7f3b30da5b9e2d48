"""Losses: pure functions with one value per image, `[b]`; the caller averages. Objectives are lists of them."""

from etils import epy

with epy.lazy_api_imports(globals()):
    from fusejax.losses.config import ObjectiveConfig, ReferenceConfig, RegionConfig, TermConfig
    from fusejax.losses.objective import TERMS, Progress, check_objective, decay_factor, evaluate_objective

__all__ = [
    "TERMS",
    "ObjectiveConfig",
    "Progress",
    "ReferenceConfig",
    "RegionConfig",
    "TermConfig",
    "check_objective",
    "decay_factor",
    "evaluate_objective",
]
