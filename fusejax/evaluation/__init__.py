"""Scores of fusion methods on images: folders, videos, degraded sources, comparisons, ablations.

`results` holds the table that all of them fill, `score_files` its files, and `methods` names what
is scored. `folder`, `video` and `regions` score images that exist, with the infrared values of
`sources`. `degradations` and `conditions` define degraded sources, `attack` the adversarial noise,
`stress` scores methods (`tested`) on them, and `stress_inputs` writes them for methods elsewhere.
`comparison` covers several data sets. `ablation` describes an ablation as data, `variants` helps
to define the variants, `preparation` lists what must exist first, and `run` trains and scores them.
`validation` scores during training.
"""

from etils import epy

with epy.lazy_api_imports(globals()):
    from fusejax.evaluation.comparison import compare_methods
    from fusejax.evaluation.conditions import CONDITIONS, Condition, degrade
    from fusejax.evaluation.folder import evaluate_folders
    from fusejax.evaluation.results import Evaluation, Scores
    from fusejax.evaluation.score_files import read_scores, write_scores
    from fusejax.evaluation.stress import StressResult, stress_folders
    from fusejax.evaluation.validation import Validation
    from fusejax.evaluation.video import evaluate_videos

__all__ = [
    "CONDITIONS",
    "Condition",
    "Evaluation",
    "Scores",
    "StressResult",
    "Validation",
    "compare_methods",
    "degrade",
    "evaluate_folders",
    "evaluate_videos",
    "read_scores",
    "stress_folders",
    "write_scores",
]
