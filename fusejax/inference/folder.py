"""Fusing image files, with reading, the network and writing overlapped."""

import dataclasses
import errno
import math
import sys
import warnings
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

from fusejax.inference.backend import Backend
from fusejax.inference.jobs import Jobs, find_jobs, make_out
from fusejax.inference.loading import opened
from fusejax.inference.memory import check_tile, parse_memory
from fusejax.inference.pair_files import PairTask, Settings
from fusejax.inference.thermal import (
    Polarity,
    Range,
    RangeOption,
    automatic_ranges,
    check_range,
    describe_range,
)
from fusejax.io.image_headers import ImageWarning, bits_per_sample
from fusejax.io.images import as_infrared, read_thermal
from fusejax.progress import track

Item, T = TypeVar("Item"), TypeVar("T")

_THREADS = 4
# Limits for the pairs that are being read, and also for those being written, in addition to the
# pair in the network: a number of pairs and a number of pixels. Larger images are fused one at a
# time.
_PAIRS_IN_FLIGHT = 8
_PIXELS_IN_FLIGHT = 2**23
# Bytes per pixel: 12 for a pair that waits for the network, 17 for one that is being colored and
# encoded.
_BYTES_IN_FLIGHT = (12 + 17) * _PIXELS_IN_FLIGHT
# If a folder holds at least this many pairs of one size, the network is compiled for that exact
# size: compiling costs about as much as for a bucket, and every pair is faster.
_OWN_PROGRAM = 16


@dataclasses.dataclass(frozen=True)
class FusedFolder:
    """Result of `fuse_folder`.

    Attributes:
        written: paths of the fused images, in the order of the pairs.
        existing: paths of fused images that already existed and were kept.
        skipped: one line per skipped pair.
    """

    written: list[Path]
    existing: list[Path]
    skipped: list[str]


def fuse_folder(
    ir: str | Path,
    vi: str | Path,
    out: str | Path,
    *,
    weights: str | Path | Backend = "light",
    resize: Literal["ir"] | None = None,
    keep_ir: bool = False,
    ir_range: RangeOption = "auto",
    ir_polarity: Polarity = "white",
    stretch: bool = False,
    bits: Literal[8, 16] | None = None,
    recursive: bool = False,
    overwrite: bool = False,
    skip_existing: bool = False,
    skip_bad: bool = False,
    panel: bool = False,
    maps: bool = False,
    tile: str = "auto",
    memory: str | None = None,
) -> FusedFolder:
    """Fuses a pair of image files, or two folders of them that are paired by file stem.

    Progress is reported on standard error. Every file is either complete or absent, and the fused
    image is written after its panel and maps, so an interrupted call can be continued with
    `skip_existing`. With `ir_range="auto"`, which uses one range for all images, infrared files of
    more than 8 bits are read twice. The network is compiled for buckets of sizes. If 16 or more
    pairs share a size, it is compiled for that exact size, which is faster; the two results differ
    only by float rounding.

    Args:
        ir: infrared image, or folder.
        vi: visible image, or folder.
        out: folder for the fused images, or for a single pair a file name. Fused images keep the
            visible image's stem, size and bit depth, and its format if it is lossless (png, bmp,
            tif); otherwise they are png.
        weights: see `fusejax.load`, or what it returns.
        resize: "ir" resamples each infrared image to the size of the visible image.
        keep_ir: also write the infrared images as the network saw them to OUT/ir.
        ir_range: see `fusejax.fuse`; in units of the file values.
        ir_polarity: see `fusejax.fuse`.
        stretch: stretch the luma of each fused image to the full range.
        bits: bit depth of the fused images, 8 or 16; by default that of the visible image.
        recursive: also fuse images in subfolders, and keep the folder structure in `out`.
        overwrite: replace existing fused images. Sources are never replaced.
        skip_existing: keep existing fused images and fuse the rest.
        skip_bad: skip unusable pairs and list them, instead of stopping.
        panel: also write infrared | visible | fused | fused in color to OUT/panels.
        maps: also write the network's attention and alpha maps to OUT/maps (FusionNet only).
        tile: "auto", "off" or the side of the tiles in pixels, see `Fuser`; maps are never tiled.
        memory: peak memory that the process may use with `tile="auto"`, such as "2G".

    Returns:
        The files that were written and kept, and the pairs that were skipped.

    Raises:
        ValueError: before any work, if sources, options or weights cannot be used; during the run,
            if an image is damaged (with `skip_bad` it is skipped).
        OSError: if fused images already exist or a file cannot be written; names the file.
    """
    ir, vi, out = Path(ir), Path(vi), Path(out)
    ir_range, limit = check_range(ir_range), parse_memory(memory) if memory else None
    check_tile(tile)
    jobs = find_jobs(
        ir,
        vi,
        out,
        resize=resize is not None,
        bits=bits,
        recursive=recursive,
        overwrite=overwrite,
        skip_existing=skip_existing,
        skip_bad=skip_bad,
    )
    if not jobs.todo:
        return FusedFolder([], jobs.existing, jobs.skipped)
    shared = _BYTES_IN_FLIGHT if limit and len(jobs.todo) > 1 else 0
    backend = opened(weights, tile=tile, memory=limit - shared if limit else None)
    if maps:
        backend.check_maps()
    for size in sorted({job.size for job in jobs.todo}):
        backend.check_size(size)
    folder = out if out != jobs.todo[0].target else out.parent
    make_out(folder, jobs.todo, bits=bits)
    ranges = _find_ranges(jobs, ir_range)
    settings = Settings(folder, stretch, bits, ir_polarity, ranges, keep_ir, panel, maps, skip_bad)
    counts = Counter(job.size for job in jobs.every)
    exact = frozenset() if maps else frozenset(size for size, n in counts.items() if n >= _OWN_PROGRAM)
    try:
        written, bad = _fuse_all([PairTask(job, settings, backend) for job in jobs.todo], exact)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        text = f"{error.strerror}; finished images are complete: free space and continue with --skip-existing"
        raise OSError(error.errno, text, error.filename) from error
    return FusedFolder(written, jobs.existing, jobs.skipped + bad)


