"""Trains each network on one device, on 8, and in 2 processes of 2, and compares the weights.

    python scripts/equal_runs.py [--networks angularfuse crossfuse fusionnet]

Twenty steps of narrow networks on synthetic pairs, on virtual CPU devices. CrossFuse and FusionNet
use their shipped objectives. AngularFuse uses the squared differences to both sources, because its
own objective (levels of the reference, kinks of the angles) amplifies the effect of rounding on the
weights from step to step, to 2e-4 after 20 steps, and SSIM, whose second derivative is up to 1e4
where a source is dark, to 2e-5. The last line is the result; the exit status is 0 only if every
relative difference is below 1e-5.
"""

import dataclasses
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import tyro

LIMIT = 1e-5
STEPS = 20
# name -> (number of processes, devices per process, size of fsdp)
ARRANGEMENTS = {
    "1 device": (1, 1, 1),
    "8 devices, data": (1, 8, 1),
    "8 devices, 2 data x 4 fsdp": (1, 8, 4),
    "2 processes x 2 devices, data": (2, 2, 1),
    "2 processes x 2 devices, 2 data x 2 fsdp": (2, 2, 2),
}


def train(network: str, workdir: Path, fsdp: int) -> None:
    """The work of each process."""
    from fusejax.config import MeshConfig, load_config
    from fusejax.data.config import DataConfig
    from fusejax.losses import TERMS, ObjectiveConfig, TermConfig
    from fusejax.models import AngularFuseConfig, CrossFuseConfig, FusionNetConfig
    from fusejax.training.loop import fit

    models = {
        "angularfuse": AngularFuseConfig(widths=(8, 8), heads=None, residual_blocks=1),
        "crossfuse": CrossFuseConfig(8, 2, encoder_blocks=1, decoder_blocks=1, coupling_layers=1),
        "fusionnet": FusionNetConfig(widths=(8, 8), attention_width=8, alpha_width=8),
    }
    shipped = load_config(network)
    boxes = {"max_boxes": 4, "box_share": 0.5} if network == "fusionnet" else {}
    if network == "angularfuse":
        TERMS["squares"] = lambda fused_y, ir, vi_y: ((fused_y - ir) ** 2 + (fused_y - vi_y) ** 2).mean(axis=(1, 2, 3))
        smooth = dataclasses.replace(shipped.stages[0], objective=ObjectiveConfig((TermConfig("squares"),)))
        shipped = dataclasses.replace(shipped, stages=(smooth,))
    steps = STEPS // len(shipped.stages)
    config = dataclasses.replace(
        shipped,
        model=models[network],
        stages=tuple(dataclasses.replace(stage, steps=steps) for stage in shipped.stages),
        data=DataConfig(synthetic=24, crop=32, com_mask=shipped.data.com_mask, **boxes),
        mesh=MeshConfig(fsdp=fsdp, min_sharded=64),
        batch_size=8,
    )
    fit(config, workdir)


def run(network: str, workdir: Path, processes: int, devices: int, fsdp: int) -> None:
    """Trains in several processes. Raises SystemExit with their output if one fails."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    env = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    command = [sys.executable, __file__, "--child", network, str(workdir), str(fsdp), str(processes), str(port)]
    running = [
        subprocess.Popen([*command, str(n)], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for n in range(processes)
    ]
    said = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        sys.exit("\n".join(said))


def child(network: str, workdir: str, fsdp: str, processes: str, port: str, index: str) -> None:
    from fusejax.training.processes import Processes, join_processes

    if int(processes) > 1:
        join_processes(Processes(True, f"127.0.0.1:{port}", int(processes), int(index)))
    train(network, Path(workdir), int(fsdp))


def difference(workdir: Path, other: Path) -> float:
    """Relative distance between all weights together."""
    import numpy as np
    from safetensors.numpy import load_file

    a, b = (load_file(folder / "weights.safetensors") for folder in (workdir, other))
    norms = [
        np.sqrt(sum(np.sum(np.square(x, dtype=np.float64)) for x in arrays))
        for arrays in ([a[k] - b[k] for k in a], a.values())
    ]
    return float(norms[0] / norms[1])


@dataclasses.dataclass(frozen=True)
class EqualOptions:
    """What to compare.

    Attributes:
        networks: names of shipped configurations.
    """

    networks: tuple[str, ...] = ("angularfuse", "crossfuse", "fusionnet")


def main() -> None:
    """Prints the differences of each network; runs one training if called as a child."""
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
        return
    networks, worst = tyro.cli(EqualOptions).networks, 0.0
    with tempfile.TemporaryDirectory() as root:
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(root) / "compiled"))
        for network in networks:
            for number, (name, arrangement) in enumerate(ARRANGEMENTS.items()):
                run(network, Path(root) / f"{network}{number}", *arrangement)
                found = difference(Path(root) / f"{network}0", Path(root) / f"{network}{number}")
                worst = max(worst, found)
                print(f"{network:12} {name:42} {found:.1e}", flush=True)
    print(f"{len(networks)} networks, {len(ARRANGEMENTS)} arrangements: largest relative difference {worst:.1e}")
    sys.exit(not worst < LIMIT)


if __name__ == "__main__":
    main()
