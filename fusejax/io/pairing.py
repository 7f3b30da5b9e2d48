"""Pairing two folders of images by their names, never by order."""

import dataclasses
import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from fusejax.io.annotations import AnnotationError, find_annotation, read_boxes
from fusejax.io.cameras import CameraError
from fusejax.io.image_headers import ImageError, image_size
from fusejax.io.images import SUFFIXES
from fusejax.io.infrared import infrared_size
from fusejax.io.listing import check_folder, list_images
from fusejax.io.matching import holds_pairs, listed, match_files, source_files, split_glob
from fusejax.io.pair_list import is_pair_list
from fusejax.io.pair_names import PairError, stem_of

__all__ = [
    "PairError",
    "PairPaths",
    "Scan",
    "check_folder",
    "holds_pairs",
    "is_pair_list",
    "list_images",
    "match_pairs",
    "scan_pair",
    "size_text",
    "source_files",
]

_SHOWN = 8

Sizes = Literal["equal", "any", "unread"]


@dataclasses.dataclass(frozen=True)
class PairPaths:
    """One pair on disk.

    Attributes:
        id: stem of the visible file, after the name of the sequence or subfolder if there is one.
        ir: infrared image.
        vi: visible image; the same file for cameras that store both in one.
        annotation: file of object boxes, if there is one.
    """

    id: str
    ir: Path
    vi: Path
    annotation: Path | None = None


@dataclasses.dataclass
class Scan:
    """Result of scanning one or more folder pairs.

    It holds the usable pairs and one line for every other stem.
    """

    pairs: list[PairPaths] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)

    def check(self, where: str, *, skip_bad: bool) -> None:
        """Raises PairError if there are problems that may not be skipped, or no usable pairs."""
        if self.pairs and (skip_bad or not self.problems):
            return
        lines = "".join(f"\n  {p}" for p in self.problems[:_SHOWN])
        more = f"\n  ... and {len(self.problems) - _SHOWN} more" if len(self.problems) > _SHOWN else ""
        total = len(self.pairs) + len(self.problems)
        fix = "Fix them, or skip them with --skip-bad (when training, --data.skip-bad)."
        advice = fix if self.pairs else "No usable pair is left."
        raise PairError(f"{where}: {len(self.problems)} of {total} pairs cannot be used:{lines}{more}\n{advice}")


def size_text(size: tuple[int, int]) -> str:
    """Formats a size (height, width) like image viewers: width x height, such as "640x480"."""
    return f"{size[1]}x{size[0]}"


def match_pairs(
    ir: str | Path,
    vi: str | Path | None,
    *,
    skip_bad: bool = False,
    sizes: Sizes = "equal",
    min_side: int = 1,
    recursive: bool = False,
    ir_pattern: str | None = None,
    vi_pattern: str | None = None,
) -> tuple[list[PairPaths], list[str]]:
    """Pairs two folders by their file names and checks every header.

    Files with equal stems are pairs. Without common stems, or if both are one folder, the words by
    which cameras and data sets mark files are recognized (`fusejax.io.pair_names`), and the result
    is printed to standard error.

    Args:
        ir: folder of infrared images; or its images as a path with wildcards in the file name, such
            as "DIR/*_T.JPG"; or a CSV file that lists pairs (`fusejax.io.pair_list`).
        vi: folder of visible images, or a path with wildcards. None if `ir` is a CSV file, or a
            folder whose files hold both images.
        skip_bad: skip unusable pairs instead of raising.
        sizes: which sizes the two images of a pair may have; with "unread", headers are left to the
            caller.
        min_side: minimum side in pixels.
        recursive: also pair subfolders, which must have the same names in both.
        ir_pattern: names of the infrared files, such as "*_T.*"; with `vi_pattern`, files are
            paired whose wildcards match the same text.
        vi_pattern: names of the visible files.

    Returns:
        The pairs, sorted by name, and one line per skipped pair.

    Raises:
        PairError: for files without partner, repeated stems, several possible partners, unequal
            sizes, and unreadable or truncated files; names them.
    """
    ir = Path(ir)
    if is_pair_list(ir):
        if vi is not None and Path(vi) != ir:
            raise PairError(f"{ir} lists pairs, so no other folder is needed; leave out {vi}.")
        found = check_headers([PairPaths(*one) for one in listed(ir)], {}, sizes=sizes, min_side=min_side)
        found.check(str(ir), skip_bad=skip_bad)
        return found.pairs, found.problems
    ir, ir_pattern = split_glob(ir, ir_pattern)
    vi, vi_pattern = split_glob(ir if vi is None else Path(vi), vi_pattern if vi is not None else ir_pattern)
    if bool(ir_pattern) != bool(vi_pattern):
        given = "--ir-pattern" if ir_pattern else "--vi-pattern"
        raise PairError(
            f"{given} is given alone; give --ir-pattern and --vi-pattern together, such as '*_T.*' '*_V.*'."
        )
    patterns = {"ir_pattern": ir_pattern, "vi_pattern": vi_pattern}
    scan = functools.partial(scan_pair, sizes=sizes, min_side=min_side, **patterns)
    found = _scan_trees(ir, vi, scan) if recursive else scan(ir, vi)
    found.check(f"{ir} and {vi}" if ir != vi else str(ir), skip_bad=skip_bad)
    return found.pairs, found.problems


