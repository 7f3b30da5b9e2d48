"""AngularFuse's network and losses with a milder reference; the recipe of the released weights.

Departs from the paper in the reference (two-scale base with little sharpening and equalisation, instead of 75 % / 25 %
of the maximum), in holding the fused gradient against the reference's own, in masking a fifth of the pairs instead of
half, and in learning rate, batch and length, which are chosen for hours on a CPU.
"""

from fusejax.config import OptimConfig, StageConfig, TrainConfig
from fusejax.data.config import ComMaskConfig, DataConfig
from fusejax.losses import ObjectiveConfig, TermConfig
from fusejax.losses.config import ReferenceConfig
from fusejax.models import AngularFuseConfig


def get_config() -> TrainConfig:
    objective = ObjectiveConfig(
        terms=(
            TermConfig("reference_intensity"),
            TermConfig("reference_magnitude", 1.0),
            TermConfig("reference_direction", 0.2),
        ),
        reference=ReferenceConfig(edge_weight=0.15, equalised_weight=0.05, equalisation="global", base="two_scale"),
    )
    optim = OptimConfig(learning_rate=8e-4, final_learning_rate=4e-6, warmup_steps=200, clip_norm=0.1)
    return TrainConfig(
        name="angularfuse_tuned",
        model=AngularFuseConfig(heads=None),
        stages=(StageConfig(objective, optim=optim, steps=3600),),
        data=DataConfig(com_mask=ComMaskConfig(probability=0.2)),
        batch_size=4,
    )
