"""Scores of fusion methods on images: folders, videos, degraded sources, comparisons, ablations.

`folder`, `video` and `regions` score images that exist. `degradations` and `conditions` define
degraded sources, `attack` the adversarial noise, and `stress` scores methods on them. `comparison`
ranks methods over data sets. `ablation` describes an ablation as data, `variants` helps to define
the variants, `preparation` lists what must exist first, and `run` trains and scores them.
"""

from etils import epy

with epy.lazy_api_imports(globals()):
    from fusejax.evaluation.conditions import CONDITIONS, Condition, degrade
    from fusejax.evaluation.folder import evaluate_folders
    from fusejax.evaluation.stress import StressResult, stress_folders
    from fusejax.evaluation.validation import Validation
    from fusejax.evaluation.video import evaluate_videos
    from fusejax.report.scores import FolderScores

__all__ = [
    "CONDITIONS",
    "Condition",
    "FolderScores",
    "StressResult",
    "Validation",
    "degrade",
    "evaluate_folders",
    "evaluate_videos",
    "stress_folders",
]
