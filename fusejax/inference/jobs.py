"""The work of one `fuse_folder` call.

Finds the pairs and output files, and makes every check that needs no pixels.
"""

import dataclasses
import itertools
import math
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path

from fusejax.inference.beside import Beside, files_beside
from fusejax.inference.options import FolderOptions
from fusejax.io.image_headers import ImageWarning
from fusejax.io.images import WRITTEN_SUFFIXES
from fusejax.io.matching import with_patterns
from fusejax.io.outputs import check_files, check_out
from fusejax.io.pair_finding import scan_pairs
from fusejax.io.pair_images import PairHeader, in_one_file
from fusejax.io.pairing import PairError, PairPaths, ScanOptions, size_text

_LOSSLESS = (".png", ".bmp", ".tif", ".tiff")
_SIXTEEN_BIT = (".png", ".tif", ".tiff")
_SHOWN = 8
_LIKELY_SHARE = 0.5  # of the raw RGB bytes that a compressed camera image needs
_LARGEST_STRETCH = 1.03  # of one side relative to the other; sides are rounded to pixels


Shard = tuple[int, int]  # number, from 1, and number of shards


def parse_shard(text: str) -> Shard:
    """Parses `--shard I/N`.

    Args:
        text: number of this shard, from 1, and number of all shards.

    Returns:
        Both numbers.

    Raises:
        ValueError: for anything else.
    """
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
        raise ValueError(
            f"--shard is {text!r}; give I/N with I from 1 to N, such as 3/16. For an array of jobs that starts at 0, "
            "add 1 to its number."
        )
    return int(index), int(count)


