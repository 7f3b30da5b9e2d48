"""Fusing image files: reading, the network and writing overlap."""

import dataclasses
import sys
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import jax
import numpy as np

from fusejax.data.image_headers import ImageWarning, bits_per_sample
from fusejax.data.images import as_infrared, read_thermal
from fusejax.data.pairing import size_text
from fusejax.inference.fuser import Fused, Fuser, bucket
from fusejax.inference.jobs import Job, Jobs, find_jobs
from fusejax.inference.memory import check_tile, parse_memory
from fusejax.inference.pair_files import Advice, Settings, read_pair, write_result
from fusejax.inference.thermal import (
    Polarity,
    Range,
    RangeOption,
    automatic_ranges,
    check_range,
    describe_range,
    full_range,
)
from fusejax.report.progress import track

_THREADS = 4
_READ_AHEAD = 4
_PENDING_WRITES = 8


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
    of more than 8 bits are read twice with `ir_range="auto"`, which takes one range for all.

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
    fuser = Fuser.load(weights, tile=tile, memory=limit)
    if maps:
        fuser.check_maps()
    ranges = _find_ranges(jobs, ir_range)
    folder = out if out != jobs.todo[0].target else out.parent
    settings = Settings(folder, stretch, bits, ir_polarity, ranges, keep_ir, panel, maps)
    written, bad = _fuse_all(jobs.todo, fuser, settings, skip_bad=skip_bad)
    return FusedFolder(written, jobs.existing, jobs.skipped + bad)


def _find_ranges(jobs: Jobs, ir_range: RangeOption) -> dict[np.dtype, Range]:
    """The range of infrared values for each type of pixels.

    Types that are missing use their full range.
    """
    if not isinstance(ir_range, str):
        return {np.dtype(t): ir_range for t in (np.uint8, np.uint16, np.float32, np.float64)}
    if ir_range == "full":
        return {}
    deep = [pair.ir for pair in jobs.pairs if bits_per_sample(pair.ir) > 8]
    with ThreadPoolExecutor(_THREADS) as pool:
        images = _map_ahead(pool, lambda path: as_infrared(read_thermal(path)), deep)
        if len(deep) > 1:
            images = track(images, len(deep), description="measuring infrared values", unit="images")
        ranges = automatic_ranges(images)
    for dtype, chosen in ranges.items():
        if line := describe_range(chosen, dtype):
            warnings.warn(line, ImageWarning, stacklevel=3)
    return ranges


def _fuse_all(jobs: Sequence[Job], fuser: Fuser, settings: Settings, *, skip_bad: bool) -> tuple[list[Path], list[str]]:
    """Fuses pair by pair.

    Returns the files written and a line for each pair that could not be read.
    """
    written, bad = [], []
    pending: deque[Future] = deque()
    compiled: set[tuple[int, int]] = set()
    advice = Advice()
    with ThreadPoolExecutor(_THREADS) as pool:
        loaded = _map_ahead(pool, lambda job: read_pair(job.pair, skip_bad=skip_bad), jobs)
        for job, pair in zip(jobs, track(loaded, len(jobs), description="fusing", unit="pairs"), strict=True):
            if isinstance(pair, str):
                bad.append(pair)
                continue
            ir, vi = pair
            advice.check(job.pair, ir, vi)
            _announce(vi.shape[:2], compiled)
            fused = _fuse_one(job, as_infrared(ir), vi, fuser, settings)
            pending.append(pool.submit(write_result, job, vi, fused, settings))
            while len(pending) > _PENDING_WRITES or (pending and pending[0].done()):
                pending.popleft().result()
            written.append(job.target)
        for write in pending:
            write.result()
    return written, bad


def _fuse_one(job: Job, ir: np.ndarray, vi: np.ndarray, fuser: Fuser, settings: Settings) -> Fused:
    chosen = settings.ranges.get(ir.dtype, full_range(ir.dtype))
    try:
        return fuser.fuse_pair(
            ir,
            vi,
            stretch=settings.stretch,
            ir_range=chosen,
            ir_polarity=settings.polarity,
            bits=settings.bits,
            maps=settings.maps,
        )
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        if isinstance(error, jax.errors.JaxRuntimeError) and "memory" not in str(error).lower():
            raise
        raise ValueError(
            f"{job.pair.vi}: {size_text(vi.shape[:2])} pixels need more memory than there is; "
            "fuse the pair at a smaller size or in parts, or on a machine with more memory."
        ) from error


def _map_ahead(pool: ThreadPoolExecutor, function, items: Sequence) -> Iterator:
    """Results in order; the next few are computed while the caller works."""
    waiting = deque(pool.submit(function, item) for item in items[:_READ_AHEAD])
    for n in range(len(items)):
        if n + _READ_AHEAD < len(items):
            waiting.append(pool.submit(function, items[n + _READ_AHEAD]))
        yield waiting.popleft().result()


def _announce(size: tuple[int, int], compiled: set[tuple[int, int]]) -> None:
    padded = bucket(size[0]), bucket(size[1])
    if padded not in compiled:
        compiled.add(padded)
        text = f"compiling the network for images of up to {size_text(padded)}, once per size (kept for later runs)"
        print(text, file=sys.stderr, flush=True)
