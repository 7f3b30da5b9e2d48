"""AngularFuse as trained in its paper (arXiv 2510.12260).

fusejax train angularfuse --workdir RUN --data.root DIR

Stated by the paper: crops of 128, Adam, cosine schedule, 70 epochs, complementary masks, a
reference of 75% sharpened edges and 25% equalization, intensity and angle-aware gradient terms.
Learning rate, batch size and weights are ours; 10 is CDDFuse's ratio of gradient to intensity.

Not yet run at full length: 70 epochs of MSRS's 1,083 pairs are 9,476 steps with 8 crops each. The
weights `angularfuse_paper` saw a fifth of that; scores and command are in their card,
fusejax/weights/angularfuse_paper.md.
"""

from fusejax.config import StageConfig, TrainConfig
from fusejax.losses.config import ObjectiveConfig, TermConfig
from fusejax.models.config import AngularFuseConfig


def get_config() -> TrainConfig:
    objective = ObjectiveConfig(
        terms=(
            TermConfig("reference_intensity"),
            TermConfig("angle_magnitude", 10.0),
            TermConfig("angle_direction", 10.0),
        )
    )
    return TrainConfig(name="angularfuse", model=AngularFuseConfig(), stages=(StageConfig(objective),))
