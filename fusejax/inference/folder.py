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
from typing import Any

from fusejax.inference.backend import Backend
from fusejax.inference.folder_ranges import PIXELS_IN_FLIGHT, THREADS, find_ranges, map_ahead
from fusejax.inference.jobs import Shard, find_jobs, make_out
from fusejax.inference.loading import opened
from fusejax.inference.options import FolderOptions, memory_limit
from fusejax.inference.pair_files import PairTask, Settings
from fusejax.io.align import Aligner, chosen_aligner
from fusejax.io.image_headers import ImageWarning
from fusejax.progress import track

# Limit for the pairs that are being read, and also for those being written, in addition to the pair
# in the network; `PIXELS_IN_FLIGHT` limits both, too.
_PAIRS_IN_FLIGHT = 8
# Bytes per pixel: 12 for a pair that waits for the network, 25 for one that is being colored and
# encoded.
_BYTES_IN_FLIGHT = (12 + 25) * PIXELS_IN_FLIGHT
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
    weights: str | Path | Backend = "light",
    options: FolderOptions | None = None,
    align: Aligner | None = None,
    shard: Shard | None = None,
    **changes: Any,
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
        weights: see `fusejax.load`, or what it returns.
        options: see `FolderOptions`; by default its defaults.
        align: a step that may change every pair before it is fused, see
            `fusejax.inference.Aligner`.
        shard: (I, N): fuse only every N-th pair, beginning with the I-th, for several machines that
            see the same folders. The files are the same bytes as those of one call.
        **changes: single `FolderOptions` instead of those of `options`, such as `panel=True`.

    Returns:
        The files that were written and kept, and the pairs that were skipped.

    Raises:
        ValueError: before any work, if sources, options or weights cannot be used; during the run,
            if an image is damaged (with `skip_bad` it is skipped).
        OSError: if fused images already exist or a file cannot be written; names the file.
    """
    ir, vi, out = Path(ir), Path(vi) if vi is not None else None, Path(out)
    options = dataclasses.replace(options or FolderOptions(), **changes)
    limit = memory_limit(options.memory)
    align = chosen_aligner(align, options.resize)
    jobs = find_jobs(ir, vi, out, options=options, any_size=align.any_size, shard=shard)
    if not jobs.todo:
        return FusedFolder([], jobs.existing, jobs.skipped)
    shared = _BYTES_IN_FLIGHT if limit and len(jobs.todo) > 1 else 0
    backend = opened(weights, tile=options.tile, memory=limit - shared if limit else None)
    if options.maps:
        backend.check_maps()
    for size in sorted({job.size for job in jobs.todo}):
        backend.check_size(size)
    folder = out if out != jobs.todo[0].target else out.parent
    make_out(folder, jobs.todo, bits=options.bits)
    ranges = find_ranges({job.pair: job.header for job in jobs.every}, options.ir_range, options)
    settings = Settings(folder, options, align, ranges)
    counts = Counter(job.size for job in jobs.every)
    exact = frozenset() if options.maps else frozenset(size for size, n in counts.items() if n >= _OWN_PROGRAM)
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
    ahead = min(_PAIRS_IN_FLIGHT, PIXELS_IN_FLIGHT // largest)
    with ThreadPoolExecutor(THREADS) as pool:
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
            exact_size = pair.size in exact
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
