"""Pairing two folders of images by file stem, never by order."""

import dataclasses
import functools
import unicodedata
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fusejax.io.annotations import AnnotationError, find_annotation, read_boxes
from fusejax.io.image_headers import ImageError, image_size
from fusejax.io.images import SUFFIXES

_SHOWN = 8


class PairError(ValueError):
    """Folders without usable pairs; the message names files and says what to do."""


@dataclasses.dataclass(frozen=True)
class PairPaths:
    """One pair on disk.

    Attributes:
        id: the file stem, prefixed with the name of the sequence or subfolder if there is one.
        ir: infrared image.
        vi: visible image.
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


def list_images(folder: str | Path) -> dict[str, Path]:
    """Lists the image files of a folder.

    Args:
        folder: folder to list; its subfolders are not searched.

    Returns:
        Paths by file stem (Unicode NFC), sorted.

    Raises:
        PairError: if the folder is missing or has no images, or if a stem occurs twice.
    """
    images, repeated = _scan_folder(Path(folder))
    if repeated:
        raise PairError(f"{next(iter(repeated.values()))}.")
    return images


def check_folder(folder: Path) -> None:
    """Raises PairError if a path is not a folder; the message says what it is."""
    if folder.is_dir():
        return
    raise PairError(f"{folder} is a file; expected a folder." if folder.exists() else f"{folder} does not exist.")


def _scan_folder(folder: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """Images by stem, and messages about stems that occur more than once."""
    check_folder(folder)
    images: dict[str, Path] = {}
    repeated: dict[str, str] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
            continue
        # macOS stores accents decomposed, while other systems usually store them composed.
        stem = unicodedata.normalize("NFC", path.stem)
        if stem in images:
            repeated[stem] = f"{images[stem]} and {path} share the stem {stem!r}; keep one of them"
        images[stem] = path
    if not images:
        raise PairError(f"{folder} has no images ({', '.join(SUFFIXES)}); {_contents(folder)}")
    return images, repeated


def _contents(folder: Path) -> str:
    """Describes the content of a folder without images, with advice."""
    entries = [p for p in folder.iterdir() if not p.name.startswith(".")]
    folders = sorted(p.name for p in entries if p.is_dir())
    kinds = Counter(p.suffix.lower() or "no suffix" for p in entries if not p.is_dir())
    held = [f"{n} file{'s' * (n > 1)} with {suffix}" for suffix, n in kinds.most_common(_SHOWN)]
    if folders:
        more = ", ..." if len(folders) > _SHOWN else ""
        held.append(f"the folder{'s' * (len(folders) > 1)} {', '.join(folders[:_SHOWN])}{more}")
    if not held:
        return "it is empty."
    advice = " Convert the files to png or tif." if kinds else ""
    advice += " Give one of the folders, or search them with --recursive (fusejax fuse)." if folders else ""
    return f"it contains {' and '.join(held)}.{advice}"


def match_pairs(
    ir: str | Path, vi: str | Path, *, skip_bad: bool = False, same_size: bool = True, recursive: bool = False
) -> tuple[list[PairPaths], list[str]]:
    """Pairs two folders by file stem and checks every header.

    Args:
        ir: folder of infrared images.
        vi: folder of visible images.
        skip_bad: skip unusable pairs instead of raising.
        same_size: whether the two images of a pair must have the same size.
        recursive: also pair subfolders, which must have the same names in both.

    Returns:
        The pairs, sorted by name, and one line per skipped pair.

    Raises:
        PairError: for files without partner, repeated stems, unequal sizes, and unreadable or
            truncated files; names them.
    """
    ir, vi = Path(ir), Path(vi)
    found = _scan_trees(ir, vi, same_size=same_size) if recursive else scan_pair(ir, vi, same_size=same_size)
    found.check(f"{ir} and {vi}", skip_bad=skip_bad)
    return found.pairs, found.problems


def _scan_trees(ir: Path, vi: Path, *, same_size: bool) -> Scan:
    """Runs `scan_pair` for all subfolders that contain images."""
    folders = {root: _folders_with_images(root) for root in (ir, vi)}
    found = Scan()
    for name in sorted(folders[ir] | folders[vi]):
        if missing := [root / name for root in (ir, vi) if name not in folders[root]]:
            other = vi if missing[0] == ir / name else ir
            found.problems.append(f"{other / name} has images but {missing[0]} does not")
            continue
        try:
            part = scan_pair(ir / name, vi / name, prefix="" if name == "." else f"{name}/", same_size=same_size)
        except PairError as error:
            found.problems.append(str(error))
            continue
        found.pairs += part.pairs
        found.problems += part.problems
    if not folders[ir] | folders[vi]:
        raise PairError(f"{ir} has no images in any folder ({', '.join(SUFFIXES)}).")
    return found


def _folders_with_images(root: Path) -> set[str]:
    check_folder(root)
    files = (p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    return {p.parent.relative_to(root).as_posix() for p in files}


def scan_pair(
    ir: Path,
    vi: Path,
    *,
    annotations: Path | None = None,
    prefix: str = "",
    same_size: bool = True,
    min_side: int = 1,
) -> Scan:
    """Matches two folders and reads every header.

    Args:
        ir: folder of infrared images.
        vi: folder of visible images.
        annotations: folder of object boxes, whose files are also checked.
        prefix: prefix of the stems in the ids.
        same_size: whether the images of a pair must have the same size.
        min_side: minimum side in pixels.

    Returns:
        The usable pairs and the problems; problems with single pairs raise no error.

    Raises:
        PairError: if a folder is missing or has no images, or if the two share no name.
    """
    (ir_files, ir_repeated), (vi_files, vi_repeated) = _scan_folder(ir), _scan_folder(vi)
    problems = vi_repeated | ir_repeated
    if not ir_files.keys() & vi_files.keys():
        raise PairError(
            f"{ir} and {vi} have no file stem in common (examples: {next(iter(ir_files.values())).name} and "
            f"{next(iter(vi_files.values())).name}); the two files of a pair need the same stem."
        )
    problems |= {s: f"{ir_files[s]} has no visible partner in {vi}" for s in ir_files.keys() - vi_files.keys()}
    problems |= {s: f"{vi_files[s]} has no infrared partner in {ir}" for s in vi_files.keys() - ir_files.keys()}
    annotated = {}
    if annotations is not None:
        for stem in ir_files:
            try:
                annotated[stem] = find_annotation(annotations, stem)
            except AnnotationError as error:
                problems.setdefault(stem, str(error))
    pairs = [PairPaths(prefix + s, ir_files[s], vi_files[s], annotated.get(s)) for s in ir_files if s not in problems]
    check = functools.partial(_header_problem, same_size=same_size, min_side=min_side)
    with ThreadPoolExecutor() as pool:  # thousands of headers, and reading each one waits for the disk
        headers = list(pool.map(check, pairs))
    return Scan(
        pairs=[pair for pair, problem in zip(pairs, headers, strict=True) if not problem],
        problems=[problems[s] for s in sorted(problems)] + [problem for problem in headers if problem],
    )


def _header_problem(pair: PairPaths, *, same_size: bool, min_side: int) -> str | None:
    try:
        ir, vi = image_size(pair.ir), image_size(pair.vi)
    except ImageError as error:
        return str(error)
    if same_size and ir != vi:
        return f"{pair.ir} is {size_text(ir)} but {pair.vi} is {size_text(vi)}; register or resize the pair first"
    if min(*ir, *vi) < min_side:
        return f"{pair.vi} is {size_text(vi)}, smaller than the crop of {min_side} pixels; lower data.crop"
    if pair.annotation is not None:
        try:
            read_boxes(pair.annotation, size=vi)
        except AnnotationError as error:
            return str(error)
    return None