def _find_ranges(jobs: Jobs, ir_range: RangeOption) -> dict[np.dtype, Range]:
    """The range of infrared values for each pixel type.

    Types that are missing use their full range.
    """
    if not isinstance(ir_range, str):
        return {np.dtype(t): ir_range for t in (np.uint8, np.uint16, np.float32, np.float64)}
    if ir_range == "full":
        return {}
    deep = [job.pair.ir for job in jobs.every if bits_per_sample(job.pair.ir) > 8]
    largest = max(math.prod(job.size) for job in jobs.every)
    with ThreadPoolExecutor(_THREADS) as pool:
        ahead = min(_THREADS, _PIXELS_IN_FLIGHT // largest)
        images = _map_ahead(pool, lambda path: as_infrared(read_thermal(path)), deep, ahead=ahead)
        if len(deep) > 1:
            images = track(images, len(deep), description="measuring infrared values", unit="images")
        ranges = automatic_ranges(images)
    for dtype, chosen in ranges.items():
        if line := describe_range(chosen, dtype):
            warnings.warn(line, ImageWarning, stacklevel=3)
    return ranges


def _fuse_all(pairs: Sequence[PairTask], exact: frozenset[tuple[int, int]]) -> tuple[list[Path], list[str]]:
    """Fuses one pair at a time while others are being read and written.

    Args:
        pairs: pairs to fuse.
        exact: sizes for which the network is compiled exactly.

    Returns:
        The files written, and one line per pair that could not be read.
    """
    written, bad = [], []
    pending: deque[Future] = deque()
    said: set[str] = set()
    advised = False
    largest = max(math.prod(pair.job.size) for pair in pairs)
    ahead = min(_PAIRS_IN_FLIGHT, _PIXELS_IN_FLIGHT // largest)
    with ThreadPoolExecutor(_THREADS) as pool:
        loaded = _map_ahead(pool, PairTask.read, pairs, ahead=ahead)
        for pair in track(loaded, len(pairs), description="fusing", unit="pairs"):
            if pair.problem:
                bad.append(pair.problem)
                continue
            if pair.advice and not advised:
                advised = True
                warnings.warn(pair.advice, ImageWarning, stacklevel=3)
            exact_size = pair.job.size in exact
            line = pair.describe_work(exact_size=exact_size)
            if line is not None and line not in said:
                said.add(line)
                print(line, file=sys.stderr, flush=True)
            pair.fuse(exact_size=exact_size)
            pending.append(pool.submit(pair.write))
            written.append(pair.job.target)
            del pair
            while len(pending) > ahead or (pending and pending[0].done()):
                pending.popleft().result()
        for write in pending:
            write.result()
    return written, bad


def _map_ahead(pool: ThreadPoolExecutor, function: Callable[[Item], T], items: Sequence[Item], *, ahead: int):
    """Yields results in order while the next few are computed in the background."""
    waiting = deque(pool.submit(function, item) for item in items[:ahead])
    for n in range(len(items)):
        if n + ahead < len(items):
            waiting.append(pool.submit(function, items[n + ahead]))
        yield waiting.popleft().result()
