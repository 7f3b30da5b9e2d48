"""The light network trained for the look: from the weights `light_metrics` to the weights `light`.

The terms ask for every band of detail of the stronger source, without noise of the infrared camera,
for a base without its pedestal, and for no texture in flat areas (`fusejax.losses.look`). The
metrics Qabf, SSIM, SCD and VIF remain as terms but see the resolved pair, so that they no longer
reward noise and contradictory detail. Darkened visible images and infrared images on a pedestal
stand for nights that the training sets lack.

The released weights were made by one run per stage, the first of which was stopped after 801 of
2,000 steps and had neither `dusk` nor `hot_weight`; this file runs both stages in one go. Numbers
are in the model card and in docs/look.md.
"""

from fusejax.config import OptimConfig, StageConfig, TrainConfig
from fusejax.data.config import AugmentConfig, DataConfig
from fusejax.losses import ObjectiveConfig, TermConfig
from fusejax.models import LightConfig


def get_config() -> TrainConfig:
    optim = OptimConfig(learning_rate=1e-3, final_learning_rate=1e-5, warmup_steps=100, clip_norm=0.5)
    first = _objective(bands=4.0, kept=2.5, texture=20.0, edges=0.3, ssim=0.3, scd=0.35, vif=0.4)
    last = _objective(bands=5.0, kept=2.0, texture=16.0, edges=0.4, ssim=0.35, scd=0.4, vif=0.45)
    return TrainConfig(
        name="light_look",
        model=LightConfig(),
        stages=(
            StageConfig(first, optim=optim, steps=800),
            StageConfig(last, name="finish", optim=optim, steps=1_300),
        ),
        data=DataConfig(
            crop=96,
            com_mask=None,
            augment=AugmentConfig(brightness=0.03, contrast=0.1, glare=0.4, pedestal=0.4, dusk=0.35),
            keep_decoded=True,
        ),
        batch_size=8,
        average_decay=0.999,
        start_from="light_metrics",
        save_every=400,
        log_every=200,
    )


def _objective(
    *, bands: float, kept: float, texture: float, edges: float, ssim: float, scd: float, vif: float
) -> ObjectiveConfig:
    return ObjectiveConfig(
        terms=(
            TermConfig("chosen_bands", bands, {"hot_weight": 4.0}),
            TermConfig("kept_contrast", kept),
            TermConfig("flat_texture", texture),
            TermConfig("resolved_base", 20.0, {"hot_weight": 4.0}),
            TermConfig("qabf", edges, sources="resolved"),
            TermConfig("metric_ssim", ssim, sources="resolved"),
            TermConfig("scd", scd, sources="resolved"),
            TermConfig("vif", vif, sources="resolved"),
        )
    )
