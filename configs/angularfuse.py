"""AngularFuse as its paper trains it (arXiv 2510.12260): fusejax train angularfuse --workdir RUN --data.root DIR

Stated by the paper: crops of 128, Adam, cosine schedule, 70 epochs, complementary masks, reference of 75 % sharpened
edges and 25 % equalisation. Learning rate, batch size and weights are ours: see the docstrings of each part.
"""

from fusejax.config import TrainConfig
from fusejax.models import AngularFuseConfig


def get_config() -> TrainConfig:
    return TrainConfig(name="angularfuse", model=AngularFuseConfig())
