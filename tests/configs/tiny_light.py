"""A small light network under the shipped objective on made-up pairs: two steps."""

import dataclasses

from fusejax.config import TrainConfig, load_config
from fusejax.models import LightConfig


def get_config() -> TrainConfig:
    full = load_config("light")
    (stage,) = full.stages
    optim = dataclasses.replace(stage.optim, learning_rate=1e-3, warmup_steps=0)
    return dataclasses.replace(
        full,
        name="tiny_light",
        model=LightConfig(width=6, blocks=1),
        data=dataclasses.replace(full.data, synthetic=8, crop=48),
        stages=(dataclasses.replace(stage, optim=optim, steps=2),),
        log_every=1,
        save_every=2,
    )
