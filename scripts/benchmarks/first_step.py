"""How long `fusejax train` takes until its first step is done, if nothing has been compiled before.

Both source trees take turns on the same synthetic pairs, each time in a new process with an empty
cache of compilations; the times include Python's start:

    git worktree add ../before REVISION
    python scripts/bench.py first-step --against ../before
"""

import dataclasses
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

from fusejax.data.synthetic import write_synthetic_folder

TREE = Path(__file__).resolve().parents[2]


@dataclasses.dataclass(frozen=True)
class FirstStepOptions:
    """What to compare.

    Attributes:
      against: root of another checkout of fusejax, which must run with the installed packages.
      config: shipped configuration.
      batch_size: crops per step.
      repeats: number of starts of each.
    """

    against: Path
    config: str = "angularfuse"
    batch_size: int = 8
    repeats: int = 3


def seconds_until_first_step(tree: Path, options: FirstStepOptions, data: Path) -> float:
    """Starts a run in a new folder; returns the seconds until its first step is logged.

    Raises:
        RuntimeError: if the run ends without a step.
    """
    module, function = tomllib.loads((tree / "pyproject.toml").read_text())["project"]["scripts"]["fusejax"].split(":")
    with tempfile.TemporaryDirectory() as folder:
        path = os.pathsep.join(filter(None, (str(tree), os.environ.get("PYTHONPATH"))))
        environment = os.environ | {
            "PYTHONPATH": path,
            "PYTHONUNBUFFERED": "1",
            "JAX_COMPILATION_CACHE_DIR": f"{folder}/cache",
        }
        command = [sys.executable, "-c", f"import {module}; {module}.{function}()"]
        command += ["train", options.config, "--workdir", f"{folder}/run", "--data.root", str(data)]
        command += ["--data.folders", ".", "--batch-size", str(options.batch_size)]
        command += ["--stages.0.steps", "1", "--log-every", "1"]
        start, said = time.perf_counter(), []
        with subprocess.Popen(
            command, env=environment, cwd=tree, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as run:
            assert run.stdout is not None
            seconds = None
            for line in run.stdout:  # to its end, because the run saves after the step
                said.append(line)
                if line.startswith("train 1/"):
                    seconds = time.perf_counter() - start
        if seconds is None:
            raise RuntimeError(f"the run of {tree} took no step:\n{''.join(said)}")
    return seconds


def main(options: FirstStepOptions) -> None:
    trees = {"this tree": TREE, "the other": options.against.resolve()}
    times: dict[str, list[float]] = {name: [] for name in trees}
    with tempfile.TemporaryDirectory() as data:
        write_synthetic_folder(data, count=options.batch_size)
        for _ in range(options.repeats):
            for name, tree in trees.items():
                times[name].append(seconds_until_first_step(tree, options, Path(data)))
                print(f"{name}: {times[name][-1]:.1f} s", flush=True)
    ratios = sorted(a / b for a, b in zip(*times.values(), strict=True))
    medians = ", ".join(f"{name} {statistics.median(values):.1f} s" for name, values in times.items())
    print(
        f"{options.config}, first step: {medians}; "
        f"ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})"
    )
