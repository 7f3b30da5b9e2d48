"""How fast `fusejax fuse` processes a folder, and for how much of that time the network runs.

    python scripts/fuse_speed.py [--pairs 200] [--size 640x480] [--weights light]

Uses synthetic pairs. Prints pairs per second from the first pair after the compilation to the last
file written, the fraction of that time in which the network runs, the speed of the network alone on
one pair, and the duration of the whole command when all results exist (`--skip-existing`).
"""

import dataclasses
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from fusejax.data.synthetic import write_synthetic_folder
from fusejax.inference import fuse_folder
from fusejax.inference.fuser import Fuser
from fusejax.inference.pair_arrays import Sources


@dataclasses.dataclass(frozen=True)
class SpeedOptions:
    """What to measure.

    Attributes:
        pairs: number of pairs.
        size: width x height.
        weights: see `fusejax fuse`.
        folder: folder for pairs and results, which is kept; by default a temporary one.
    """

    pairs: int = 200
    size: str = "640x480"
    weights: str = "light"
    folder: str = ""


def watch() -> list[tuple[float, float]]:
    """Makes every `Fuser` record in the returned list when its network starts and stops."""
    spans, fuse_sources = [], Fuser.fuse_sources

    def watched(self: Fuser, sources: Sources, **options: Any) -> np.ndarray:
        start = time.perf_counter()
        fused = fuse_sources(self, sources, **options)
        spans.append((start, time.perf_counter()))
        return fused

    Fuser.fuse_sources = watched
    return spans


def main(options: SpeedOptions) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(options.folder or temporary)
        width, height = map(int, options.size.split("x"))
        if not (root / "pairs").exists():
            write_synthetic_folder(root / "pairs", count=options.pairs, size=(height, width))
        ir, vi, out = root / "pairs" / "ir", root / "pairs" / "vi", root / "out"
        spans = watch()
        fuse_folder(ir, vi, out, weights=options.weights, overwrite=True)
        end, spans = time.perf_counter(), spans[1:]  # the first one compiles
        seconds, busy = end - spans[0][0], sum(stop - start for start, stop in spans)
        rates = f"{len(spans) / seconds:.1f} pairs/s, the network runs {100 * busy / seconds:.1f} % of the time"
        print(f"folder: {rates}, {1000 * busy / len(spans):.1f} ms per pair")
        print(f"network alone: {1000 * _alone(options.weights, height, width):.1f} ms per pair")
        command = [sys.executable, "-m", "fusejax.cli.main", "fuse", "--skip-existing"]
        start = time.perf_counter()
        subprocess.run([*command, "--ir", ir, "--vi", vi, "--out", out, "--weights", options.weights], check=True)
        print(f"the command again with --skip-existing: {time.perf_counter() - start:.2f} s")


def _alone(weights: str, height: int, width: int) -> float:
    """Median seconds of the network on one pair."""
    fuser, times = Fuser.load(weights), []
    ir, vi_y = np.random.default_rng(0).random((2, 1, height, width, 1), dtype=np.float32)
    for _ in range(30):
        start = time.perf_counter()
        fuser.fuse_luma(ir, vi_y, exact_size=True)
        times.append(time.perf_counter() - start)
    return float(np.median(times[1:]))


if __name__ == "__main__":
    main(tyro.cli(SpeedOptions))
