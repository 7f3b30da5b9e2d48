"""Speed and peak memory of `fusejax fuse` on videos.

    python scripts/video_speed.py [--seconds 6 60] [--size 640x480] [--weights light] [--folder DIR]

Made-up videos of 30 frames a second, a short and a long one, each fused by the command in a process
of its own. Prints the peak of resident memory of both, and from their difference frames per second,
without start and compilation.
"""

import dataclasses
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import tyro
from fuse_memory import run_measured

from fusejax.data.moving import moving_scene
from fusejax.io.video_writing import SUFFIXES, Codec, VideoWriter, from_pixels

_RATE = 30
_SCENE = 30  # frames, which are repeated


@dataclasses.dataclass(frozen=True)
class VideoOptions:
    """What to measure.

    Attributes:
        seconds: of the short and of the long video.
        size: width x height.
        weights: see `fusejax fuse`.
        codecs: of the fused videos; the sources are H.264.
        temporal: time constant in seconds.
        folder: for videos, kept; a temporary one by default.
    """

    seconds: tuple[int, int] = (6, 60)
    size: str = "640x480"
    weights: str = "light"
    codecs: tuple[Codec, ...] = ("ffv1", "h264")
    temporal: float = 0.0
    folder: str = ""


def main(options: VideoOptions) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(options.folder or temporary)
        for seconds in options.seconds:
            write_sources(root, seconds, options.size)
        _fuse(root, min(options.seconds), options.codecs[0], options)  # compiles, kept for the others
        for codec in options.codecs:
            peaks, times = zip(*(_fuse(root, n, codec, options) for n in options.seconds), strict=True)
            short, long = options.seconds
            rate = _RATE * (long - short) / (times[1] - times[0])
            sizes = ", ".join(f"{n} s: {peak / 2**20:.0f} MiB" for n, peak in zip(options.seconds, peaks, strict=True))
            print(f"{codec} {options.size}: {rate:.1f} frames/s; peak of {sizes}", flush=True)


def write_sources(root: Path, seconds: int, size: str) -> None:
    """Writes ir_SECONDS.mp4 and vi_SECONDS.mp4 unless they are there."""
    width, height = map(int, size.split("x"))
    if all((root / f"{kind}_{seconds}.mp4").exists() for kind in ("ir", "vi")):
        return
    scene = list(moving_scene(2, frames=_SCENE, size=(height, width)))
    for kind in ("ir", "vi"):
        with VideoWriter(root / f"{kind}_{seconds}.mp4", codec="h264", rate=Fraction(_RATE)) as writer:
            for number in range(_RATE * seconds):
                writer.write(from_pixels(scene[number % _SCENE][kind]))


def _fuse(root: Path, seconds: int, codec: Codec, options: VideoOptions) -> tuple[int, float]:
    """Peak in bytes and seconds of the command."""
    command = [sys.executable, "-m", "fusejax.cli.main", "fuse", "--overwrite", "--weights", options.weights]
    command += ["--ir", str(root / f"ir_{seconds}.mp4"), "--vi", str(root / f"vi_{seconds}.mp4")]
    command += ["--out", str(root / f"fused_{seconds}{SUFFIXES[codec]}"), "--temporal", str(options.temporal)]
    return run_measured(command)


if __name__ == "__main__":
    main(tyro.cli(VideoOptions))
