"""Speed on this machine: compiling, training step, fusing, memory.

python scripts/bench.py [--config crossfuse] [--against torch] [--repeats 5] [--where]
[--data-root DIR --folders A B]
python scripts/bench.py --against onnx [--repeats 5]
"""

import dataclasses
import functools
import platform
import resource
import statistics
import time
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import where
from benchmarks.workers import Worker, block
from fusejax.config import load_config
from fusejax.losses import ObjectiveConfig, TermConfig
from fusejax.models import build
from fusejax.training.program import Program
from fusejax.training.sharding import make_mesh
from fusejax.training.stages import plan_stages
from fusejax.weights.files import shipped_weights

BATCH, SIZE, LARGE = 8, (480, 640), (1080, 1920)


@dataclasses.dataclass(frozen=True)
class BenchOptions:
    """What to measure.

    Attributes:
      config: shipped configuration whose network and last stage are timed.
      against: `torch` only alternates with the network's twin in PyTorch (`angularfuse`,
          `angularfuse_tuned` and `light` have one; `bench` extra) and prints ratios and memory.
          `onnx` only alternates all shipped weights between onnxruntime and jitted JAX.
      forward_only: measure only the network's forward pass, also at 1920x1080, alternating with
          AngularFuse's.
      where: instead, break down the time of a run by phase.
      micro_batches: number of parts in which the training step processes its 8 crops.
      repeats: number of timed calls of each kind, or of blocks of calls where two alternate.
      data_root, folders: pairs for `where`; by default synthetic ones.
    """

    config: str = "angularfuse"
    against: Literal["torch", "onnx"] | None = None
    forward_only: bool = False
    where: bool = False
    micro_batches: int = 1
    repeats: int = 5
    data_root: str = ""
    folders: tuple[str, ...] = ()


def seconds(call: Callable, repeats: int) -> list[float]:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times


def show(name: str, times: list[float], extra: str = "") -> None:
    middle = statistics.median(times)
    print(
        f"{name:34} {middle:8.4f} s  (min {min(times):.4f}, max {max(times):.4f}, n {len(times)}) {extra}", flush=True
    )


def crops(seed: int, batch: int, size: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(seed).random((batch, *size, 1), dtype=np.float32)


def jax_step(name: str, objective: ObjectiveConfig | None, micro_batches: int) -> Callable[[], None]:
    """A compiled training step of a shipped configuration on one batch; prints the compile time."""
    config = load_config(name)
    stage = plan_stages(config, 10_000)[-1]
    if objective is not None:
        stage = dataclasses.replace(stage, config=dataclasses.replace(stage.config, objective=objective))
    config = dataclasses.replace(config, micro_batches=micro_batches, batch_size=BATCH)
    program = Program(config, make_mesh(config.mesh))
    state = program.create()
    side = config.data.crop
    batch = {k: crops(n, BATCH, (side, side)) for n, k in enumerate(("ir", "vi_y", "ir_input", "vi_input"))}

    start = time.perf_counter()
    compiled = program.step(stage).lower(state, batch, jax.random.key(0)).compile()
    print(f"{'compile training step':34} {time.perf_counter() - start:8.3f} s", flush=True)
    holder = [state]

    def call() -> None:
        holder[0], logs = compiled(holder[0], batch, jax.random.key(0))
        jax.block_until_ready(logs)

    return call


def jax_forward(name: str, size: tuple[int, int] = SIZE) -> Callable[[], None]:
    model = build(load_config(name).model)
    ir, vi_y = crops(0, 1, size), crops(1, 1, size)
    params = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 8, 8, 1)), jnp.zeros((1, 8, 8, 1)))
    start = time.perf_counter()
    compiled = jax.jit(model.apply).lower(params, ir, vi_y).compile()
    print(f"{f'compile forward {size[0]}x{size[1]}':34} {time.perf_counter() - start:8.3f} s", flush=True)
    return lambda: jax.block_until_ready(compiled(params, ir, vi_y))


