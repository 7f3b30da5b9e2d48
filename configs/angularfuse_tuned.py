"""AngularFuse's network and losses with a milder reference; the recipe of the released weights.

Departs from the paper in the reference (two-scale base with little sharpening and equalisation, instead of 75 % / 25 %
of the maximum), in holding the fused gradient against the reference's own, in masking a fifth of the pairs instead of
half, and in learning rate, batch and length, which are chosen for hours on a CPU.
"""

from fusejax.config import OptimConfig, TrainConfig
from fusejax.data.masking import ComMaskConfig
from fusejax.data.pipeline import DataConfig
from fusejax.losses import AngularObjectiveConfig
from fusejax.models import AngularFuseConfig
from fusejax.reference import ReferenceConfig


def get_config() -> TrainConfig:
    reference = ReferenceConfig(edge_weight=0.15, equalised_weight=0.05, equalisation="global", base="two_scale")
    return TrainConfig(
        name="angularfuse_tuned",
        model=AngularFuseConfig(heads=None),
        objective=AngularObjectiveConfig(
            gradient_weight=1.0, direction_weight=0.2, gradient_source="reference", reference=reference
        ),
        data=DataConfig(com_mask=ComMaskConfig(probability=0.2)),
        optim=OptimConfig(learning_rate=8e-4, final_learning_rate=4e-6, warmup_steps=200, clip_norm=0.1),
        batch_size=4,
        steps=3600,
    )
