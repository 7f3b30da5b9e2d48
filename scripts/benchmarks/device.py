"""Speed of every network on one accelerator, relative to the chip's peak rates.

    python scripts/bench.py device [--out FILE] [--networks angularfuse light] [--against torch]

For each network: a forward pass at 640x480 and 1920x1080, and a training step with the shipped
objective at 16, 64 and 256 crops, in float32 (whose products a GPU computes in TF32, a TPU in
bfloat16) and bfloat16. Prints a Markdown table: seconds (median and spread), images/s, fraction of
the chip's peak arithmetic and of its memory bandwidth (FLOPs and bytes as counted by XLA for the
compiled program, peak rates from fusejax/planning/chips.py), and memory. What does not fit in the
device's memory is named and left out. It also runs on a CPU, without these fractions.
"""

import dataclasses
import functools
import math
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from fusejax.config import TrainConfig, load_config
from fusejax.models import build
from fusejax.planning.chips import Chip, chip_of
from fusejax.training.program import Program
from fusejax.training.sharding import make_mesh
from fusejax.training.stages import plan_stages
from fusejax.typing import Params

HEADER = (
    "| network | work | type | seconds | spread | images/s | of peak | of bandwidth | GiB |",
    "|---|---|---|---|---|---|---|---|---|",
)


@dataclasses.dataclass(frozen=True)
class DeviceOptions:
    """What to measure.

    Attributes:
        networks: shipped configurations.
        types: data types of the arithmetic.
        sizes: width and height of the images of the forward pass, such as 640x480.
        crops: batch sizes of the training step.
        repeats: number of timed calls of each program.
        crop: side of the crops; 0 uses the configuration's.
        against: `torch` adds rows of the networks' twins in PyTorch, eager and compiled.
        out: file to write the table to.
    """

    networks: tuple[str, ...] = ("angularfuse", "crossfuse", "fusionnet", "light")
    types: tuple[Literal["float32", "bfloat16"], ...] = ("float32", "bfloat16")
    sizes: tuple[str, ...] = ("640x480", "1920x1080")
    crops: tuple[int, ...] = (16, 64, 256)
    repeats: int = 20
    crop: int = 0
    against: Literal["torch"] | None = None
    out: Path | None = None


@dataclasses.dataclass(frozen=True)
class Row:
    """One measured program.

    Attributes:
        network: name of the configuration, or of the twin.
        work: what the program does.
        dtype: data type of its arithmetic.
        seconds: duration of each timed call; none if it did not fit in memory.
        images: number of images per call.
        flops: FLOPs of a call; NaN if they are not counted.
        traffic: bytes that a call reads and writes; NaN if they are not counted.
        memory: peak memory in bytes.
    """

    network: str
    work: str
    dtype: str
    seconds: list[float]
    images: int = 1
    flops: float = float("nan")
    traffic: float = float("nan")
    memory: float = float("nan")

    def markdown(self, chip: Chip | None) -> str:
        """The row of the table."""
        name = f"| {self.network} | {self.work} | {self.dtype}{products(self.dtype)} |"
        if not self.seconds:
            return f"{name} out of memory | | | | | |"
        middle = statistics.median(self.seconds)
        shares = ["", ""]
        if chip is not None:
            rates = self.flops / chip.peak(self.dtype), self.traffic / chip.bandwidth
            shares = ["" if math.isnan(rate) else f"{rate / middle:.0%}" for rate in rates]
        memory = "" if math.isnan(self.memory) else f"{self.memory / 2**30:.2f}"
        return (
            f"{name} {middle:.5f} | {min(self.seconds):.5f} to {max(self.seconds):.5f} | {self.images / middle:.1f} | "
            f"{shares[0]} | {shares[1]} | {memory} |"
        )


def products(dtype: str) -> str:
    """In what this process's device computes products of float32, if not in float32."""
    names = {"gpu": " (TF32)", "tpu": " (bfloat16 products)"}
    return names.get(jax.default_backend(), "") if dtype == "float32" else ""


def timed(call: Callable[[], Any], repeats: int) -> list[float]:
    """Seconds of each call, after one warm-up call."""
    jax.block_until_ready(call())
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(call())
        seconds.append(time.perf_counter() - start)
    return seconds


def measured(compiled: Any) -> dict[str, float]:
    """XLA's figures for a compiled program."""
    cost, memory = compiled.cost_analysis() or {}, compiled.memory_analysis()
    peak = memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes
    return {
        "flops": cost.get("flops", float("nan")),
        "traffic": cost.get("bytes accessed", float("nan")),
        "memory": peak - memory.alias_size_in_bytes,
    }


def with_type(config: TrainConfig, dtype: str) -> TrainConfig | None:
    """The configuration with that data type; None if its network supports only one."""
    if any(field.name == "dtype" for field in dataclasses.fields(config.model)):
        return dataclasses.replace(config, model=dataclasses.replace(config.model, dtype=dtype))
    return config if dtype == "float32" else None


