"""Where the time of a training run goes: one run on real or synthetic pairs, phase by phase.

python scripts/bench.py --where --config light [--steps 50] [--data-root DIR --folders A B]

The script waits for every step, so that each phase is timed separately. The last column shows the
cost in the loop of `fusejax train`: that loop does not wait, so reading and placing the next batch
overlap with the device's computation, and only the excess counts.
"""

import dataclasses
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import jax
import tyro

from fusejax.config import TrainConfig, load_config
from fusejax.data.pipeline import open_sources, training_batches
from fusejax.serialize import to_dict
from fusejax.training.checkpoint import Checkpoints
from fusejax.training.program import Program
from fusejax.training.sharding import make_mesh, place_batch
from fusejax.training.stages import plan_stages

PHASES = {
    "pipeline": "waiting for a batch from the pipeline",
    "placing": "copying it to the device",
    "dispatch": "handing the step to the device",
    "device": "waiting for the device",
    "logs": "fetching the step's logs",
    "saving": "a checkpoint, until the loop continues",
    "written": "the same checkpoint, until it is on disk",
}


@dataclasses.dataclass(frozen=True)
class WhereOptions:
    """What to run.

    Attributes:
        config: shipped configuration, whose last stage is timed.
        steps: number of timed steps.
        data_root: folder of the data; synthetic pairs by default.
        folders: sets below it.
    """

    config: str = "light"
    steps: int = 50
    data_root: str = ""
    folders: tuple[str, ...] = ()


class Stopwatch:
    """Times phases by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)

    def time(self, phase: str, call: Callable[[], Any]) -> Any:
        """Calls the function and adds the elapsed seconds to the phase."""
        start = time.perf_counter()
        result = call()
        self.seconds[phase].append(time.perf_counter() - start)
        return result


def with_data(config: TrainConfig, options: WhereOptions) -> TrainConfig:
    """The configuration with the pairs selected by the options."""
    data = dataclasses.replace(config.data, root=options.data_root, folders=options.folders, shares=())
    if not options.data_root:
        data = dataclasses.replace(data, synthetic=64)
    return dataclasses.replace(config, data=data)


def run(config: TrainConfig, steps: int) -> Stopwatch:
    """Trains for some steps, timing each phase separately, and saves once."""
    watch, program = Stopwatch(), Program(config, make_mesh(config.mesh))
    stage = plan_stages(config, 10_000)[-1]
    batches = iter(
        training_batches(open_sources(config.data), config.data, batch_size=config.batch_size, seed=config.seed)
    )
    state, key = program.create(), program.key()
    step = program.step(stage)
    for n in range(steps + 1):
        batch = watch.time("pipeline", lambda: next(batches))
        batch.pop("id")
        placed = watch.time(
            "placing",
            lambda: jax.block_until_ready(place_batch(batch, program.batch_sharding)),  # noqa: B023
        )
        state, logs = watch.time("dispatch", lambda: step(state, placed, key))  # noqa: B023
        watch.time("device", lambda: jax.block_until_ready((state, logs)))  # noqa: B023
        watch.time("logs", lambda: jax.device_get(logs))  # noqa: B023
        if n == 0:
            watch.seconds.clear()  # the first step compiles
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(folder, keep_newest=1, best_metric=config.best_metric)
        about = {"config": to_dict(config), "data": {"samples_seen": 0}, "scores": None}
        checkpoints.save(state, step=1, **about)  # compiles the fingerprints
        checkpoints.check(wait=True)
        watch.time("saving", lambda: checkpoints.save(state, step=2, **about))
        watch.time("written", lambda: checkpoints.check(wait=True))
        checkpoints.close()
    return watch


def table(watch: Stopwatch, save_every: int) -> list[str]:
    """The phases as a Markdown table."""
    middle = {phase: statistics.median(watch.seconds[phase]) for phase in PHASES}
    busy = middle["dispatch"] + middle["device"]
    ahead = middle["pipeline"] + middle["placing"]
    paid = {
        "pipeline": max(0.0, ahead - busy),
        "placing": 0.0,
        "dispatch": middle["dispatch"],
        "device": middle["device"],
        "logs": 0.0,
        "saving": middle["saving"] / save_every,
        "written": 0.0,
    }
    whole = sum(paid.values())
    lines = ["| phase | median ms | min to max | cost per step | fraction |", "|---|---|---|---|---|"]
    for phase, meaning in PHASES.items():
        ms = [1e3 * x for x in watch.seconds[phase]]
        spread = f"{min(ms):.2f} to {max(ms):.2f}"
        share = f"{1e3 * paid[phase]:.2f} | {paid[phase] / whole:.1%}"
        lines.append(f"| {meaning} | {1e3 * middle[phase]:.2f} | {spread} | {share} |")
    return lines


def main(options: WhereOptions) -> None:
    config = with_data(load_config(options.config), options)
    print(f"jax {jax.__version__} on {jax.devices()[0].device_kind}; {config.name}, {options.steps} steps")
    print("\n".join(table(run(config, options.steps), config.save_every)))


if __name__ == "__main__":
    main(tyro.cli(WhereOptions))
