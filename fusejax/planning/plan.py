"""The cost of a step on devices you do not have: it is compiled for them but never run.

XLA partitions a program over virtual CPU devices as it does over real ones, so the sizes of
arguments and collectives are those of the real run. Decisions of the accelerators' own compilers
are not reproduced; for TPUs, `--topology` uses the real compiler.
"""

import dataclasses
import importlib
import json
import math
import os
import re
import subprocess
import sys
from collections import defaultdict
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from jax.stages import Lowered

from fusejax.config import TrainConfig, load_config
from fusejax.ops.backend import compile_for, quick_compilation
from fusejax.planning.chips import Chip, StepTime, named_chip, step_time
from fusejax.planning.collectives import SLICED, Collective, collectives
from fusejax.plugins import load_plugins
from fusejax.processes import end_with_parent
from fusejax.serialize import from_dict, to_dict
from fusejax.training.program import Program
from fusejax.training.sharding import make_mesh
from fusejax.training.stages import Stage, plan_stages

_MOST_DEVICES = 4096
_NOTES = f"""
Bytes: size of the summed arrays, of the gathered result, or of what a device passes on. Sent: by each of n devices in a
ring, 2 (n-1)/n of an all-reduce, (n-1)/n of the others, all of a collective-permute.
{SLICED}: every device keeps only its part; compilers may turn this into a reduce-scatter, which sends half as much.
Temporaries and FLOPs are those of this compiler's program; those of other compilers differ."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """The devices to compile for.

    Attributes:
        devices: number of devices; they are represented by virtual CPU devices.
        topology: TPUs instead, by generation and shape, such as v5e:4x4; needs `pip install
            libtpu`, but no TPU.
        chip: also print a breakdown of the step time on this chip: a100, h100, h200, v5e or v5p.
        scaling: numbers of devices; prints a table of the step's time on them instead. Needs
            `chip`, and the batch size is that of one device.
    """

    devices: int = 1
    topology: str = ""
    chip: str = ""
    scaling: tuple[int, ...] = ()

    def __post_init__(self):
        if self.scaling and (not self.chip or self.topology or self.devices > 1 or min(self.scaling) < 1):
            raise ValueError("--scaling takes numbers of devices, at least 1; it needs --chip, and no --devices.")
        if max(self.devices, *self.scaling, 1) > _MOST_DEVICES:
            raise ValueError(f"At most {_MOST_DEVICES} devices can be planned for; each is a virtual one of a process.")
        if self.devices < 1 or (self.topology and self.devices > 1):
            raise ValueError("Give --devices N, at least 1, or --topology, which determines their number.")
        if self.chip:
            named_chip(self.chip)


@dataclasses.dataclass(frozen=True)
class StageCost:
    """What one device needs for a step of a stage; sizes are in bytes.

    Attributes:
        state, batch: the device's shards of both, from their shardings.
        arguments, outputs, aliased, temporaries: XLA's figures; aliased memory is both argument and
            output.
        flops: FLOPs of one device.
        traffic: bytes that one device reads and writes in its memory.
    """

    name: str
    state: int
    batch: int
    arguments: int
    outputs: int
    aliased: int
    temporaries: int
    flops: float
    traffic: float
    collectives: list[Collective]

    @property
    def peak(self) -> int:
        return self.arguments + self.outputs - self.aliased + self.temporaries


def plan_command(options: Plan, name_or_path: str, config: TrainConfig) -> None:
    """Prints the plan from a separate process, because JAX fixes the number of devices at startup.

    Args:
        options: the devices to plan for.
        name_or_path: where `config` was loaded from, before settings were overridden; the process
            also loads it, for terms that the file may add to TERMS.
        config: the configuration with its overrides.

    Raises:
        SystemExit: with the status of that process if it failed; it has printed the reason.
        ValueError: if the TPU compiler is needed but not installed.
    """
    if options.topology:
        try:
            importlib.import_module("libtpu")
        except ImportError as error:
            raise ValueError(f"--topology {options.topology} needs the TPU compiler: pip install libtpu.") from error
    devices = max(options.devices, *options.scaling, 1)
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    # Keeps libtpu from looking for the machine on which it usually runs.
    environment |= {
        "TPU_SKIP_MDS_QUERY": "1",
        "TPU_WORKER_HOSTNAMES": "localhost",
        "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    }
    module, function = ("scaling", "print_scaling") if options.scaling else ("plan", "print_plan")
    command = [sys.executable, "-c", f"from fusejax.planning.{module} import {function}; {function}()"]
    given = json.dumps(dataclasses.asdict(options) | {"file": name_or_path, "config": to_dict(config)})
    if status := subprocess.run(command, input=given, text=True, env=environment, check=False).returncode:
        sys.exit(status)


def print_plan() -> None:
    """Entry point of the separate process: reads the configuration from stdin and prints the plan.

    Exits with status 2 on a user error.
    """
    given, config = read_given()
    try:
        mesh = make_mesh(config.mesh, devices=_topology_devices(given["topology"]) if given["topology"] else None)
        program = Program(config, mesh)
    except ValueError as error:
        print(f"fusejax plan: {error}", file=sys.stderr)
        sys.exit(2)
    kind = mesh.devices.flat[0].device_kind if given["topology"] else "virtual CPU"
    print(
        f"{config.name}: {mesh.size} devices ({kind}), mesh {' x '.join(f'{k} {n}' for k, n in mesh.shape.items())}; "
        f"batch {config.batch_size}, {config.batch_size // mesh.size} per device"
    )
    costs: dict[str, StageCost] = {}
    for stage in plan_stages(config, config.batch_size):
        cost = _stage_cost_once(program, stage, costs)
        print(describe(cost, mesh), flush=True)
        if given["chip"]:
            print(describe_time(cost, given["chip"], mesh.size, getattr(config.model, "dtype", "float32")), flush=True)
    print(_NOTES)


def read_given() -> tuple[dict[str, Any], TrainConfig]:
    """What `plan_command` has written to this process: the options, and the configuration."""
    end_with_parent()
    given = json.load(sys.stdin)
    load_plugins()
    load_config(given["file"])  # it may register networks and terms
    return given, from_dict(TrainConfig, given["config"])


def _topology_devices(name: str) -> list[Any]:
    """Descriptions of TPUs.

    Raises:
        ValueError: if the TPU compiler does not know the topology.
    """
    from jax.experimental import topologies

    try:
        devices = topologies.get_topology_desc(platform="tpu", topology_name=name).devices
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"--topology {name}: {str(error).splitlines()[0]}") from error
    return devices


def _stage_cost_once(program: Program, stage: Stage, costs: dict[str, StageCost]) -> StageCost:
    """The cost of a stage; stages whose programs differ in constants only are compiled once."""
    lowered = lower_step(program, stage)
    kind = re.sub(r"dense<[^>]*>", "dense<>", lowered.as_text())
    if kind not in costs:
        costs[kind] = stage_cost(program, stage, lowered=lowered)
    return dataclasses.replace(costs[kind], name=stage.config.name)


def stage_cost(program: Program, stage: Stage, *, lowered: Lowered | None = None) -> StageCost:
    """Compiles the step of a stage for the program's mesh."""
    options = quick_compilation(program.mesh.devices.flat[0].platform)
    compiled = (lowered or lower_step(program, stage)).compile(compiler_options=options)
    memory, cost, text = compiled.memory_analysis(), compiled.cost_analysis(), compiled.as_text()
    if memory is None or cost is None or text is None:
        raise ValueError("XLA reports neither memory nor FLOPs on this backend.")
    return StageCost(
        name=stage.config.name,
        state=_per_device(program.target),
        batch=_per_device(program.abstract_batch()),
        arguments=memory.argument_size_in_bytes,
        outputs=memory.output_size_in_bytes,
        aliased=memory.alias_size_in_bytes,
        temporaries=memory.temp_size_in_bytes,
        # XLA counts the body of a loop once; outside the loop over micro-batches there is only
        # Adam.
        flops=cost["flops"] * program.config.micro_batches,
        traffic=cost["bytes accessed"] * program.config.micro_batches,
        collectives=collectives(text, program.mesh),
    )


