"""Weak scaling: the time of a step on more and more devices, each with the same number of crops.

Every row comes from a program that was compiled for that number of virtual devices, so FLOPs,
memory traffic and the bytes of the collectives are those of the partitioned program; seconds follow
from the chip's data sheet (`fusejax.planning.chips.step_time`) and are not measured. The memory's
time lies between that of the products alone, as if everything else were fused into them, and that
of the CPU compiler's program.
"""

import dataclasses
import sys
from collections.abc import Iterable, Iterator

import jax

from fusejax.config import MeshConfig, TrainConfig
from fusejax.planning.chips import StepTime, named_chip
from fusejax.planning.plan import StageCost, lower_step, read_given, stage_cost, time_on
from fusejax.planning.products import least_traffic
from fusejax.training.program import Program
from fusejax.training.sharding import make_mesh
from fusejax.training.stages import plan_stages

HEADER = (
    "| chips | batch | collectives | sent | arithmetic | memory | links | latency | step | images/s | efficiency |",
    "|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
)


@dataclasses.dataclass(frozen=True)
class Scale:
    """The last stage's step on a number of devices.

    Attributes:
        devices: number of devices.
        batch: crops on all devices together.
        cost: what one device needs for a step.
        time: breakdown of the step's time.
        least_memory: seconds that the memory takes for the operands and results of products alone.
    """

    devices: int
    batch: int
    cost: StageCost
    time: StepTime
    least_memory: float

    @property
    def sent(self) -> float:
        """Bytes that each device sends in a step."""
        return sum(c.sent for c in self.cost.collectives)

    @property
    def seconds(self) -> tuple[float, float]:
        """Bounds of the whole step: arithmetic overlaps with memory, communication with nothing."""
        time = self.time
        most, least = (max(time.arithmetic, memory) for memory in (time.memory, self.least_memory))
        return least + time.links + time.latency, most + time.links + time.latency

    @property
    def efficiency(self) -> float:
        """Lower bound of the scaling efficiency (images/s per device relative to one device)."""
        return 1 - (self.time.links + self.time.latency) / self.seconds[0]

    def markdown(self) -> str:
        """The row of the table; times in milliseconds."""
        time, (least, most) = self.time, self.seconds
        calls = sum(c.times for c in self.cost.collectives) if self.devices > 1 else 0
        cells = (
            f"{self.devices}",
            f"{self.batch:,}",
            f"{calls}",
            f"{self.sent / 1e6:,.2f} MB",
            f"{1e3 * time.arithmetic:.2f}",
            f"{1e3 * self.least_memory:.2f} to {1e3 * time.memory:.2f}",
            f"{1e3 * time.links:.3f}",
            f"{1e3 * time.latency:.3f}",
            f"{1e3 * least:.2f} to {1e3 * most:.2f}",
            f"{self.batch / most:,.0f} to {self.batch / least:,.0f}",
            f"{self.efficiency:.1%}",
        )
        return f"| {' | '.join(cells)} |"


def scaling(config: TrainConfig, counts: Iterable[int], *, chip: str) -> Iterator[Scale]:
    """Compiles the step of the last stage for each number of devices.

    Args:
        config: the experiment; its batch size is that of one device.
        counts: numbers of devices, at most as many as this process has.
        chip: short name of the chip, a key of `fusejax.planning.chips.CHIPS`.

    Yields:
        One entry per number, as soon as it is compiled.

    Raises:
        ValueError: if there is no such chip, or the mesh does not allow a number of devices.
    """
    dtype = getattr(config.model, "dtype", "float32")
    program = Program(config, make_mesh(MeshConfig(), devices=jax.devices()[:1]))
    products = lower_step(program, plan_stages(config, config.batch_size)[-1])
    least = least_traffic(products) * config.micro_batches / named_chip(chip).bandwidth
    for count in counts:
        sized = dataclasses.replace(config, batch_size=count * config.batch_size)
        program = Program(sized, make_mesh(sized.mesh, devices=jax.devices()[:count]))
        cost = stage_cost(program, plan_stages(sized, sized.batch_size)[-1])
        yield Scale(count, sized.batch_size, cost, time_on(named_chip(chip), cost, count, dtype), least)


def print_scaling() -> None:
    """Entry point of the separate process: reads the configuration from stdin and prints the table.

    Exits with status 2 on a user error.
    """
    given, config = read_given()
    dtype = getattr(config.model, "dtype", "float32")
    try:
        print(f"{config.name}, {config.batch_size} crops per chip, {dtype}, on {given['chip']}; times in ms\n")
        print("\n".join(HEADER), flush=True)
        for row in scaling(config, given["scaling"], chip=given["chip"]):
            print(row.markdown(), flush=True)
    except ValueError as error:
        print(f"fusejax plan: {error}", file=sys.stderr)
        sys.exit(2)
