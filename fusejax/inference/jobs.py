"""The work of one `fuse_folder` call.

Finds the pairs and output files, and makes every check that needs no pixels.
"""

import dataclasses
import math
import shutil
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fusejax.io.image_headers import ImageWarning, bits_per_sample, image_size
from fusejax.io.images import SUFFIXES
from fusejax.io.outputs import check_out
from fusejax.io.pairing import PairError, PairPaths, match_pairs, size_text

_LOSSLESS = (".png", ".bmp", ".tif", ".tiff")
_SIXTEEN_BIT = (".png", ".tif", ".tiff")
_SHOWN = 8
_LIKELY_SHARE = 0.5  # of the raw RGB bytes that a compressed camera image needs
_LARGEST_STRETCH = 1.03  # of one side relative to the other; sides are rounded to pixels


@dataclasses.dataclass(frozen=True)
class Job:
    """One pair, the file that its fused image is written to, and its height and width."""

    pair: PairPaths
    target: Path
    size: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Jobs:
    """All pairs of one call.

    Attributes:
        todo: jobs that have to be done.
        existing: fused images that already exist, if these may be skipped.
        skipped: one line per skipped pair.
        every: jobs for all usable pairs, including those in `existing`.
    """

    todo: list[Job]
    existing: list[Path]
    skipped: list[str]
    every: list[Job]


def find_jobs(
    ir: Path,
    vi: Path,
    out: Path,
    *,
    resize: bool = False,
    bits: int | None = None,
    recursive: bool = False,
    overwrite: bool = False,
    skip_existing: bool = False,
    skip_bad: bool = False,
) -> Jobs:
    """Pairs the sources and decides where each result goes; reads headers only and writes nothing.

    Args:
        ir: infrared image, or folder.
        vi: visible image, or folder.
        out: folder, or for a single pair an image file.
        resize: whether infrared images may differ in size from the visible ones.
        bits: bit depth of the fused images; by default that of the visible images.
        recursive: also pair images in subfolders, and keep the folder structure in `out`.
        overwrite: replace existing fused images.
        skip_existing: keep existing fused images and skip their pairs.
        skip_bad: skip unusable pairs instead of raising.

    Returns:
        The jobs, sorted by name.

    Raises:
        PairError: if sources are missing, identical or incompatible, or `out` is a source.
        ImageError: if a single image is unreadable.
        FileExistsError: if fused images exist and neither option allows that.
        OSError: if `out` cannot be written.
    """
    if overwrite and skip_existing:
        raise PairError(
            "Existing images are either replaced (--overwrite) or kept (--skip-existing); give only one of the two."
        )
    pairs, skipped = _find_pairs(ir, vi, recursive=recursive, skip_bad=skip_bad)
    with ThreadPoolExecutor() as pool:  # thousands of headers, and reading each one waits for the disk
        sizes = dict(zip(pairs, pool.map(lambda p: (image_size(p.ir), image_size(p.vi)), pairs), strict=True))
    problems = {p.id: text for p in pairs if (text := _size_problem(p, *sizes[p], resize=resize))}
    if problems and not skip_bad:
        lines = "\n  ".join(list(problems.values())[:_SHOWN])
        raise PairError(
            f"{len(problems)} of {len(pairs)} pairs do not fit together (sizes are width x height):\n  {lines}\n"
            + (
                "Crop or register them first."
                if resize
                else "Register them first, or resample infrared with --resize ir."
            )
        )
    pairs = [p for p in pairs if p.id not in problems]
    if not pairs:
        raise PairError("No usable pair is left:\n  " + "\n  ".join(list(problems.values())[:_SHOWN]))
    targets = _targets(pairs, vi, out, bits=bits)
    jobs = [Job(pair, target, sizes[pair][1]) for pair, target in zip(pairs, targets, strict=True)]
    _check_out(jobs, ir, vi, out)
    existing = [job.target for job in jobs if job.target.exists()]
    if existing and not overwrite and not skip_existing:
        number = f"{len(existing)} fused images already exist" if len(existing) > 1 else "1 fused image already exists"
        raise FileExistsError(
            f"{number} (first: {existing[0]}); continue with --skip-existing, "
            "replace them with --overwrite, or choose another --out."
        )
    left = set(existing) if skip_existing else set()
    return Jobs([j for j in jobs if j.target not in left], sorted(left), skipped + list(problems.values()), jobs)


