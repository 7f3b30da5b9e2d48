"""Pairs of whatever a user names: two files, two folders, one folder, a list, or one file."""

import fnmatch
import re
from collections import Counter
from pathlib import Path

from fusejax.io.listing import images_of
from fusejax.io.matching import holds_pairs, listed, split_glob
from fusejax.io.pair_images import SourceOptions, read_pair_header
from fusejax.io.pair_list import is_pair_list
from fusejax.io.pair_names import is_glob
from fusejax.io.pairing import (
    PairError,
    PairPaths,
    Scan,
    ScanOptions,
    check_headers,
    folders_with_images,
    scan_folders,
    scan_trees,
    size_problem,
)

_STREAM = re.compile(r"(rtsps?|rtmps?|udp|tcp|srt|https?):/|/dev/video|\d+$")
_SEQUENCES = (".seq", ".csq", ".ats", ".sfmov")


def find_pairs(
    ir: str | Path,
    vi: str | Path | None = None,
    *,
    recursive: bool = False,
    skip_bad: bool = False,
    same_size: bool = False,
    sources: SourceOptions | None = None,
    quiet: bool = False,
) -> tuple[list[PairPaths], list[str]]:
    """Pairs of two files, two folders, one folder, one list, or one file, with headers checked.

    Files with equal stems are pairs. Without common stems, or if both are one folder, the words by
    which cameras and data sets mark files are recognized (`fusejax.io.pair_schemes`), and the
    result is printed to standard error.

    Args:
        ir: infrared image or folder; or a path with wildcards in the file name, such as
            "DIR/*_T.JPG"; or a CSV file that lists pairs (`fusejax.io.pair_list`).
        vi: visible image or folder, or path with wildcards; files are paired whose wildcards match
            the same text. Without it, `ir` is a list, a folder whose file names mark both images,
            or holds files of cameras with both images inside, which then are their own partners.
        recursive: also pair subfolders, which must have the same names in both.
        skip_bad: skip unusable pairs instead of raising.
        same_size: whether the two images of a pair must have the same size.
        sources: how sources are read; by default `SourceOptions()`.
        quiet: do not print how names were matched.

    Returns:
        The pairs, sorted by name, and one line per skipped pair.

    Raises:
        PairError: if sources are missing, identical or of different kinds; for files without
            partner, repeated stems, several possible partners, unequal sizes, and unreadable or
            truncated files; names them.
        ImageError: if a single file is unreadable.
        CameraError: if a single file of a camera cannot be used.
    """
    found = scan_pairs(
        Path(ir),
        None if vi is None else Path(vi),
        ScanOptions(same_size=same_size, sources=sources or SourceOptions(), quiet=quiet),
        recursive=recursive,
    )
    found.check(_where(ir, vi), skip_bad=skip_bad)
    return found.pairs, list(found.problems.values())


def _where(ir: str | Path, vi: str | Path | None) -> str:
    return f"{ir} and {vi}" if vi is not None and ir != vi else str(ir)


def scan_pairs(ir: Path, vi: Path | None, options: ScanOptions, *, recursive: bool = False) -> Scan:
    """What `find_pairs` finds, with a line for every file that has no part in a usable pair.

    Args:
        ir: see `find_pairs`.
        vi: see `find_pairs`.
        options: what is asked of pairs.
        recursive: see `find_pairs`.

    Raises:
        PairError: see `find_pairs`; problems with single pairs raise no error.
        ImageError: if a single file is unreadable.
        CameraError: if a single file of a camera cannot be used.
    """
    given = [path for path in (ir, vi) if path is not None]
    if missing := [path for path in given if not path.exists() and not is_glob(path)]:
        live = any(_STREAM.match(str(path)) for path in missing)
        hint = "; cameras and network streams are fused by `fusejax live`" if live else ""
        raise PairError(f"{' and '.join(map(str, missing))}: no such file or folder{hint}.")
    if sequences := [path for path in given if path.suffix.lower() in _SEQUENCES]:
        raise PairError(
            f"{sequences[0]} is a sequence of FLIR's, which is not read; export its frames as radiometric JPEG or "
            "32-bit TIFF with FLIR's software."
        )
    if is_pair_list(ir):
        if vi is not None and vi != ir:
            raise PairError(f"{ir} lists pairs, so no other folder is needed; leave out {vi}.")
        return check_headers(listed(ir), {}, options)
    if _many(ir) and vi is None and not _marked(ir, recursive=recursive):
        return check_headers(_alone(ir, recursive=recursive), {}, options)
    if _many(ir) and (vi is None or _many(vi)):
        return (scan_trees if recursive else scan_folders)(ir, ir if vi is None else vi, options)
    if vi is not None and _many(ir) != _many(vi):
        folder, file = (ir, vi) if _many(ir) else (vi, ir)
        raise PairError(f"{folder} is a folder but {file} is not; give two files, or two folders.")
    if vi is not None and ir.samefile(vi):
        raise PairError(
            f"--ir and --vi are the same file, {ir.resolve()}; give one infrared and one visible file, or leave out "
            "--vi if it is a camera's file that holds both."
        )
    pair = PairPaths((vi or ir).stem, ir, vi or ir)
    header = read_pair_header(pair, options.sources)
    if problem := size_problem(pair, header, options):
        return Scan({}, {pair.id: problem})
    return Scan({pair: header})


def _many(path: Path) -> bool:
    """Whether a path names several files."""
    return path.is_dir() or is_glob(path)


def _marked(folder: Path, *, recursive: bool) -> bool:
    """Whether names in a folder, or in one below it, say which files are infrared."""
    if not folder.is_dir():
        return False
    return any(holds_pairs(folder / name) for name in (folders_with_images(folder) if recursive else ["."]))


def _alone(ir: Path, *, recursive: bool) -> list[PairPaths]:
    """Files that are their own partners."""
    folder, pattern = split_glob(ir)
    names = sorted(folders_with_images(folder)) if recursive else ["."]
    files = [p for name in names for p in images_of(folder / name) if not pattern or fnmatch.fnmatch(p.name, pattern)]
    if not files:
        raise PairError(f"no file name in {folder} fits {pattern!r}; correct the pattern.")
    pairs = [PairPaths(p.relative_to(folder).with_suffix("").as_posix(), p, p) for p in files]
    if again := [name for name, n in Counter(p.id for p in pairs).items() if n > 1]:
        raise PairError(f"{folder} has several files called {again[0]}; keep one of them, or choose by wildcards.")
    return pairs
