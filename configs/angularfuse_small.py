"""AngularFuse's recipe with a narrow U-Net of two levels on 64x64 crops, 150 steps.

For ablations on a CPU; results are in configs/ablations/README.md.
"""

import dataclasses

from fusejax.config import TrainConfig, load_config
from fusejax.models.config import AngularFuseConfig


def get_config() -> TrainConfig:
    full = load_config("angularfuse")
    (stage,) = full.stages
    optim = dataclasses.replace(stage.optim, learning_rate=1e-3, final_learning_rate=1e-5, warmup_steps=20)
    return dataclasses.replace(
        full,
        name="angularfuse_small",
        model=AngularFuseConfig(widths=(8, 16), heads=None, residual_blocks=1),
        stages=(dataclasses.replace(stage, optim=optim, steps=150),),
        data=dataclasses.replace(full.data, crop=64),
    )