@dataclasses.dataclass(frozen=True)
class Job:
    """One pair, the file that its fused image is written to, and what the headers say."""

    pair: PairPaths
    target: Path
    header: PairHeader

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the fused image."""
        return self.header.vi

    @property
    def name(self) -> Path:
        """Name of the fused image relative to the folder, without its suffix."""
        return Path(self.pair.id).parent / self.target.stem


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
    vi: Path | None,
    out: Path,
    *,
    options: FolderOptions,
    any_size: bool = False,
    shard: Shard | None = None,
) -> Jobs:
    """Pairs the sources and decides where each result goes; reads headers only and writes nothing.

    Args:
        ir: infrared image, or folder; see `find_pairs`.
        vi: visible image, or folder; None if the infrared files hold it, or `ir` names both.
        out: folder, or for a single pair an image file.
        options: those of the call.
        any_size: whether infrared images may differ in size from the visible ones.
        shard: part of the pairs to do; what is decided for all pairs, such as their range, stays.

    Returns:
        The jobs, sorted by name.

    Raises:
        PairError: if sources are missing, identical or incompatible, or `out` is a source.
        ImageError: if a single image is unreadable.
        CameraError: if the only file is a camera's that cannot be used.
        FileExistsError: if fused images or files beside them exist and neither option allows that.
        OSError: if `out` cannot be written.
    """
    resize, keep, skip_bad = options.resize is not None, options.skip_existing, options.skip_bad
    ir, vi = with_patterns(ir, vi, ir_pattern=options.ir_pattern, vi_pattern=options.vi_pattern)
    found = scan_pairs(ir, vi, ScanOptions(sources=options), recursive=options.recursive)
    found.check(f"{ir} and {vi}" if vi else str(ir), skip_bad=skip_bad)
    pairs, headers, skipped = found.pairs, found.headers, list(found.problems.values())
    single = not skipped and len(pairs) == 1 and ir.is_file() and pairs[0].ir == ir
    if options.frame != "vi" and pairs and not any(map(in_one_file, pairs)):
        raise PairError(
            f"--frame {options.frame} is for files that hold both images, and for --register; leave it out for images "
            "in two files that line up."
        )
    problems = {
        p.id: text for p in pairs if (text := _size_problem(p, *headers[p][:2], any_size=any_size, resize=resize))
    }
    if problems and not skip_bad:
        lines = "\n  ".join(list(problems.values())[:_SHOWN])
        raise PairError(
            f"{len(problems)} of {len(pairs)} pairs do not fit together (sizes are width x height):\n  {lines}\n"
            + (
                "Crop or register them first."
                if resize
                else "Register them with --register auto, or resample infrared with --resize ir."
            )
        )
    pairs = [p for p in pairs if p.id not in problems]
    if not pairs:
        raise PairError("No usable pair is left:\n  " + "\n  ".join(list(problems.values())[:_SHOWN]))
    bits = {pair.vi: options.bits or (16 if headers[pair].vi_bits > 8 else 8) for pair in pairs}
    targets = _targets(pairs, out, bits, folders=not single, given=options.bits, format=options.format)
    jobs = [Job(pair, target, headers[pair]) for pair, target in zip(pairs, targets, strict=True)]
    own = jobs if shard is None else jobs[shard[0] - 1 :: shard[1]]
    taken = _check_out(jobs, own, (ir, vi), out, options.beside)
    existing = [job.target for job in own if job.target in taken]
    if existing and not options.overwrite and not keep:
        number = f"{len(existing)} fused images already exist" if len(existing) > 1 else "1 fused image already exists"
        raise FileExistsError(
            f"{number} (first: {existing[0]}); continue with --skip-existing, "
            "replace them with --overwrite, or choose another --out."
        )
    if taken and not options.overwrite and not keep:
        raise FileExistsError(f"{min(taken)} already exists; replace it with --overwrite, or choose another --out.")
    left = set(existing) if keep else set()
    return Jobs([j for j in own if j.target not in left], sorted(left), skipped + list(problems.values()), jobs)


def _size_problem(
    pair: PairPaths, ir: tuple[int, int], vi: tuple[int, int], *, any_size: bool, resize: bool
) -> str | None:
    if ir == vi or (any_size and not resize):
        return None
    text = f"{pair.ir} is {size_text(ir)} but {pair.vi} is {size_text(vi)}"
    if not resize:
        return text
    stretch = (ir[0] * vi[1]) / (ir[1] * vi[0])
    rounding = 1 + 1 / min(ir)
    if max(stretch, 1 / stretch) <= _LARGEST_STRETCH * rounding:
        return None
    return f"{text}; the aspect ratios differ, so resampling would distort the infrared image"


def _targets(
    pairs: list[PairPaths], out: Path, bits: dict[Path, int], *, folders: bool, given: int | None, format: str | None
) -> list[Path]:
    """The fused images.

    Args:
        pairs: the pairs.
        out: what the user named.
        bits: bits of the fused image, by visible image.
        folders: whether folders are fused.
        given: the option `bits`.
        format: the option `format`.
    """
    if out.suffix.lower() in WRITTEN_SUFFIXES and not out.is_dir():
        vi, suffix = pairs[0].vi, out.suffix.lower()
        if folders:
            raise PairError(f"--out {out} has the suffix of an image, but folders are fused; name a folder.")
        if format and suffix not in (f".{format}", {"jpg": ".jpeg", "tif": ".tiff"}.get(format)):
            raise PairError(f"--out {out} has another suffix than --format {format}; give only one of the two.")
        if suffix not in _SIXTEEN_BIT and bits[vi] == 16:
            raise PairError(f"--out {out}: {out.suffix} supports 8 bits only; write png or tif, or give --bits 8.")
        return [out]
    if format and f".{format}" not in _SIXTEEN_BIT:
        held = next(("--bits 16" if given else f"{vi} has 16 bits" for vi, each in bits.items() if each == 16), None)
        if held:
            raise PairError(f"--format {format} supports 8 bits only, but {held}; choose png or tif, or give --bits 8.")
    names = [p.id for p in pairs]
    suffixes = [f".{format}" if format else lossless_suffix(p.vi, bits=given) for p in pairs]
    return [out / Path(n).parent / f"{p.vi.stem}{s}" for n, p, s in zip(names, pairs, suffixes, strict=True)]


def lossless_suffix(vi: Path, *, bits: int | None = None) -> str:
    """The suffix of a fused image: that of the visible image if the format is lossless, else
    .png.
    """
    kept = _SIXTEEN_BIT if bits == 16 else _LOSSLESS
    return vi.suffix if vi.suffix.lower() in kept else ".png"


def _check_out(
    jobs: list[Job], own: list[Job], given: Sequence[Path | None], out: Path, beside: Sequence[Beside]
) -> set[Path]:
    """Checks that nothing is lost; returns the files of the own jobs that exist already."""
    folder = jobs[0].target.parent if out == jobs[0].target else out
    check_out(folder)
    folders = [path for path in given if path is not None and path.is_dir()]
    for place in (out, *(folder / kind for kind in beside)):
        if place.is_dir() and any(place.samefile(source) for source in folders):
            raise PairError(f"--out: {place} is one of the sources, which are never overwritten; choose another --out.")
    sources = {path for job in jobs for path in (job.pair.ir, job.pair.vi)}
    files = [[job.target, *(f for kind in beside for f in files_beside(job.name, folder, kind))] for job in jobs]
    existing = set(check_files(itertools.chain(*files), sources=sources))
    mine = {job.target for job in own}
    return {path for paths in files if paths[0] in mine for path in paths if path in existing}


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