def _find_pairs(ir: Path, vi: Path, *, recursive: bool, skip_bad: bool) -> tuple[list[PairPaths], list[str]]:
    if missing := [path for path in (ir, vi) if not path.exists()]:
        raise PairError(f"{' and '.join(map(str, missing))}: no such file or folder.")
    if ir.samefile(vi):
        kind = "folder" if ir.is_dir() else "file"
        raise PairError(f"--ir and --vi are the same {kind}, {ir.resolve()}; give one infrared and one visible {kind}.")
    if ir.is_dir() != vi.is_dir():
        folder, file = (ir, vi) if ir.is_dir() else (vi, ir)
        raise PairError(f"{folder} is a folder but {file} is not; give two files, or two folders.")
    if ir.is_dir():
        return match_pairs(ir, vi, same_size=False, skip_bad=skip_bad, recursive=recursive)
    image_size(ir)
    image_size(vi)
    return [PairPaths(vi.stem, ir, vi)], []


def _size_problem(pair: PairPaths, ir: tuple[int, int], vi: tuple[int, int], *, resize: bool) -> str | None:
    if ir == vi:
        return None
    text = f"{pair.ir} is {size_text(ir)} but {pair.vi} is {size_text(vi)}"
    if not resize:
        return text
    stretch = (ir[0] * vi[1]) / (ir[1] * vi[0])
    rounding = 1 + 1 / min(ir)
    if max(stretch, 1 / stretch) <= _LARGEST_STRETCH * rounding:
        return None
    return f"{text}; the aspect ratios differ, so resampling would distort the infrared image"


def _targets(pairs: list[PairPaths], vi: Path, out: Path, *, bits: int | None) -> list[Path]:
    if out.suffix.lower() in SUFFIXES and not out.is_dir():
        if vi.is_dir():
            raise PairError(f"--out {out} has the suffix of an image, but folders are fused; name a folder.")
        if out.suffix.lower() not in _SIXTEEN_BIT and (bits or bits_per_sample(vi)) > 8:
            raise PairError(f"--out {out}: {out.suffix} supports 8 bits only; write png or tif, or give --bits 8.")
        return [out]
    return [out / Path(p.id).parent / f"{p.vi.stem}{lossless_suffix(p.vi, bits=bits)}" for p in pairs]


def lossless_suffix(vi: Path, *, bits: int | None = None) -> str:
    """The suffix of a fused image: that of the visible image if the format is lossless, else
    .png.
    """
    kept = _SIXTEEN_BIT if bits == 16 else _LOSSLESS
    return vi.suffix if vi.suffix.lower() in kept else ".png"


def _check_out(jobs: list[Job], ir: Path, vi: Path, out: Path) -> None:
    sources = {path.resolve() for job in jobs for path in (job.pair.ir, job.pair.vi)}
    if vi.is_dir():
        sources |= {ir.resolve(), vi.resolve()}
    for path in (out, *(job.target for job in jobs)):
        if path.resolve() in sources:
            raise PairError(f"--out: {path} is one of the sources, which are never overwritten; choose another --out.")
    check_out(jobs[0].target.parent if out == jobs[0].target else out)


def make_out(folder: Path, jobs: list[Job], *, bits: int | None) -> None:
    """Creates the folder, and warns if the disk will probably fill up.

    Args:
        folder: folder for the fused images.
        jobs: jobs whose results will be written.
        bits: bit depth of the fused images; by default 8.

    Raises:
        OSError: if the folder cannot be created.
    """
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    likely = _LIKELY_SHARE * sum(3 * math.prod(job.size) for job in jobs) * (bits or 8) / 8
    if likely > free:
        warnings.warn(
            f"{folder} has {free / 2**20:.0f} MiB left; {len(jobs)} fused images may need {likely / 2**20:.0f} MiB.",
            ImageWarning,
            stacklevel=3,
        )
