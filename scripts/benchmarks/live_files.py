"""Plays two made-up videos in real time through `fusejax.live` and prints drops and latency.

    python scripts/bench.py live                        # 10 minutes of 640x480 at 30 Hz
    python scripts/bench.py live --minutes 0.2 --size 320 240

The videos are h264 without B-frames, as cameras send it. Frames go to a page on this machine that
one viewer reads, and to nowhere else. Latency is from the moment at which a frame is due to that at
which all outputs have it.
"""

import dataclasses
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import av
import numpy as np
import psutil
import tyro

from fusejax.data.synthetic import synthetic_pair
from fusejax.inference.loading import load
from fusejax.live import Controls, Session, Settings, parse_source
from fusejax.live.http import HttpOutput

_SCENE = 60  # different frames; they are repeated


@dataclasses.dataclass(frozen=True)
class Played:
    """What is played.

    Attributes:
        minutes: length of the videos.
        size: width and height.
        rate: frames per second of the visible video.
        ir_rate: frames per second of the infrared video.
        weights: see `fusejax live`.
        temporal: see `fusejax live`.
        viewer: whether somebody looks at the page.
    """

    minutes: float = 10.0
    size: tuple[int, int] = (640, 480)
    rate: int = 30
    ir_rate: int = 30
    weights: str = "light"
    temporal: float = 0.0
    viewer: bool = True


def write_video(path: Path, frames: list[np.ndarray], count: int, rate: int) -> None:
    """Writes `count` frames as h264; the given ones are repeated forward and backward."""
    order = [*range(len(frames)), *range(len(frames) - 2, 0, -1)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("h264", rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": "23"}
        for k in range(count):
            pixels = frames[order[k % len(order)]]
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24" if pixels.ndim == 3 else "gray")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def look(url: str, ended: threading.Event) -> None:
    """Reads the stream of a page until the session ends."""
    with urllib.request.urlopen(f"{url}stream.mjpg", timeout=60) as stream:
        while not ended.is_set() and stream.read(2**16):
            pass


def main(options: Played) -> None:
    """Plays the videos and prints one line per figure."""
    width, height = options.size
    pairs = [synthetic_pair(913, size=(height, width), shift=2.0 * k, noise=k + 1) for k in range(_SCENE)]
    controls, ended = Controls(Settings(temporal=options.temporal)), threading.Event()
    memory: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as temporary:
        files = {kind: Path(temporary, f"{kind}.mp4") for kind in ("ir", "vi")}
        seconds = 60 * options.minutes
        write_video(files["ir"], [p["ir"][..., 0] for p in pairs], round(seconds * options.ir_rate), options.ir_rate)
        write_video(files["vi"], [p["vi"] for p in pairs], count := round(seconds * options.rate), options.rate)
        ir, vi = (parse_source(str(files[kind])) for kind in ("ir", "vi"))
        session = Session(ir, vi, load(options.weights), outputs=[], controls=controls)
        page = HttpOutput("127.0.0.1", 0, controls=controls, statistics=session.statistics)
        session.outputs.append(page)
        if options.viewer:
            threading.Thread(target=look, args=(page.url, ended), daemon=True).start()

        def watch() -> None:
            process, began = psutil.Process(), time.monotonic()
            while not ended.wait(max(1.0, seconds / 10)):
                memory.append((time.monotonic() - began, process.memory_info().rss / 2**20))
                print(f"{memory[-1][0]:.0f} s: {memory[-1][1]:.0f} MB, {session.statistics.summary()}", flush=True)

        threading.Thread(target=watch, daemon=True).start()
        cpu, wall = time.process_time(), time.monotonic()
        summary = session.run()
        ended.set()
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    print(f"{width}x{height}, visible {options.rate} Hz, infrared {options.ir_rate} Hz, {options.weights}: {summary}")
    print(f"{count} visible frames in {seconds:.0f} s of video, played in {wall:.1f} s; {cpu / wall:.2f} cores used")
    if memory:
        print(f"memory: {memory[0][1]:.0f} MB after {memory[0][0]:.0f} s, {memory[-1][1]:.0f} MB at the end")


if __name__ == "__main__":
    main(tyro.cli(Played, description=__doc__))
