"""The light network, real time on a CPU; the last part of the training of the weights `light`.

A mild reference (brightness from the brighter neighborhood, detail of both sources, room for warm
objects in blown-out lights), and the metrics Qabf, SSIM, SCD and VIF as terms beside it. Their
weights are a compromise: with Qabf at 1 regions of the image switch to one source, which scores
better and looks worse (dark patches in skies), and with the reference at 0.3 the whole image does.
The released weights came by `--start-from` of earlier ones; the parts and the curve stand in the
model card. From random parameters give it more steps, at least 14,000.
"""

from fusejax.config import OptimConfig, StageConfig, TrainConfig
from fusejax.data.config import AugmentConfig, DataConfig
from fusejax.losses import ObjectiveConfig, ReferenceConfig, TermConfig
from fusejax.models import LightConfig


def get_config() -> TrainConfig:
    objective = ObjectiveConfig(
        terms=(
            TermConfig("reference_intensity", 0.5),
            TermConfig("square_intensity", 6.0),
            TermConfig("reference_magnitude", 1.0),
            TermConfig("reference_direction", 0.1),
            TermConfig("qabf", 0.5),
            TermConfig("metric_ssim", 0.5),
            TermConfig("scd", 0.2),
            TermConfig("vif", 0.5),
        ),
        reference=ReferenceConfig(
            edge_weight=0.35,
            equalised_weight=0.0,
            base="two_scale",
            base_sigma=10.0,
            headroom=True,
        ),
    )
    optim = OptimConfig(learning_rate=1.5e-3, final_learning_rate=1e-5, warmup_steps=100, clip_norm=0.5)
    augment = AugmentConfig(brightness=0.03, contrast=0.1, glare=0.4)
    return TrainConfig(
        name="light",
        model=LightConfig(),
        stages=(StageConfig(objective, optim=optim, steps=3_000),),
        data=DataConfig(crop=96, com_mask=None, augment=augment, keep_decoded=True),
        batch_size=8,
        average_decay=0.999,
        save_every=1000,
        log_every=200,
    )
