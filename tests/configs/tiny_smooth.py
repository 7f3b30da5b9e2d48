"""The smallest light network with a smooth objective, which compiles fastest."""

from fusejax.config import OptimConfig, StageConfig, TrainConfig
from fusejax.data.config import DataConfig
from fusejax.losses import ObjectiveConfig, TermConfig
from fusejax.models import LightConfig


def get_config() -> TrainConfig:
    objective = ObjectiveConfig((TermConfig("square_intensity"),))
    return TrainConfig(
        name="tiny_smooth",
        model=LightConfig(width=4, blocks=1),
        data=DataConfig(synthetic=8, crop=16, com_mask=None),
        stages=(StageConfig(objective, optim=OptimConfig(learning_rate=1e-3), steps=7),),
        batch_size=8,
        average_decay=0.9,
        log_every=3,
        save_every=3,
    )