def forward_row(config: TrainConfig, dtype: str, size: str, repeats: int) -> Row:
    model = build(config.model)
    shapes = jax.eval_shape(model.init, jax.random.key(0), *[jnp.zeros((1, 8, 8, 1))] * 2)
    params: Params = jax.tree.map(lambda x: jnp.full(x.shape, 0.01, x.dtype), shapes)
    ir, vi_y = images(1, *height_width(size))
    compiled = jax.jit(model.apply).lower(params, ir, vi_y).compile()
    seconds = timed(lambda: compiled(params, ir, vi_y), repeats)
    return Row(config.name, f"forward {size}", dtype, seconds, 1, **measured(compiled))


def step_row(config: TrainConfig, dtype: str, crops: int, side: int, repeats: int) -> Row:
    data = dataclasses.replace(config.data, crop=side)
    sized = dataclasses.replace(config, batch_size=crops, micro_batches=1, data=data)
    program = Program(sized, make_mesh(sized.mesh))
    stage = plan_stages(sized, 10_000)[-1]
    batch = example_batch(program)
    state, key = program.create(), program.key()
    compiled = program.step(stage).lower(state, batch, key).compile()
    holder = [state]

    def step() -> dict[str, jax.Array]:
        holder[0], logs = compiled(holder[0], batch, key)
        return logs

    return Row(config.name, step_name(crops, side), dtype, timed(step, repeats), crops, **measured(compiled))


def step_name(crops: int, side: int) -> str:
    return f"step {crops}x{side}x{side}"


def if_it_fits(empty: Row, measure: Callable[[], Row]) -> Row:
    """The measured row, or the empty one if the device's memory is too small."""
    try:
        return measure()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return empty


def height_width(size: str) -> tuple[int, int]:
    """Height and width of a size such as 640x480."""
    width, height = map(int, size.split("x"))
    return height, width


def images(batch: int, height: int, width: int) -> tuple[jax.Array, jax.Array]:
    rng = np.random.default_rng(0)
    ir, vi_y = (jnp.asarray(rng.random((batch, height, width, 1), dtype=np.float32)) for _ in range(2))
    return ir, vi_y


def example_batch(program: Program) -> dict[str, jax.Array]:
    """A batch of noise with the shapes and shardings of the program's batch; all boxes are
    empty.
    """
    rng = np.random.default_rng(0)
    return {
        name: jax.device_put(
            rng.random(x.shape, dtype=np.float32) if len(x.shape) == 4 else np.zeros(x.shape, x.dtype), x.sharding
        )
        for name, x in program.abstract_batch().items()
    }


def rows(options: DeviceOptions) -> Iterator[Row]:
    """Measures one program after the other; PyTorch first, because it gives memory back."""
    if options.against == "torch":
        yield from twin_rows(options)
    for name in options.networks:
        for dtype in options.types:
            config = with_type(load_config(name), dtype)
            if config is not None:
                yield from network_rows(config, dtype, options)


def network_rows(config: TrainConfig, dtype: str, options: DeviceOptions) -> Iterator[Row]:
    repeats, side = options.repeats, options.crop or config.data.crop
    for size in options.sizes:
        measure = functools.partial(forward_row, config, dtype, size, repeats)
        yield if_it_fits(Row(config.name, f"forward {size}", dtype, []), measure)
    for crops in options.crops:
        measure = functools.partial(step_row, config, dtype, crops, side, repeats)
        yield if_it_fits(Row(config.name, step_name(crops, side), dtype, []), measure)


def twin_rows(options: DeviceOptions) -> Iterator[Row]:
    from benchmarks.torch_rows import TWINS, torch_rows  # needs the `bench` extra

    sizes = tuple(map(height_width, options.sizes))
    for name in (name for name in options.networks if name in TWINS):
        side = options.crop or load_config(name).data.crop
        timed_rows = torch_rows(name, sizes=sizes, crops=options.crops, side=side, repeats=options.repeats)
        for twin, work, dtype, seconds, images, memory in timed_rows:
            yield Row(twin, work, dtype, seconds, images, memory=memory)


def main(options: DeviceOptions) -> None:
    if options.against == "torch":
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # leaves memory for PyTorch
    device = jax.devices()[0]
    chip = chip_of(device.device_kind)
    known = f"{chip.tflops['bfloat16']:g} TFLOP/s in bfloat16, {chip.bandwidth / 1e9:,.0f} GB/s" if chip else "unknown"
    lines = [f"jax {jax.__version__} on {device.device_kind} (peak: {known})", "", *HEADER]
    print("\n".join(lines), flush=True)
    for row in rows(options):
        lines.append(row.markdown(chip))
        print(lines[-1], flush=True)
    if options.out:
        options.out.write_text("\n".join(lines) + "\n")
