"""How often `is_aligned` is right: coverage of its interval under small made-up deformations.

    python scripts/table.py registration-residuals --data-root DIR [--sets roadscene/val]
    [--every 1]

Every registered pair (folders `ir` and `vi`, files of one name) is deformed by a shift of at most
2 % of the width in a random direction, 1 degree, 2 % of scale and corners of 2 pixels at 640, all
scaled by one number from 0 to 1, with seeds from the name, so that residuals from 0 to about 15
pixels occur; what the pair itself is off counts as an error of the answer. Pairs of different
scenes should give no answer.
"""

import dataclasses
import time
import zlib
from pathlib import Path

import cv2
import numpy as np

from fusejax.io.images import as_infrared, as_visible, read_image
from fusejax.registration import is_aligned
from fusejax.registration.geometry import corners, translation
from fusejax.registration.residual import displacement


@dataclasses.dataclass(frozen=True)
class ResidualOptions:
    """What to measure.

    Attributes:
        data_root: folder of the data sets.
        sets: folders of registered pairs below it.
        every: take every n-th pair of each set.
        verbose: print every pair.
    """

    data_root: Path
    sets: tuple[str, ...] = ("roadscene/val",)
    every: int = 1
    verbose: bool = False


def _moved(ir: np.ndarray, vi: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray, float]:
    """A pair that is off by a known distance: windows of 90 % of the images."""
    h, w = vi.shape[:2]
    rows, columns = round(0.9 * h), round(0.9 * w)
    top, left = (h - rows) // 2, (w - columns) // 2
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    much = rng.uniform()
    far, turn, zoom, corner = much * np.array([0.02 * columns, np.radians(1), 0.02, 2 / 640 * columns])
    frame, way, turn = corners((rows, columns)), rng.uniform(0, 2 * np.pi), rng.uniform(-turn, turn)
    rotation = (1 + rng.uniform(-zoom, zoom)) * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    moved = (frame - frame.mean(axis=0)) @ rotation.T + frame.mean(axis=0) + far * np.array([np.cos(way), np.sin(way)])
    moved = moved + rng.uniform(-corner, corner, (4, 2))
    truth = cv2.getPerspectiveTransform(frame.astype(np.float32), moved.astype(np.float32)).astype(np.float64)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    window = translation(left, top) @ np.linalg.inv(truth)
    cut = cv2.warpPerspective(ir, window, (columns, rows), flags=flags, borderMode=cv2.BORDER_REFLECT)
    seen = vi[top : top + rows, left : left + columns]
    return cut, seen, displacement(truth, cut.shape[:2], seen.shape[:2])


def main(options: ResidualOptions) -> None:
    """Prints a line for every set."""
    for folder in options.sets:
        files = sorted((options.data_root / folder / "ir").iterdir())[:: options.every]
        others = [next((options.data_root / folder / "vi").glob(f"{file.stem}.*")) for file in files]
        errors, halves, inside, told, called, seconds = [], [], 0, 0, 0, []
        for number, (file, other) in enumerate(zip(files, others, strict=True)):
            ir, vi = as_infrared(read_image(file))[..., 0], as_visible(read_image(other))
            cut, seen, truth = _moved(ir, vi, f"{folder}/{file.stem}")
            start = time.process_time()
            found = is_aligned(cut, seen)
            seconds.append(time.process_time() - start)
            wrong = is_aligned(ir, as_visible(read_image(others[(number + len(files) // 2) % len(files)])))
            called += not wrong.unknown
            if options.verbose:
                print(f"{file.stem} {cut.shape[1]}: {truth:.2f}, {found}; another scene: {wrong}", flush=True)
            if not found.unknown:
                told += 1
                inside += found.low <= truth <= found.high
                errors.append(abs(found.pixels - truth))
                halves.append(found.high - found.pixels)
        quantiles = " ".join(f"{q:.2f}" for q in np.quantile(errors, [0.5, 0.9, 0.95])) if errors else "-"
        print(
            f"{folder}: {len(files)} pairs, {told} answered, interval of +-{np.mean(halves):.1f} holds for "
            f"{inside / max(told, 1):.0%}; error 50/90/95 %: {quantiles} pixels; answers for different scenes: "
            f"{called}; {np.median(seconds):.1f} s of CPU each",
            flush=True,
        )
