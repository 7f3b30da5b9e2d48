"""Thirty steps of a tiny network with a smooth objective, for runs on several devices."""

from fusejax.config import MeshConfig, StageConfig, TrainConfig
from fusejax.data.config import DataConfig
from fusejax.losses import ObjectiveConfig, TermConfig
from fusejax.models import FusionNetConfig


def get_config() -> TrainConfig:
    # No L1 term, because at its kinks rounding alone flips gradients. Consistency draws for each
    # row of the batch.
    objective = ObjectiveConfig((TermConfig("ssim"), TermConfig("consistency")))
    return TrainConfig(
        name="tiny_mesh",
        model=FusionNetConfig(widths=(8, 8), attention_width=8, alpha_width=8),
        data=DataConfig(synthetic=24, crop=16, com_mask=None),
        stages=(StageConfig(objective, steps=30),),
        mesh=MeshConfig(min_sharded=64),
        batch_size=8,
        average_decay=0.9,
        log_every=1,
        save_every=30,  # and wherever it is stopped
    )
