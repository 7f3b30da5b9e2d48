"""The light network, for real time on a CPU; trained the weights `light`.

The reference is mild: brightness of the brighter neighborhood, detail of both sources, and room
for warm objects in blown-out lights. The metrics Qabf, SSIM, SCD and VIF are terms beside it, and
their weights are a compromise: with Qabf at 1, whole regions of the image switch to one source,
which scores better and looks worse (dark patches in skies); with the reference at 0.3, the whole
image does. After the long first stage, four short ones raise detail and contrast step by step.

The released weights were made by one run per stage, each started from the one before with
`--start-from`; this file runs the stages in one go. Scores after each stage are in the model card.
"""

import dataclasses

from fusejax.config import OptimConfig, StageConfig, TrainConfig
from fusejax.data.config import AugmentConfig, DataConfig
from fusejax.losses import ObjectiveConfig, ReferenceConfig, TermConfig
from fusejax.models import LightConfig


def get_config() -> TrainConfig:
    main = StageConfig(
        _objective(edges=0.35, ssim=0.5, scd=0.2, vif=0.65),
        optim=OptimConfig(learning_rate=1.5e-3, final_learning_rate=1e-5, warmup_steps=500, clip_norm=0.5),
        steps=100_000,
    )
    short = dataclasses.replace(main.optim, learning_rate=4e-4, warmup_steps=100)
    stages = (
        main,
        StageConfig(_objective(edges=0.45, ssim=0.5, scd=0.35, vif=0.6), name="contrast", optim=short, steps=5_000),
        StageConfig(_objective(edges=0.65, ssim=0.5, scd=0.35, vif=0.66), name="detail", optim=short, steps=4_000),
        StageConfig(_objective(edges=0.65, ssim=0.75, scd=0.35, vif=0.66), name="structure", optim=short, steps=3_000),
        StageConfig(_objective(edges=0.74, ssim=0.78, scd=0.35, vif=0.66), name="finish", optim=short, steps=4_000),
    )
    augment = AugmentConfig(brightness=0.03, contrast=0.1, glare=0.4)
    return TrainConfig(
        name="light",
        model=LightConfig(),
        stages=stages,
        data=DataConfig(crop=96, com_mask=None, augment=augment, keep_decoded=True),
        batch_size=8,
        average_decay=0.999,
        save_every=5000,
        log_every=500,
    )


def _objective(*, edges: float, ssim: float, scd: float, vif: float) -> ObjectiveConfig:
    return ObjectiveConfig(
        terms=(
            TermConfig("reference_intensity", 0.5),
            TermConfig("square_intensity", 6.0),
            TermConfig("reference_magnitude", 1.0),
            TermConfig("reference_direction", 0.1),
            TermConfig("qabf", 0.5),
            TermConfig("metric_ssim", ssim),
            TermConfig("scd", scd),
            TermConfig("vif", vif),
        ),
        reference=ReferenceConfig(
            edge_weight=edges,
            equalized_weight=0.0,
            base="two_scale",
            base_sigma=10.0,
            headroom=True,
        ),
    )
