"""Fusing image files: reading, the network and writing overlap."""

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

from fusejax.data.image_headers import ImageWarning, bits_per_sample
from fusejax.data.images import as_infrared, read_thermal
from fusejax.inference.fuser import Fuser
from fusejax.inference.jobs import Jobs, find_jobs, make_out
from fusejax.inference.memory import check_tile, parse_memory
from fusejax.inference.pair_files import PairOnItsWay, Settings
from fusejax.inference.thermal import (
    Polarity,
    Range,
    RangeOption,
    automatic_ranges,
    check_range,
    describe_range,
)
from fusejax.report.progress import track

Item, T = TypeVar("Item"), TypeVar("T")

_THREADS = 4
# Pairs that are being read, and as many that are being written, beside the one in the network: so
# many, or as hold so many pixels. Larger images are fused one after the other.
_PAIRS_IN_FLIGHT = 8
_PIXELS_IN_FLIGHT = 2**23
# Per pixel: 12 of a pair that waits for the network, 17 of one that is colored and encoded.
_BYTES_IN_FLIGHT = (12 + 17) * _PIXELS_IN_FLIGHT
# From so many pairs of one size on in a folder, they get a program of this size: compiling costs
# about as much as for a bucket, and every pair is faster.
_OWN_PROGRAM = 16


@dataclasses.dataclass(frozen=True)
class FusedFolder:
    """What `fuse_folder` did.

    Attributes:
        written: the fused images, in the order of the pairs.
        existing: fused images that were there already and were kept.
        skipped: a line for each pair that was left out.
    """

    written: list[Path]
    existing: list[Path]
    skipped: list[str]


def fuse_folder(
    ir: str | Path,
    vi: str | Path,
    out: str | Path,
    *,
    weights: str | Path = "light",
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

    Reports progress on standard error. Every image appears complete or not at all, the fused one
    after its panel and maps, so an interrupted call continues with `skip_existing`. Infrared files
    of more than 8 bits are read twice with `ir_range="auto"`, which takes one range for all. The
    network is compiled for buckets of sizes, and for the very size where 16 or more pairs of the
    sources have it, which is faster; results of the two differ by float rounding only.

    Args:
        ir: infrared image, or folder.
        vi: visible image, or folder.
        out: folder for the fused images; they keep the visible image's stem, size and bit depth,
            and its format if that is lossless (png, bmp, tif), else png. For one pair also a file
            name.
        weights: shipped name, .safetensors file, or folder of a finished run.
        resize: "ir" resamples infrared images of another size to that of the visible one.
        keep_ir: also write the infrared images as the network saw them, to OUT/ir.
        ir_range: see `fusejax.fuse`; in the values of the files.
        ir_polarity: see `fusejax.fuse`.
        stretch: stretch each fused luma to the full range.
        bits: 8 or 16 per channel of the fused images; by default as the visible image.
        recursive: also fuse the sub-folders and keep them in `out`.
        overwrite: replace fused images that exist. Sources are never replaced.
        skip_existing: keep fused images that exist and fuse the rest.
        skip_bad: leave out unusable pairs and list them, instead of stopping.
        panel: also write infrared | visible | fused | fused in color, to OUT/panels.
        maps: also write the network's attention and alpha maps, to OUT/maps (FusionNet).
        tile: "auto", "off" or the side of tiles in pixels, see `Fuser`; maps are always whole.
        memory: that the process may use at its peak, such as "2G", for `tile="auto"`.

    Returns:
        The files written and kept, and what was left out.

    Raises:
        ValueError: before any work, if sources, options or weights cannot be used; while reading,
            if an image is damaged (with `skip_bad` it is left out).
        OSError: if existing images are in the way or a file cannot be written; it names the file.
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
    fuser = Fuser.load(weights, tile=tile, memory=limit - shared if limit else None)
    if maps:
        fuser.check_maps()
    folder = out if out != jobs.todo[0].target else out.parent
    make_out(folder, jobs.todo, bits=bits)
    ranges = _find_ranges(jobs, ir_range)
    settings = Settings(folder, stretch, bits, ir_polarity, ranges, keep_ir, panel, maps, skip_bad)
    counts = Counter(job.size for job in jobs.every)
    exact = frozenset() if maps else frozenset(size for size, n in counts.items() if n >= _OWN_PROGRAM)
    try:
        written, bad = _fuse_all([PairOnItsWay(job, settings, fuser) for job in jobs.todo], exact)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        text = f"{error.strerror}; finished images are complete, free space and continue with --skip-existing"
        raise OSError(error.errno, text, error.filename) from error
    return FusedFolder(written, jobs.existing, jobs.skipped + bad)


def _find_ranges(jobs: Jobs, ir_range: RangeOption) -> dict[np.dtype, Range]:
    """The range of infrared values for each type of pixels.

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


def _fuse_all(pairs: Sequence[PairOnItsWay], exact: frozenset[tuple[int, int]]) -> tuple[list[Path], list[str]]:
    """Fuses pair by pair, while others are read and written.

    Args:
        pairs: what to fuse.
        exact: sizes that get a program of their own.

    Returns:
        The files written and a line for each pair that could not be read.
    """
    written, bad = [], []
    pending: deque[Future] = deque()
    said: set[str] = set()
    advised = False
    largest = max(math.prod(pair.job.size) for pair in pairs)
    ahead = min(_PAIRS_IN_FLIGHT, _PIXELS_IN_FLIGHT // largest)
    with ThreadPoolExecutor(_THREADS) as pool:
        loaded = _map_ahead(pool, PairOnItsWay.read, pairs, ahead=ahead)
        for pair in track(loaded, len(pairs), description="fusing", unit="pairs"):
            if pair.problem:
                bad.append(pair.problem)
                continue
            if pair.advice and not advised:
                advised = True
                warnings.warn(pair.advice, ImageWarning, stacklevel=3)
            exact_size = pair.job.size in exact
            if (line := pair.program(exact_size=exact_size)) not in said:
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
    """Results in order; the next few are computed while the caller works."""
    waiting = deque(pool.submit(function, item) for item in items[:ahead])
    for n in range(len(items)):
        if n + ahead < len(items):
            waiting.append(pool.submit(function, items[n + ahead]))
        yield waiting.popleft().result()
