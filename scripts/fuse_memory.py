"""Peak memory of `fusejax fuse` on one large pair.

    python scripts/fuse_memory.py [--size 3840x2160] [--memory 2G] [--networks light crossfuse]

Fuses a synthetic pair, in a separate process for every network. Networks without shipped weights
get random weights for their configuration. Prints the peak resident memory and the seconds.
"""

import dataclasses
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
import tyro

from fusejax.config import load_config
from fusejax.data.synthetic import synthetic_pair
from fusejax.io.images import write_image
from fusejax.models import build
from fusejax.weights.files import save_weights, shipped_weights

_PATTERN = (900, 1200)  # height and width of the pattern that a large pair repeats


@dataclasses.dataclass(frozen=True)
class MemoryOptions:
    """What to measure.

    Attributes:
        size: width x height.
        memory: limit to pass to the command; none if empty.
        networks: shipped weights or configurations.
    """

    size: str = "3840x2160"
    memory: str = "2G"
    networks: tuple[str, ...] = ("light", "angularfuse", "crossfuse", "fusionnet")


def main(options: MemoryOptions) -> None:
    width, height = map(int, options.size.split("x"))
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        pair = synthetic_pair(0, size=_PATTERN)
        repeats = (-(-height // _PATTERN[0]), -(-width // _PATTERN[1]), 1)
        for kind in ("ir", "vi"):
            write_image(root / f"{kind}.png", np.tile(pair[kind], repeats)[:height, :width])
        for network in options.networks:
            weights = network if network in shipped_weights() else _draw(root, network)
            command = [sys.executable, "-m", "fusejax.cli.main", "fuse", "--weights", weights]
            command += ["--ir", str(root / "ir.png"), "--vi", str(root / "vi.png"), "--out", str(root / network)]
            command += ["--memory", options.memory] if options.memory else []
            peak, seconds = run_measured(command)
            print(f"{network:12} {options.size}: peak {peak / 2**20:.0f} MiB, {seconds:.0f} s", flush=True)


def _draw(root: Path, network: str) -> str:
    """Writes random weights of a shipped configuration."""
    config, path = load_config(network).model, root / f"{network}.safetensors"
    pair = np.zeros((1, 32, 32, 1), np.float32)
    params = jax.jit(build(config).init)(jax.random.key(0), pair, pair)
    save_weights(path, params["params"], config, {})
    return str(path)


def run_measured(command: list[str]) -> tuple[int, float]:
    """Peak resident memory in bytes, and seconds, of a command that must succeed."""
    start, process = time.perf_counter(), subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024), time.perf_counter() - start


if __name__ == "__main__":
    main(tyro.cli(MemoryOptions))
