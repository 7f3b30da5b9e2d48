"""Four steps of a small light network, which compiles fastest, on synthetic pairs, for end-to-end
tests.
"""

from fusejax.config import OptimConfig, StageConfig, TrainConfig
from fusejax.data.config import ComMaskConfig, DataConfig
from fusejax.losses import ObjectiveConfig, TermConfig
from fusejax.models import LightConfig


def get_config() -> TrainConfig:
    terms = (
        TermConfig("reference_intensity"),
        TermConfig("angle_magnitude", 10.0),
        TermConfig("angle_direction", 10.0),
    )
    return TrainConfig(
        name="tiny",
        model=LightConfig(width=8, blocks=1),
        data=DataConfig(synthetic=8, crop=16, com_mask=ComMaskConfig(patch_sizes=(4, 8))),
        stages=(StageConfig(ObjectiveConfig(terms), optim=OptimConfig(learning_rate=1e-3), steps=4),),
        batch_size=8,
        log_every=1,
        save_every=2,
    )
