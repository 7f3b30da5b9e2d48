"""Moves batches from the pipeline to the devices."""

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
    compute the previous steps; the pipeline prepares the next batches in its own threads.

    Args:
        batches: batches of this process, from `fusejax.data.pipeline.training_batches`.
        mesh: mesh of the run.
        meter: records how long the loop waited for each batch.
    """

    def __init__(self, batches: Iterator[dict[str, Any]], mesh: jax.sharding.Mesh, meter: Meter) -> None:
        self._batches, self._mesh, self._meter = batches, mesh, meter

    def take(self, count: int) -> tuple[dict[str, jax.Array], list[list[str]]]:
        """Takes the next batches.

        Args:
            count: number of batches; more than one are stacked along a new first axis.

        Returns:
            The batch on the devices, and for each of the `count` batches the names of the pairs
            that this process has read.
        """
        start = time.perf_counter()
        batches = [next(self._batches) for _ in range(count)]
        names = [[str(name) for name in batch.pop("id")] for batch in batches]
        batch = batches[0] if count == 1 else {k: np.stack([b[k] for b in batches]) for k in batches[0]}
        placed = place_batch(batch, batch_sharding(self._mesh, stacked=count > 1))
        self._meter.waited(time.perf_counter() - start)
        return placed, names


def steps_per_dispatch(step: int, stage: Stage, at_most: int) -> int:
    """Number of steps from `step` on that are dispatched to the devices as one program.

    Args:
        step: number of steps taken so far.
        stage: stage of the next step.
        at_most: `steps_per_dispatch` of the configuration.

    Returns:
        `at_most`, or 1 if `step` is not a multiple of it (because a run was stopped there) and at
        the end of a stage, so that two programs suffice for every run.
    """
    return at_most if step % at_most == 0 and step + at_most <= stage.end else 1
