"""Speed and peak memory of `fusejax fuse`: on a folder, on one large pair, on videos.

    python scripts/bench.py fuse folder [--pairs 200] [--size 640x480]
    python scripts/bench.py fuse large [--size 3840x2160] [--memory 2G] [--weights light crossfuse]
    python scripts/bench.py fuse video [--seconds 6 60] [--codec ffv1] [--temporal 0.5]

All sources are synthetic. Every command runs in a process of its own. A folder and a video are
fused in two lengths; the difference gives the speed without start and compilation.
"""

import dataclasses
import os
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import tyro

from benchmarks.moving import moving_scene
from fusejax.data.synthetic import synthetic_pair, write_synthetic_folder
from fusejax.io.images import write_image
from fusejax.io.video_writing import SUFFIXES, Codec, VideoWriter, from_pixels

_PATTERN = (900, 1200)  # height and width of the pattern that a large pair repeats
_RATE, _SCENE = 30, 30  # frames per second of a video, and frames of the scene that it repeats


@dataclasses.dataclass(frozen=True)
class FuseBenchOptions:
    """What to measure.

    Attributes:
        kind: folder, large (one pair) or video.
        weights: see `fusejax fuse`.
        size: width x height.
        pairs: number of pairs of a folder.
        seconds: lengths of the short and the long video.
        codec: codec of the fused video; the sources are H.264.
        temporal: time constant in seconds, for videos.
        memory: limit to pass to the command; none if empty.
    """

    kind: tyro.conf.Positional[Literal["folder", "large", "video"]]
    weights: tuple[str, ...] = ("light",)
    size: str = "640x480"
    pairs: int = 200
    seconds: tuple[int, int] = (6, 60)
    codec: Codec = "ffv1"
    temporal: float = 0.0
    memory: str = ""


def main(options: FuseBenchOptions) -> None:
    """Writes the sources to a temporary folder, fuses them and prints a line per weights."""
    height, width = (int(side) for side in reversed(options.size.split("x")))
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        for weights in options.weights:
            if options.kind == "large":
                _write_large(root, height, width)
                peak, seconds = _fuse(root, root / "ir.png", root / "vi.png", f"{weights}.png", weights, options)
                print(f"{weights} {options.size}: peak {peak / 2**20:.0f} MiB, {seconds:.0f} s", flush=True)
            else:
                _print_rate(root, height, width, weights, options)


def _print_rate(root: Path, height: int, width: int, weights: str, options: FuseBenchOptions) -> None:
    video = options.kind == "video"
    counts = [_RATE * n for n in options.seconds] if video else [max(1, options.pairs // 10), options.pairs]
    measured = []
    for count in (counts[0], *counts):  # the first one compiles
        suffix = ".mp4" if video else ""
        ir, vi = (root / f"{count}" / f"{kind}{suffix}" for kind in ("ir", "vi"))
        if not ir.exists():
            _write_videos(ir, vi, count, height, width) if video else write_synthetic_folder(
                ir.parent, count=count, size=(height, width)
            )
        out = f"{weights}_{count}{SUFFIXES[options.codec] if video else ''}"
        measured.append(_fuse(root, ir, vi, out, weights, options))
    (short_peak, short), (long_peak, long) = measured[1:]
    rate = (counts[1] - counts[0]) / (long - short)
    peaks = f"peak {short_peak / 2**20:.0f} MiB for {counts[0]}, {long_peak / 2**20:.0f} MiB for {counts[1]}"
    print(f"{weights} {options.size}: {rate:.1f} {'frames' if video else 'pairs'}/s; {peaks}", flush=True)


def _write_large(root: Path, height: int, width: int) -> None:
    pair = synthetic_pair(0, size=_PATTERN)
    repeats = (-(-height // _PATTERN[0]), -(-width // _PATTERN[1]), 1)
    for kind in ("ir", "vi"):
        write_image(root / f"{kind}.png", np.tile(pair[kind], repeats)[:height, :width])


def _write_videos(ir: Path, vi: Path, count: int, height: int, width: int) -> None:
    ir.parent.mkdir(parents=True)
    scene = list(moving_scene(2, frames=_SCENE, size=(height, width)))
    for path in (ir, vi):
        with VideoWriter(path, codec="h264", rate=Fraction(_RATE)) as writer:
            for number in range(count):
                writer.write(from_pixels(scene[number % _SCENE][path.stem]))


def _fuse(root: Path, ir: Path, vi: Path, out: str, weights: str, options: FuseBenchOptions) -> tuple[int, float]:
    """Peak resident memory in bytes, and seconds, of the command, which must succeed."""
    command = [sys.executable, "-m", "fusejax.cli.main", "fuse", "--overwrite", "--weights", weights]
    command += ["--ir", str(ir), "--vi", str(vi), "--out", str(root / "out" / out)]
    command += ["--memory", options.memory] if options.memory else []
    command += ["--temporal", str(options.temporal)] if options.temporal else []
    start, process = time.perf_counter(), subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024), time.perf_counter() - start
