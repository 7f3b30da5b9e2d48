"""Four steps of AngularFuse with a few hundred parameters on synthetic pairs.

Its objective is smooth, because at the kink of an absolute value rounding alone can turn the
gradient of a pixel, which is seen in every parameter.
"""

import dataclasses
from pathlib import Path

from fusejax.config import TrainConfig, load_config
from fusejax.losses import ObjectiveConfig, TermConfig
from fusejax.models import AngularFuseConfig


def get_config() -> TrainConfig:
    tiny = load_config(str(Path(__file__).parent / "tiny.py"))
    (stage,) = tiny.stages
    stage = dataclasses.replace(stage, objective=ObjectiveConfig((TermConfig("square_intensity"), TermConfig("ssim"))))
    model = AngularFuseConfig(widths=(2, 4), heads=None, residual_blocks=1)
    return dataclasses.replace(tiny, name="tiny_angularfuse", model=model, stages=(stage,))
