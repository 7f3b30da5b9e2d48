"""AngularFuse as its paper trains it (arXiv 2510.12260): fusejax train angularfuse --workdir RUN --data.root DIR

Stated by the paper: crops of 128, Adam, cosine schedule, 70 epochs, complementary masks, reference of 75 % sharpened
edges and 25 % equalisation, intensity and angle-aware gradient terms. Learning rate, batch size and weights are ours;
10 is CDDFuse's ratio of gradient to intensity.
"""

from fusejax.config import StageConfig, TrainConfig
from fusejax.losses import ObjectiveConfig, TermConfig
from fusejax.models import AngularFuseConfig


def get_config() -> TrainConfig:
    objective = ObjectiveConfig(
        terms=(
            TermConfig("reference_intensity"),
            TermConfig("angle_magnitude", 10.0),
            TermConfig("angle_direction", 10.0),
        )
    )
    return TrainConfig(name="angularfuse", model=AngularFuseConfig(), stages=(StageConfig(objective),))
