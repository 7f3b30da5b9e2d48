"""Pairs of two folders, with a check of every header."""

import dataclasses
import functools
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fusejax.io.annotations import AnnotationError, find_annotation, read_boxes
from fusejax.io.cameras import CameraError
from fusejax.io.image_headers import ImageError
from fusejax.io.images import SUFFIXES
from fusejax.io.listing import check_folder, list_images
from fusejax.io.matching import match_files, split_glob
from fusejax.io.pair_images import PairHeader, SourceOptions, read_pair_header
from fusejax.io.pair_names import PairError, PairPaths, stem_of

__all__ = ["PairError", "PairPaths", "Scan", "ScanOptions", "check_folder", "list_images", "scan_folders", "size_text"]

_SHOWN = 8


@dataclasses.dataclass(frozen=True)
class ScanOptions:
    """What is asked of pairs.

    Attributes:
        same_size: whether the two images of a pair must have the same size.
        min_side: minimum side in pixels.
        sources: how sources are read.
        quiet: do not print how names were matched.
    """

    same_size: bool = False
    min_side: int = 1
    sources: SourceOptions = dataclasses.field(default_factory=SourceOptions)
    quiet: bool = False


@dataclasses.dataclass
class Scan:
    """Result of scanning.

    Attributes:
        headers: header of every usable pair.
        problems: a line for every other stem.
    """

    headers: dict[PairPaths, PairHeader] = dataclasses.field(default_factory=dict)
    problems: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def pairs(self) -> list[PairPaths]:
        """The usable pairs."""
        return list(self.headers)

    def add(self, other: "Scan") -> None:
        """Adds the result of another scan."""
        self.headers |= other.headers
        self.problems |= other.problems

    def check(self, where: str, *, skip_bad: bool) -> None:
        """Raises PairError if there are problems that may not be skipped, or no usable pairs."""
        if self.headers and (skip_bad or not self.problems):
            return
        problems = list(self.problems.values())
        lines = "".join(f"\n  {p}" for p in problems[:_SHOWN])
        more = f"\n  ... and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        total = len(self.headers) + len(problems)
        fix = "Fix them, or skip them with --skip-bad (when training, --data.skip-bad)."
        advice = fix if self.headers else "No usable pair is left."
        raise PairError(f"{where}: {len(problems)} of {total} pairs cannot be used:{lines}{more}\n{advice}")


def size_text(size: tuple[int, int]) -> str:
    """Formats a size (height, width) like image viewers: width x height, such as "640x480"."""
    return f"{size[1]}x{size[0]}"


def scan_trees(ir: Path, vi: Path, options: ScanOptions) -> Scan:
    """Runs `scan_folders` for all subfolders that contain images, the same in both."""
    (ir, ir_pattern), (vi, vi_pattern) = split_glob(ir), split_glob(vi)
    folders = {root: folders_with_images(root) for root in (ir, vi)}
    found = Scan()
    for name in sorted(folders[ir] | folders[vi]):
        if missing := [root / name for root in (ir, vi) if name not in folders[root]]:
            other = vi if missing[0] == ir / name else ir
            found.problems[name] = f"{other / name} has images but {missing[0]} does not"
            continue
        try:
            parts = ir / name / (ir_pattern or ""), vi / name / (vi_pattern or "")
            found.add(scan_folders(*parts, options, prefix="" if name == "." else f"{name}/"))
        except PairError as error:
            found.problems[name] = str(error)
    if not folders[ir] | folders[vi]:
        raise PairError(f"{ir} has no images in any folder ({', '.join(SUFFIXES)}).")
    return found


def folders_with_images(root: Path) -> set[str]:
    """Names of a folder and of those below it that hold images, relative to it."""
    check_folder(root)
    files = (p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    return {p.parent.relative_to(root).as_posix() for p in files}


def scan_folders(
    ir: Path, vi: Path, options: ScanOptions, *, annotations: Path | None = None, prefix: str = ""
) -> Scan:
    """Matches two folders and reads every header.

    How names were matched is printed to standard error, unless stems are equal.

    Args:
        ir: folder of infrared images, or path with wildcards in the file name.
        vi: likewise for visible images; may be the same folder.
        options: what is asked of pairs.
        annotations: folder of object boxes, whose files are also checked.
        prefix: prefix of the stems in the ids.

    Returns:
        The usable pairs and the problems; problems with single pairs raise no error.

    Raises:
        PairError: see `match_files`.
    """
    matched, problems = match_files(ir, vi)
    if matched.line and not options.quiet:
        print(matched.line, file=sys.stderr, flush=True)
    problems |= {stem_of(p): f"{p} has no visible partner in {vi}" for p in matched.lone_ir}
    problems |= {stem_of(p): f"{p} has no infrared partner in {ir}" for p in matched.lone_vi}
    pairs = []
    for one, two in matched.pairs:
        annotation = None
        if annotations is not None:
            try:
                stems = (stem_of(two), stem_of(one))
                annotation = next((found for s in stems if (found := find_annotation(annotations, s))), None)
            except AnnotationError as error:
                problems[stem_of(two)] = str(error)
                continue
        pairs.append(PairPaths(prefix + stem_of(two), one, two, annotation))
    return check_headers(pairs, {prefix + stem: text for stem, text in sorted(problems.items())}, options)


def check_headers(pairs: Sequence[PairPaths], problems: Mapping[str, str], options: ScanOptions) -> Scan:
    """Reads every header."""
    read = functools.partial(_read_header, options=options)
    with ThreadPoolExecutor() as pool:  # thousands of headers, and reading each one waits for the disk
        headers = list(zip(pairs, pool.map(read, pairs), strict=True))
    bad = {pair.id: header for pair, header in headers if isinstance(header, str)}
    return Scan({p: h for p, h in headers if not isinstance(h, str)}, {**problems, **bad})


def _read_header(pair: PairPaths, *, options: ScanOptions) -> PairHeader | str:
    """The header, or why the pair cannot be used."""
    try:
        header = read_pair_header(pair, options.sources)
    except (ImageError, CameraError) as error:
        return str(error)
    return size_problem(pair, header, options) or _annotation_problem(pair, header.vi) or header


def size_problem(pair: PairPaths, header: PairHeader, options: ScanOptions) -> str | None:
    """Why the sizes of a pair cannot be used."""
    ir, vi = header.ir, header.vi
    if options.same_size and ir != vi:
        return f"{pair.ir} is {size_text(ir)} but {pair.vi} is {size_text(vi)}; register or resize the pair first"
    if min(*ir, *vi) < options.min_side:
        return f"{pair.vi} is {size_text(vi)}, smaller than the crop of {options.min_side} pixels; lower data.crop"
    return None


def _annotation_problem(pair: PairPaths, size: tuple[int, int]) -> str | None:
    if pair.annotation is not None:
        try:
            read_boxes(pair.annotation, size=size, stems=(pair.vi.stem, pair.ir.stem))
        except AnnotationError as error:
            return str(error)
    return None
