"""Prints what each shipped network needs for a pair, relative to the default one.

python scripts/bench.py methods [--repeats 7] [--size 640 480] [--weights light angularfuse ...]

All networks take turns and CPU time is counted, so that other programs on the machine change the
ratios little. Wall time is printed as well; it counts only on a quiet machine.
"""

import dataclasses
import statistics
import time

import numpy as np
import tyro

from fusejax.inference.fuser import Fuser

WEIGHTS = ("light", "angularfuse", "crossfuse", "crossfuse_small", "fusionnet", "fusionnet_small")


@dataclasses.dataclass(frozen=True)
class Turns:
    """What is measured.

    Attributes:
        weights: shipped names; the first is the measure of the others.
        size: width and height.
        repeats: number of turns.
    """

    weights: tuple[str, ...] = WEIGHTS
    size: tuple[int, int] = (640, 480)
    repeats: int = 7


def main(options: Turns) -> None:
    """Measures and prints one row per network."""
    width, height = options.size
    rng = np.random.default_rng(0)
    ir, vi = (rng.random((1, height, width, 1), np.float32) for _ in range(2))
    fusers = {name: Fuser.load(name, tile="off") for name in options.weights}
    for fuser in fusers.values():
        fuser.fuse_luma(ir, vi, exact_size=True)  # compiles
    cpu: dict[str, list[float]] = {name: [] for name in fusers}
    wall: dict[str, list[float]] = {name: [] for name in fusers}
    for _ in range(options.repeats):
        for name, fuser in fusers.items():
            began = time.process_time(), time.perf_counter()
            fuser.fuse_luma(ir, vi, exact_size=True)
            cpu[name].append(time.process_time() - began[0])
            wall[name].append(time.perf_counter() - began[1])
    first = options.weights[0]
    print(f"{width}x{height}, {options.repeats} turns, medians")
    for name in fusers:
        ratio = statistics.median(a / b for a, b in zip(cpu[name], cpu[first], strict=True))
        seconds = statistics.median(cpu[name]), statistics.median(wall[name])
        print(f"{name:16} {ratio:7.1f} x {first}   CPU {seconds[0]:.3f} s   wall {seconds[1]:.3f} s")


if __name__ == "__main__":
    main(tyro.cli(Turns, description=__doc__))
