"""The slowest operations of a training step on this device, from a profiler trace.

    python scripts/bench.py profile [--config angularfuse] [--steps 5] [--rows 12]

Every event of the trace that names an instruction of the compiled program is attributed to the line
of source that the instruction came from: the innermost module without its number, and forward or
backward. Instructions that XLA has fused count for their root. Prints a Markdown table of
milliseconds per step, summed over the device's threads.
"""

import dataclasses
import re
import tempfile
from collections import defaultdict
from pathlib import Path

import jax
from jax.profiler import ProfileData

from benchmarks.device import example_batch
from fusejax.config import load_config
from fusejax.training.program import Program
from fusejax.training.sharding import make_mesh
from fusejax.training.stages import plan_stages

_SOURCE = re.compile(r'^\s+(?:ROOT )?%([\w.-]+) = .*?metadata=\{.*?op_name="([^"]*)"')


@dataclasses.dataclass(frozen=True)
class ProfileOptions:
    """What to trace.

    Attributes:
        config: shipped configuration, whose last stage is traced.
        batch: crops per step.
        steps: number of traced steps.
        rows: number of operations in the table.
    """

    config: str = "angularfuse"
    batch: int = 8
    steps: int = 5
    rows: int = 12


def sources(text: str) -> dict[str, str]:
    """Name of each instruction in XLA's text of a program, and where it comes from."""
    return {found[1]: found[2] for line in text.splitlines() if (found := _SOURCE.match(line))}


def group(source: str) -> str:
    """The operation of a source: direction, innermost module, primitive."""
    direction = "backward" if "transpose(" in source else "forward"
    parts = [re.sub(r"\d+$", "", part) for part in source.split("/")]
    parts = [part for part in parts if "(" not in part and "." not in part]
    return f"{direction} {'/'.join(parts[-2:])}"


def traced(options: ProfileOptions, folder: str) -> str:
    """Runs the steps under the profiler; returns XLA's text of the program."""
    config = dataclasses.replace(load_config(options.config), batch_size=options.batch)
    program = Program(config, make_mesh(config.mesh))
    batch, state, key = example_batch(program), program.create(), program.key()
    compiled = program.step(plan_stages(config, 10_000)[-1]).lower(state, batch, key).compile()
    state, _ = jax.block_until_ready(compiled(state, batch, key))
    with jax.profiler.trace(folder):
        for _ in range(options.steps):
            state, _ = jax.block_until_ready(compiled(state, batch, key))
    return compiled.as_text() or ""


def milliseconds(folder: str, known: dict[str, str]) -> dict[str, float]:
    """Time of each group of instructions, summed over steps and threads."""
    total: dict[str, float] = defaultdict(float)
    for file in Path(folder).rglob("*.xplane.pb"):
        for plane in ProfileData.from_file(str(file)).planes:
            for line in plane.lines:
                for event in line.events:
                    if event.name in known:
                        total[group(known[event.name])] += event.duration_ns / 1e6
    return total


def main(options: ProfileOptions) -> None:
    with tempfile.TemporaryDirectory() as folder:
        known = sources(traced(options, folder))
        found = {name: time / options.steps for name, time in milliseconds(folder, known).items()}
    print(f"{options.config}, {options.batch} crops, {sum(found.values()):.0f} ms per step in all\n")
    print("| operation | ms per step | share |\n|---|--:|--:|")
    for name, time in sorted(found.items(), key=lambda x: -x[1])[: options.rows]:
        print(f"| {name} | {time:.1f} | {time / sum(found.values()):.1%} |")
