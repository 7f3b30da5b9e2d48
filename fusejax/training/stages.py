"""Mapping the stages of a configuration to steps of a run."""

import dataclasses
from collections.abc import Sequence

from fusejax.config import StageConfig, TrainConfig
from fusejax.losses.objective import objective_needs


@dataclasses.dataclass(frozen=True)
class Stage:
    """A stage with its position in the run: steps `start` to `start + steps - 1`, from 0.

    Attributes:
        config: settings of the stage.
        start: its first step.
        steps: number of steps.
        steps_per_epoch: number of steps in which every training pair is used once.
    """

    config: StageConfig
    start: int
    steps: int
    steps_per_epoch: int

    @property
    def end(self) -> int:
        """The step after the last one."""
        return self.start + self.steps

    @property
    def scored(self) -> bool:
        """Whether the fused image is trained, so that scoring it is meaningful."""
        return "fused_y" in objective_needs(self.config.objective)


def plan_stages(config: TrainConfig, pairs: int) -> list[Stage]:
    """Places the stages one after the other.

    An epoch uses each training pair once, except for those of the last, incomplete batch.

    Args:
        config: the experiment.
        pairs: number of training pairs.

    Returns:
        The stages in their order.

    Raises:
        ValueError: if a stage's length is given in epochs and the pairs do not fill one batch.
    """
    if pairs < config.batch_size and any(stage.steps is None for stage in config.stages):
        raise ValueError(f"{pairs} training pairs do not fill a batch of {config.batch_size}; lower batch_size.")
    steps_per_epoch = max(1, pairs // config.batch_size)
    stages, start = [], 0
    for stage in config.stages:
        steps = stage.epochs * steps_per_epoch if stage.steps is None else stage.steps
        stages.append(Stage(stage, start, steps, steps_per_epoch))
        start += steps
    return stages


def stage_at(stages: Sequence[Stage], step: int) -> Stage:
    """The stage of the next step after `step` finished steps; the last stage at the end."""
    return next((stage for stage in stages if step < stage.end), stages[-1])