def _scan_trees(ir: Path, vi: Path, scan: Callable[..., Scan]) -> Scan:
    """Runs `scan_pair` for all subfolders that contain images."""
    folders = {root: folders_with_images(root) for root in (ir, vi)}
    found = Scan()
    for name in sorted(folders[ir] | folders[vi]):
        if missing := [root / name for root in (ir, vi) if name not in folders[root]]:
            other = vi if missing[0] == ir / name else ir
            found.problems.append(f"{other / name} has images but {missing[0]} does not")
            continue
        try:
            part = scan(ir / name, vi / name, prefix="" if name == "." else f"{name}/")
        except PairError as error:
            found.problems.append(str(error))
            continue
        found.pairs += part.pairs
        found.problems += part.problems
    if not folders[ir] | folders[vi]:
        raise PairError(f"{ir} has no images in any folder ({', '.join(SUFFIXES)}).")
    return found


def folders_with_images(root: Path) -> set[str]:
    check_folder(root)
    files = (p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    return {p.parent.relative_to(root).as_posix() for p in files}


def scan_pair(
    ir: Path,
    vi: Path,
    *,
    annotations: Path | None = None,
    prefix: str = "",
    sizes: Sizes = "equal",
    min_side: int = 1,
    ir_pattern: str | None = None,
    vi_pattern: str | None = None,
) -> Scan:
    """Matches two folders and reads every header.

    Args:
        ir: folder of infrared images.
        vi: folder of visible images; may be the same.
        annotations: folder of object boxes, whose files are also checked.
        prefix: prefix of the stems in the ids.
        sizes: see `match_pairs`.
        min_side: minimum side in pixels.
        ir_pattern: see `match_pairs`.
        vi_pattern: see `match_pairs`.

    Returns:
        The usable pairs and the problems; problems with single pairs raise no error.

    Raises:
        PairError: if a folder is missing or has no images, if no names fit together, or if a file
            has several possible partners.
    """
    matched, problems = match_files(ir, vi, ir_pattern, vi_pattern)
    if matched.line:
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
    return check_headers(pairs, problems, sizes=sizes, min_side=min_side)


def check_headers(pairs: Sequence[PairPaths], problems: Mapping[str, str], *, sizes: Sizes, min_side: int = 1) -> Scan:
    """Reads every header, unless `sizes` is "unread"."""
    if sizes == "unread":
        return Scan(list(pairs), [problems[s] for s in sorted(problems)])
    check = functools.partial(_header_problem, sizes=sizes, min_side=min_side)
    with ThreadPoolExecutor() as pool:  # thousands of headers, and reading each one waits for the disk
        headers = list(pool.map(check, pairs))
    return Scan(
        pairs=[pair for pair, problem in zip(pairs, headers, strict=True) if not problem],
        problems=[problems[s] for s in sorted(problems)] + [problem for problem in headers if problem],
    )


def _header_problem(pair: PairPaths, *, sizes: Sizes, min_side: int) -> str | None:
    if sizes == "equal" and pair.ir == pair.vi:
        return f"{pair.ir} would be both images, which only fusejax fuse reads; list its visible partner as well"
    try:
        # Whoever needs equal sizes reads the picture that a camera shows, not its values.
        ir = image_size(pair.ir) if sizes == "equal" else infrared_size(pair.ir)
        vi = image_size(pair.vi) if pair.vi != pair.ir else ir
    except (ImageError, CameraError) as error:
        return str(error)
    if sizes == "equal" and ir != vi:
        return f"{pair.ir} is {size_text(ir)} but {pair.vi} is {size_text(vi)}; register or resize the pair first"
    if min(*ir, *vi) < min_side:
        return f"{pair.vi} is {size_text(vi)}, smaller than the crop of {min_side} pixels; lower data.crop"
    if pair.annotation is not None:
        try:
            read_boxes(pair.annotation, size=vi, stems=(pair.vi.stem, pair.ir.stem))
        except AnnotationError as error:
            return str(error)
    return None
