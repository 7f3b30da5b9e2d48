"""CrossFuse's two stages, two steps each, with a network of a few hundred parameters."""

import dataclasses

from fusejax.config import TrainConfig, load_config
from fusejax.data.config import DataConfig
from fusejax.models import CrossFuseConfig


def get_config() -> TrainConfig:
    full = load_config("crossfuse")
    optim = dataclasses.replace(full.stages[0].optim, decay_epochs=1)
    return dataclasses.replace(
        full,
        name="tiny_crossfuse",
        model=CrossFuseConfig(width=4, heads=2, encoder_blocks=1, decoder_blocks=1, coupling_layers=1),
        data=DataConfig(synthetic=8, crop=16, com_mask=None),
        stages=tuple(dataclasses.replace(stage, optim=optim, steps=2) for stage in full.stages),
        log_every=1,
        save_every=1,
    )
