"""FusionNet with target-aware supervision (arXiv 2509.11476).

fusejax train fusionnet --workdir RUN --data.root DIR

The paper states the modules and that object boxes supervise the fusion; all numbers here are ours
(the weights follow CDDFuse's ratio of intensity to gradient). DIR holds a folder of annotations
next to the two image folders. Without annotations, add --stages.0.objective.regions.fallback
thermal_saliency --data.max-boxes 0 --data.box-share 0.

Not yet run at full length. The weights `fusionnet` were trained on smaller crops in less time;
scores and command are in their card, fusejax/weights/fusionnet.md. Runs of fusionnet_small are
reported in configs/ablations/README.md and fusejax/weights/fusionnet_small.md.
"""

from fusejax.config import OptimConfig, StageConfig, TrainConfig
from fusejax.data.config import DataConfig
from fusejax.losses.config import ObjectiveConfig, TermConfig
from fusejax.models.config import FusionNetConfig


def get_config() -> TrainConfig:
    objective = ObjectiveConfig(
        (
            TermConfig("ssim", 1.0),
            TermConfig("maximum_intensity", 5.0),
            TermConfig("joint_gradient", 5.0),
            TermConfig("target_aware", 2.0),
        )
    )
    return TrainConfig(
        name="fusionnet",
        model=FusionNetConfig(),
        stages=(StageConfig(objective, optim=OptimConfig(learning_rate=1e-4, final_learning_rate=1e-6), epochs=50),),
        data=DataConfig(crop=256, com_mask=None, max_boxes=16, box_share=0.5),
        batch_size=16,
    )
