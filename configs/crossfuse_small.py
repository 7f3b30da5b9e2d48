"""CrossFuse's recipe with a narrow, shallow network, 80 + 220 steps and a cosine schedule.

For ablations on a CPU; results are in configs/crossfuse.md and configs/ablations/README.md. The
released weights `crossfuse_small` come from a run with 600 + 1,800 steps; see their card.
"""

import dataclasses

from fusejax.config import TrainConfig, load_config
from fusejax.models.config import CrossFuseConfig


def get_config() -> TrainConfig:
    full = load_config("crossfuse")
    optim = dataclasses.replace(
        full.stages[0].optim, learning_rate=2e-3, final_learning_rate=2e-5, schedule="cosine", warmup_steps=20
    )
    stages = (dataclasses.replace(s, steps=n, optim=optim) for s, n in zip(full.stages, (80, 220), strict=True))
    model = CrossFuseConfig(8, 2, encoder_blocks=1, decoder_blocks=1, coupling_layers=1)
    return dataclasses.replace(full, name="crossfuse_small", model=model, stages=tuple(stages))
