"""FusionNet with a few thousand parameters on synthetic pairs without boxes: two steps."""

import dataclasses

from fusejax.config import TrainConfig, load_config
from fusejax.data.config import DataConfig
from fusejax.losses import ObjectiveConfig, TermConfig
from fusejax.models import FusionNetConfig


def get_config() -> TrainConfig:
    full = load_config("fusionnet")
    objective = ObjectiveConfig((TermConfig("ssim"), TermConfig("maximum_intensity"), TermConfig("joint_gradient")))
    return dataclasses.replace(
        full,
        name="tiny_fusionnet",
        model=FusionNetConfig(widths=(4, 8), attention_width=4, alpha_width=4),
        data=DataConfig(synthetic=8, crop=16, com_mask=None),
        stages=(dataclasses.replace(full.stages[0], objective=objective, steps=2),),
        batch_size=8,
        log_every=1,
        save_every=1,
    )
