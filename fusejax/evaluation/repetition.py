"""Repeats the first steps of a run: do the same settings give the same losses?"""

import itertools
from collections.abc import Iterator

import jax

from fusejax.config import TrainConfig
from fusejax.data.pipeline import open_sources, training_batches
from fusejax.training.program import Program
from fusejax.training.sharding import make_mesh, place_batch
from fusejax.training.stages import plan_stages


def first_losses(config: TrainConfig) -> Iterator[float]:
    """Losses of the first stage of a run, step by step, as computed by `fusejax.training.fit`.

    Nothing is written. On one CPU device, they are reproducible to rounding (1e-5) on machines of
    the same kind.

    Args:
        config: configuration of the run.

    Yields:
        The loss of each step.

    Raises:
        ValueError: if the configuration names data that cannot be used.
    """
    sources = open_sources(config.data)
    stage = plan_stages(config, sum(len(s) for s in sources))[0]
    program = Program(config, make_mesh(config.mesh))
    batches = training_batches(sources, config.data, batch_size=config.batch_size, seed=config.seed)
    state, key, step = program.create(), program.key(), program.step(stage)
    for batch in itertools.islice(batches, stage.steps):
        arrays = {name: values for name, values in batch.items() if name != "id"}
        state, logs = step(state, place_batch(arrays, program.batch_sharding), key)
        yield float(jax.device_get(logs["loss"]))
