"""What a folder of radiometric JPEG files costs beside a folder of the same pairs as plain images.

    python scripts/bench.py cameras FLIR0001.jpg [--pairs 500] [--rounds 3]

The file, which must hold a visible image, is linked so many times; the plain folder holds the same
pixels as 16-bit PNG and JPEG. Both are fused in turn in this process, after one round that
compiles, and each line gives CPU time, so that other jobs of the machine matter little. The last
line compares reading with decoding the two images alone.
"""

import dataclasses
import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from PIL import Image

from fusejax.inference import fuse_folder
from fusejax.inference.options import FolderOptions
from fusejax.io.cameras import read_camera_file
from fusejax.io.images import as_infrared, from_float, write_image
from fusejax.io.pair_images import SourceOptions, read_pair
from fusejax.io.pairing import PairPaths


@dataclasses.dataclass(frozen=True)
class CameraOptions:
    """What to measure.

    Attributes:
        file: radiometric JPEG with a visible image inside.
        pairs: number of files in each folder.
        rounds: how often each folder is fused after the first round.
        weights: see `fusejax fuse`.
    """

    file: tyro.conf.Positional[Path]
    pairs: int = 500
    rounds: int = 3
    weights: str = "light"


def main(options: CameraOptions) -> None:
    """Prints CPU time and pairs per second of both folders, their ratio, and the cost of reads."""
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        _write(root, options)
        sources = {"camera": (root / "camera", None), "plain": (root / "ir", root / "vi")}
        spent: dict[str, list[float]] = {name: [] for name in sources}
        for turn in range(options.rounds + 1):
            for name, (ir, vi) in sources.items():
                wall, start = time.perf_counter(), time.process_time()
                given = FolderOptions(ir_range=(0.0, 1.0), overwrite=True)
                fuse_folder(ir, vi, root / name / "out", options=given, weights=options.weights)
                cpu, wall = time.process_time() - start, time.perf_counter() - wall
                if turn:
                    spent[name].append(cpu)
                    print(
                        f"{name}: {1e3 * cpu / options.pairs:.1f} ms CPU per pair, {options.pairs / wall:.1f} pairs/s"
                    )
        ratio = statistics.median(spent["camera"]) / statistics.median(spent["plain"])
        print(f"camera files cost {ratio:.2f} times the CPU time of plain pairs")
    pair = PairPaths("a", options.file, options.file)
    whole = _milliseconds(lambda: read_pair(pair, SourceOptions()))
    alone = _milliseconds(_decoder(options.file))
    print(f"reading: {whole:.1f} ms CPU, of which decoding the two images is {alone:.1f} ms")


def _write(root: Path, options: CameraOptions) -> None:
    pair = PairPaths("a", options.file.resolve(), options.file.resolve())
    images = read_pair(pair, SourceOptions())
    ir = as_infrared(images.ir).astype(np.float64)
    ir = from_float(((ir - ir.min()) / max(np.ptp(ir), 1e-9)).astype(np.float32), np.uint16)
    for kind in ("camera", "ir", "vi"):
        (root / kind).mkdir()
    write_image(root / "a.png", ir)
    write_image(root / "a.jpg", images.vi)
    for n in range(options.pairs):
        os.symlink(pair.ir, root / "camera" / f"{n:05d}.jpg")
        os.symlink(root / "a.png", root / "ir" / f"{n:05d}.png")
        os.symlink(root / "a.jpg", root / "vi" / f"{n:05d}.jpg")


def _decoder(path: Path) -> Callable[[], Any]:
    """Decodes both images of a file from memory, as PNG and JPEG."""
    found = read_camera_file(path, counts=True)
    assert found is not None and found.visible is not None
    files = []
    for pixels, kind in ((found.thermal[..., 0], "PNG"), (found.visible, "JPEG")):
        Image.fromarray(pixels).save(file := io.BytesIO(), kind)
        files.append(file)
    return lambda: [np.asarray(Image.open(file)) for file in files]


def _milliseconds(work: Callable[[], Any], *, times: int = 20) -> float:
    spent = []
    for _ in range(times):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return 1e3 * statistics.median(spent)
