"""FusionNet's recipe with a narrow network on 64x64 crops, 200 steps.

For ablations on a CPU; results are in configs/ablations/README.md. The released weights
`fusionnet_small` come from a longer run; the command is in their card.
"""

import dataclasses

from fusejax.config import TrainConfig, load_config
from fusejax.models.config import FusionNetConfig


def get_config() -> TrainConfig:
    full = load_config("fusionnet")
    (stage,) = full.stages
    optim = dataclasses.replace(stage.optim, learning_rate=2e-3, final_learning_rate=2e-5, warmup_steps=20)
    return dataclasses.replace(
        full,
        name="fusionnet_small",
        model=FusionNetConfig(widths=(8, 16, 16), attention_width=16, alpha_width=8),
        stages=(dataclasses.replace(stage, optim=optim, steps=200),),
        data=dataclasses.replace(full.data, crop=64),
        batch_size=8,
    )