def lower_step(program: Program, stage: Stage) -> Lowered:
    """The step of a stage for the program's mesh, before XLA compiles it."""
    batch, key = program.abstract_batch(), jax.eval_shape(lambda: jax.random.key(0))
    with compile_for("tpu"):  # the accelerator implementations of the operations, not the CPU ones
        return program.step(stage).lower(program.target, batch, key)


def _per_device(tree: Any) -> int:
    shards = ((x.sharding.shard_shape(x.shape), x.dtype) for x in jax.tree.leaves(tree))
    return sum(math.prod(shape) * np.dtype(dtype).itemsize for shape, dtype in shards)


def describe(cost: StageCost, mesh: Mesh) -> str:
    """The cost as text for the terminal."""
    new = cost.outputs - cost.aliased
    lines = [
        f"\nstage {cost.name!r}, per device and step",
        f"  memory  {_size(cost.peak)}: arguments {_size(cost.arguments)} (state {_size(cost.state)}, batch "
        f"{_size(cost.batch)}), new outputs {_size(new)}, temporaries {_size(cost.temporaries)}",
        f"  FLOPs   {cost.flops / 1e9:,.3f} G; {cost.flops * mesh.size / 1e9:,.3f} G on all devices",
        f"  {'collectives':29}{'axis':12}{'calls':>6}{'arrays':>8}{'bytes':>16}{'sent':>16}",
    ]
    rows = defaultdict(list)
    for c in cost.collectives:
        rows[c.kind, c.axis].append(c)
    for (kind, axis), found in sorted(rows.items()):
        calls, arrays = sum(c.times for c in found), sum(c.times * len(c.arrays) for c in found)
        total, sent = sum(c.bytes for c in found), sum(c.sent for c in found)
        lines.append(f"    {kind:27}{axis:12}{calls:>6}{arrays:>8}{total:>16,}{sent:>16,.0f}")
    if not rows:
        lines.append("    none")
    return "\n".join(lines)


def describe_time(cost: StageCost, chip: str, devices: int, dtype: str) -> str:
    """One line with the breakdown of the step's time; see `fusejax.planning.chips.StepTime`."""
    time = time_on(named_chip(chip), cost, devices, dtype)
    return (
        f"  on {devices} x {chip}, {dtype}: at least {1e3 * time.arithmetic:.3f} ms of arithmetic and "
        f"{1e3 * time.links:.3f} ms of communication, {1e3 * time.latency:.3f} ms of its latency (efficiency "
        f"{time.efficiency:.1%} or more), memory {1e3 * time.memory:.1f} ms with this compiler's operator fusion"
    )


def time_on(chip: Chip, cost: StageCost, devices: int, dtype: str) -> StepTime:
    """The breakdown of the time of a step with these costs."""
    sent, calls = sum(c.sent for c in cost.collectives), sum(c.times for c in cost.collectives)
    return step_time(chip, devices=devices, dtype=dtype, flops=cost.flops, traffic=cost.traffic, sent=sent, calls=calls)


def _size(count: int) -> str:
    return f"{count / 2**20:,.1f} MiB"
