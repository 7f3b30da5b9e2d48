"""Four steps of a network with a few hundred parameters on synthetic pairs, for end-to-end
tests.
"""

from fusejax.config import OptimConfig, StageConfig, TrainConfig
from fusejax.data.config import ComMaskConfig, DataConfig
from fusejax.losses import ObjectiveConfig, TermConfig
from fusejax.models import AngularFuseConfig


def get_config() -> TrainConfig:
    terms = (
        TermConfig("reference_intensity"),
        TermConfig("angle_magnitude", 10.0),
        TermConfig("angle_direction", 10.0),
    )
    return TrainConfig(
        name="tiny",
        model=AngularFuseConfig(widths=(2, 4), heads=None, residual_blocks=1),
        data=DataConfig(synthetic=8, crop=16, com_mask=ComMaskConfig(patch_sizes=(4, 8))),
        stages=(StageConfig(ObjectiveConfig(terms), optim=OptimConfig(learning_rate=1e-3), steps=4),),
        batch_size=8,
        log_every=1,
        save_every=2,
    )
