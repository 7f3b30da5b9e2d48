"""Batches on their way from the pipeline to the devices."""

import time
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from fusejax.training.meter import Meter
from fusejax.training.sharding import batch_sharding, place_batch
from fusejax.training.stages import Stage


class Feed:
    """Takes batches from the pipeline and places them on the devices.

    Steps are dispatched without waiting for them, so a batch is placed while the devices still
    compute the steps before it; the pipeline prepares the next ones in threads of its own.

    Args:
        batches: of this process, from `fusejax.data.pipeline.training_batches`.
        mesh: of the run.
        meter: told how long each batch took to come.
    """

    def __init__(self, batches: Iterator[dict[str, Any]], mesh: jax.sharding.Mesh, meter: Meter) -> None:
        self._batches, self._mesh, self._meter = batches, mesh, meter

    def take(self, count: int) -> tuple[dict[str, jax.Array], list[list[str]]]:
        """The next batches.

        Args:
            count: how many; more than one are stacked along a new first axis.

        Returns:
            The batch on the devices, and for each of the `count` batches the names of its pairs
            that this process has read.
        """
        start = time.perf_counter()
        batches = [next(self._batches) for _ in range(count)]
        names = [[str(name) for name in batch.pop("id")] for batch in batches]
        batch = batches[0] if count == 1 else {k: np.stack([b[k] for b in batches]) for k in batches[0]}
        placed = place_batch(batch, batch_sharding(self._mesh, stacked=count > 1))
        self._meter.waited(time.perf_counter() - start)
        return placed, names


def dispatched_together(step: int, stage: Stage, at_most: int) -> int:
    """How many steps from `step` on go to the devices as one program.

    Args:
        step: steps taken so far.
        stage: that the next step belongs to.
        at_most: `steps_per_dispatch` of the configuration.

    Returns:
        `at_most`, or 1 from a step that is no multiple of it (a run that was stopped there) and at
        the end of a stage, so that two programs serve every run.
    """
    return at_most if step % at_most == 0 and step + at_most <= stage.end else 1
