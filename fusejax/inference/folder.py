"""Fusing image files, with reading, the network and writing overlapped."""

import dataclasses
import errno
import math
import sys
import warnings
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Literal, TypeVar

from fusejax.inference.align import Aligner, chosen_aligner
from fusejax.inference.backend import Backend
from fusejax.inference.beside import BESIDE, Beside
from fusejax.inference.folder_ranges import find_ranges, map_ahead
from fusejax.inference.jobs import Shard, find_jobs, make_out
from fusejax.inference.loading import opened
from fusejax.inference.memory import check_tile, memory_limit
from fusejax.inference.pair_checks import check_strength
from fusejax.inference.pair_files import PairTask, Settings
from fusejax.inference.pair_sources import SourceOptions
from fusejax.inference.styles import Style, check_style
from fusejax.inference.thermal import (
    Polarity,
    RangeOption,
    check_range,
)
from fusejax.io.cameras import Degrees
from fusejax.io.cameras.frame import Frame
from fusejax.io.cameras.units import Stored
from fusejax.io.image_headers import ImageFormat, ImageWarning
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
    vi: str | Path | None,
    out: str | Path,
    *,
    ir_pattern: str | None = None,
    vi_pattern: str | None = None,
    frame: Frame = "vi",
    units: Degrees | None = None,
    ir_unit: Stored = "auto",
    temperature: bool = False,
    above: float | None = None,
    metadata: bool = True,
    format: ImageFormat | None = None,
    quality: int = 95,
    weights: str | Path | Backend = "light",
    resize: Literal["ir"] | None = None,
    align: Aligner | None = None,
    strength: float = 1.0,
    style: Style = "fused",
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
    shard: Shard | None = None,
) -> FusedFolder:
    """Fuses a pair of image files, two folders of them that are paired by their names, or the files
    of cameras that hold both images.

    Progress is reported on standard error. Every file is either complete or absent, and the fused
    image is written after its panel and maps, so an interrupted call can be continued with
    `skip_existing`. With `ir_range="auto"`, which uses one range for all images, infrared files of
    more than 8 bits are read twice. The network is compiled for buckets of sizes. If 16 or more
    pairs share a size, it is compiled for that exact size, which is faster; the two results differ
    only by float rounding.

    Args:
        ir: infrared image, or folder; or a path with wildcards in the file name; or a CSV file that
            lists pairs. See `fusejax.io.pair_finding.find_pairs`.
        vi: visible image, or folder; None if the infrared files also hold the visible image, as
            radiometric JPEG files of FLIR do, or if `ir` names both.
        out: folder for the fused images, or for a single pair a file name. Fused images keep the
            visible image's stem, size and bit depth, and its format if it is lossless (png, bmp,
            tif); otherwise they are png.
        ir_pattern: names of the infrared files, such as "*_T.*", see `match_pairs`.
        vi_pattern: names of the visible files.
        frame: whose pixels are kept if one file holds both images; the result shows their common
            field.
        units: unit of temperatures: "c", "k" or "f". It applies to `ir_range`, `above` and
            `temperature`. Without it, FLIR's files are in degrees Celsius and the values of other
            files are used as stored.
        ir_unit: what the values of the infrared files are, if the files do not say it: "counts",
            "k", "ck" (hundredths of a kelvin), "c" or "f".
        temperature: also write the temperatures as a float32 TIFF in the frame of the fused image,
            to OUT/temperature.
        above: mark everything above this value in the fused image; in `units`, or in the values of
            the files.
        metadata: keep EXIF, XMP, IPTC, GPS and color profile of the visible image, and add what is
            known about the thermal camera.
        format: format of the fused images: "png", "jpg", "tif" or "webp"; by default that of the
            visible image if it is lossless, else png.
        quality: quality of JPEG and WebP files, 1 to 100.
        weights: see `fusejax.load`, or what it returns.
        resize: "ir" resamples each infrared image to the size of the visible image.
        align: a step that may change every pair before it is fused, see
            `fusejax.inference.Aligner`.
        strength: see `fusejax.fuse`.
        style: see `fusejax.fuse`.
        keep_ir: also write the infrared images as the network saw them to OUT/ir.
        ir_range: see `fusejax.fuse`; in `units`, or in the values of the files.
        ir_polarity: see `fusejax.fuse`.
        stretch: stretch the luma of each fused image to the full range.
        bits: bit depth of the fused images, 8 or 16; by default that of the visible image.
        recursive: also fuse images in subfolders, and keep the folder structure in `out`.
        overwrite: replace existing files. Sources are never replaced.
        skip_existing: keep existing files and fuse the rest.
        skip_bad: skip unusable pairs and list them, instead of stopping.
        panel: also write infrared | visible | fused | fused in color to OUT/panels.
        maps: also write the network's attention and alpha maps to OUT/maps (FusionNet only).
        tile: "auto", "off" or the side of the tiles in pixels, see `Fuser`; maps are never tiled.
        memory: peak memory that the process may use with `tile="auto"`, such as "2G".
        shard: (I, N): fuse only every N-th pair, beginning with the I-th, for several machines that
            see the same folders. The files are the same bytes as those of one call.

    Returns:
        The files that were written and kept, and the pairs that were skipped.

    Raises:
        ValueError: before any work, if sources, options or weights cannot be used; during the run,
            if an image is damaged (with `skip_bad` it is skipped).
        OSError: if fused images already exist or a file cannot be written; names the file.
    """
    ir, vi, out = Path(ir), Path(vi) if vi is not None else None, Path(out)
    if not 1 <= quality <= 100:
        raise ValueError(f"quality is {quality}; it must be from 1 to 100.")
    check_style(style, strength=check_strength(strength), stretch=stretch, maps=maps)
    sources = SourceOptions(frame, units, ir_unit, degrees=temperature)
    ir_range, limit = check_range(ir_range), memory_limit(memory)
    check_tile(tile)
    wanted = dict(zip(BESIDE, (keep_ir, panel, maps, temperature), strict=True))
    beside: tuple[Beside, ...] = tuple(kind for kind in BESIDE if wanted[kind])
    align = chosen_aligner(align, resize)
    jobs = find_jobs(
        ir,
        vi,
        out,
        sources=sources,
        ir_pattern=ir_pattern,
        vi_pattern=vi_pattern,
        format=format,
        any_size=align.any_size,
        resize=resize is not None,
        bits=bits,
        recursive=recursive,
        overwrite=overwrite,
        skip_existing=skip_existing,
        skip_bad=skip_bad,
        shard=shard,
        beside=beside,
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
    ranges = find_ranges(jobs, ir_range, sources, threads=_THREADS, pixels=_PIXELS_IN_FLIGHT)
    settings = Settings(
        folder,
        stretch,
        bits,
        ir_polarity,
        ranges,
        beside,
        skip_existing,
        skip_bad,
        sources=sources,
        above=above,
        metadata=metadata,
        quality=quality,
        align=align,
        strength=strength,
        style=style,
    )
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


def _fuse_all(pairs: Sequence[PairTask], exact: frozenset[tuple[int, int]]) -> tuple[list[Path], list[str]]:
    """Fuses one pair at a time while others are being read and written.

    Args:
        pairs: pairs to fuse.
        exact: sizes for which the network is compiled exactly.

    Returns:
        The files written, and one line per pair that could not be read.
    """
    written, bad = [], []
    left_out: dict[str, None] = {}  # in the order in which it was found
    pending: deque[Future] = deque()
    said: set[str] = set()
    advised = False
    largest = max(math.prod(pair.job.size) for pair in pairs)
    ahead = min(_PAIRS_IN_FLIGHT, _PIXELS_IN_FLIGHT // largest)
    with ThreadPoolExecutor(_THREADS) as pool:
        loaded = map_ahead(pool, PairTask.read, pairs, ahead=ahead)
        for pair in track(loaded, len(pairs), description="fusing", unit="pairs"):
            if pair.problem:
                bad.append(pair.problem)
                continue
            if pair.advice and not advised:
                advised = True
                warnings.warn(pair.advice, ImageWarning, stacklevel=3)
            if pair.empty and "empty" not in said:
                said.add("empty")
                warnings.warn(pair.empty, ImageWarning, stacklevel=3)
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
                left_out |= dict.fromkeys(pending.popleft().result())
        for write in pending:
            left_out |= dict.fromkeys(write.result())
    if left_out:
        warnings.warn(f"the fused images do not keep {'; '.join(left_out)}.", ImageWarning, stacklevel=3)
    return written, bad