def jax_calls(name: str, micro_batches: int) -> dict[str, Callable[[], None]]:
    """A training step with a loss that the twin also has, and a forward pass."""
    maximum = ObjectiveConfig((TermConfig("maximum_intensity"),))
    return {"training step": jax_step(name, maximum, micro_batches), "forward 480x640": jax_forward(name)}


def torch_calls(name: str) -> dict[str, Callable[[], None]]:
    """The twin's training step and forward pass, channels last, one thread per core."""
    import torch

    from benchmarks.torch_rows import twin_calls

    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, channels last", flush=True)
    step, forward, _ = twin_calls(name, size=SIZE, crops=BATCH, side=load_config(name).data.crop)
    return {"training step": step, "forward 480x640": forward}


def against_torch(options: BenchOptions) -> None:
    ours, theirs = Worker(jax_calls, options.config, options.micro_batches), Worker(torch_calls, options.config)
    for name in ("training step", "forward 480x640"):
        for library, worker in (("fusejax", ours), ("torch", theirs)):
            before, most = worker.memory(name)
            print(f"{name}, {library}: {most - before:.2f} GiB above the {before:.2f} GiB before it", flush=True)
        blocks = functools.partial(ours.block, name), functools.partial(theirs.block, name)
        alternate(name, *blocks, options.repeats, names=("fusejax", "torch"))


def alternate(
    name: str, ours: Callable[[], float], theirs: Callable[[], float], repeats: int, *, names: tuple[str, str]
) -> None:
    """Prints ratios of neighboring blocks of calls, so that a slow minute affects both."""
    pairs = [(ours(), theirs()) for _ in range(repeats)]
    show(f"{name}, {names[0]}", [a for a, _ in pairs])
    show(f"{name}, {names[1]}", [b for _, b in pairs])
    ratios = sorted(a / b for a, b in pairs)
    print(f"{name}: ratio {statistics.median(ratios):.3f} (min {ratios[0]:.3f}, max {ratios[-1]:.3f})", flush=True)


def forward_only(options: BenchOptions) -> None:
    """Measures the network alone at two sizes, and its time relative to AngularFuse's."""
    ours, large, theirs = jax_forward(options.config), jax_forward(options.config, LARGE), jax_forward("angularfuse")
    large()
    blocks = functools.partial(block, ours), functools.partial(block, theirs)
    alternate("forward 480x640", *blocks, options.repeats, names=(options.config, "angularfuse"))
    show("forward 480x640, by itself", seconds(ours, options.repeats))
    show("forward 1080x1920", seconds(large, options.repeats))


def against_onnx(repeats: int) -> None:
    from benchmarks import onnx_rows

    pair = crops(0, 1, SIZE), crops(1, 1, SIZE)
    for name in shipped_weights():
        exported, jitted = onnx_rows.forwards(name, *pair)
        blocks = functools.partial(block, exported), functools.partial(block, jitted)
        alternate(f"{name} 480x640", *blocks, repeats, names=("onnxruntime", "jax"))
        onnx_rows.print_slowest(name, *pair)


def main(options: BenchOptions) -> None:
    print(f"jax {jax.__version__} on {jax.devices()[0]}, {platform.processor() or platform.machine()}")
    if options.forward_only:
        forward_only(options)
        return
    if options.where:
        where.main(where.WhereOptions(options.config, data_root=options.data_root, folders=options.folders))
        return
    if options.against == "torch":
        against_torch(options)
        return
    if options.against == "onnx":
        against_onnx(options.repeats)
        return
    step, forward = jax_step(options.config, None, options.micro_batches), jax_forward(options.config)
    step()
    forward()
    steps = seconds(step, options.repeats)
    side = load_config(options.config).data.crop
    show(f"training step {BATCH}x{side}x{side}", steps, f"{BATCH / statistics.median(steps):.2f} images/s")
    show("forward 480x640", seconds(forward, options.repeats))
    print(f"{'peak memory of this process':34} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:8.2f} GiB")
