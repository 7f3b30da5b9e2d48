"""The light network trained for the look: from the weights `light_metrics` to the weights `light`.

The terms ask for every band of detail of the stronger source, without noise of the infrared camera,
for a base without its pedestal, for people in front of a blown-out light, and for no texture in
flat areas (`fusejax.losses.look`). SSIM and SCD remain as terms but see the resolved pair, so that
they do not reward noise and contradictory detail; Qabf and VIF see the sources themselves. Darkened
visible images, infrared images on a pedestal and lamps stand for nights that the training sets
lack.

The released weights were made by several shorter runs, each from the weights of the one before,
while the objective took its form; this file is the last form, in one run of as many steps. Numbers
are in the model card and in docs/look.md.
"""

from fusejax.config import OptimConfig, StageConfig, TrainConfig
from fusejax.data.config import AugmentConfig, DataConfig
from fusejax.losses import ObjectiveConfig, TermConfig
from fusejax.models import LightConfig


def get_config() -> TrainConfig:
    objective = ObjectiveConfig(
        terms=(
            TermConfig("chosen_bands", 5.0, {"hot_weight": 4.0}),
            TermConfig("kept_contrast", 3.0),
            TermConfig("flat_texture", 16.0),
            TermConfig("resolved_base", 20.0, {"hot_weight": 4.0}),
            TermConfig("glare_contrast", 0.5),
            TermConfig("qabf", 0.6),
            TermConfig("metric_ssim", 0.45, sources="resolved"),
            TermConfig("scd", 0.4, sources="resolved"),
            TermConfig("vif", 0.6),
        )
    )
    augment = AugmentConfig(brightness=0.03, contrast=0.1, glare=0.5, lamps=0.3, pedestal=0.4, dusk=0.35)
    optim = OptimConfig(learning_rate=8e-4, final_learning_rate=1e-5, warmup_steps=40, clip_norm=0.5)
    return TrainConfig(
        name="light_look",
        model=LightConfig(),
        stages=(StageConfig(objective, optim=optim, steps=3_850),),
        data=DataConfig(crop=112, com_mask=None, augment=augment, keep_decoded=True),
        batch_size=4,
        average_decay=0.995,
        start_from="light_metrics",
        save_every=400,
        log_every=200,
    )
