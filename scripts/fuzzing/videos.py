"""Damaged videos."""

import fractions
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fusejax.io.video import VideoFile
from fuzzing.cases import Cases, damage


class VideoCases(Cases):
    """Damaged videos, read to the end by the calls that fusing makes."""

    def __init__(self, folder: Path, seed: int):
        """Encodes the intact videos."""
        import av
        import av.logging

        av.logging.set_level(None)
        super().__init__(folder, seed)
        self.intact: list[tuple[str, bytes]] = []
        kinds = (("a.mkv", "ffv1", "gray16le"), ("b.mkv", "libx264", "yuv420p"), ("c.mp4", "libx264", "yuv420p"))
        kinds += (("d.avi", "mjpeg", "yuvj420p"), ("e.ts", "mpeg2video", "yuv420p"), ("f.webm", "libvpx", "yuv420p"))
        for name, codec, pixels in kinds:
            with av.open(str(folder / name), "w") as file:
                stream: Any = file.add_stream(codec, rate=fractions.Fraction(25))
                stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
                for n in range(10):
                    frame = np.roll(np.tile(np.arange(64, dtype=np.uint8) * 3, (48, 1)), 3 * n, 1)
                    file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "gray").reformat(format=pixels)))
                file.mux(stream.encode(None))
            self.intact.append((name, (folder / name).read_bytes()))

    def prepare(self, number: int, rng: np.random.Generator) -> tuple[Path, Callable[[], str | None]]:
        """See `Cases.prepare`."""
        name, data = self.intact[rng.integers(len(self.intact))]
        path = self.folder / f"{number}{Path(name).suffix}"
        path.write_bytes(damage(data, rng))

        def attempt() -> None:
            video = VideoFile(path)
            list(itertools.islice(video.sample(4), 4))
            for frame in itertools.islice(video, 50):
                frame.luma()

        return path, attempt
