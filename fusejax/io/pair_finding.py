"""Pairs of whatever a user names: two files, two folders, one folder, a list, or one file."""

import fnmatch
from collections import Counter
from pathlib import Path

from fusejax.io.image_headers import image_size
from fusejax.io.infrared import infrared_size
from fusejax.io.listing import images_of
from fusejax.io.matching import holds_pairs, split_glob
from fusejax.io.pair_list import is_pair_list
from fusejax.io.pair_names import is_glob
from fusejax.io.pairing import PairError, PairPaths, Sizes, check_headers, folders_with_images, match_pairs

_SEQUENCES = (".seq", ".csq", ".ats", ".sfmov")


def find_pairs(
    ir: Path,
    vi: Path | None,
    *,
    ir_pattern: str | None = None,
    vi_pattern: str | None = None,
    recursive: bool = False,
    skip_bad: bool = False,
    sizes: Sizes = "any",
) -> tuple[list[PairPaths], list[str]]:
    """Pairs of two files, two folders, one folder, one list, or one file.

    Args:
        ir: infrared image or folder, path with wildcards, or CSV file that lists pairs.
        vi: visible image or folder, or path with wildcards. Without it, `ir` is a list, a folder
            whose file names mark both images, or holds files of cameras with both images inside,
            which then are their own partners.
        ir_pattern: see `match_pairs`.
        vi_pattern: see `match_pairs`.
        recursive: see `match_pairs`.
        skip_bad: see `match_pairs`.
        sizes: see `match_pairs`.

    Returns:
        The pairs, sorted by name, and one line per skipped pair.

    Raises:
        PairError: if sources are missing, identical or of different kinds; see `match_pairs`.
        ImageError: if a single file is unreadable.
    """
    given = [path for path in (ir, vi) if path is not None]
    if missing := [path for path in given if not path.exists() and not is_glob(path)]:
        raise PairError(f"{' and '.join(map(str, missing))}: no such file or folder.")
    if sequences := [path for path in given if path.suffix.lower() in _SEQUENCES]:
        raise PairError(
            f"{sequences[0]} is a sequence of FLIR's, which is not read; export its frames as radiometric JPEG or "
            "32-bit TIFF with FLIR's software."
        )
    options = {"ir_pattern": ir_pattern, "vi_pattern": vi_pattern, "recursive": recursive, "skip_bad": skip_bad}
    if is_pair_list(ir):
        return match_pairs(ir, vi, sizes=sizes, **options)
    if _many(ir) and vi is None and not (ir_pattern and vi_pattern) and not _marked(ir, recursive=recursive):
        return _alone(ir, ir_pattern, recursive=recursive, skip_bad=skip_bad, sizes=sizes)
    if _many(ir) and (vi is None or _many(vi)):
        return match_pairs(ir, vi, sizes=sizes, **options)
    if vi is not None and _many(ir) != _many(vi):
        folder, file = (ir, vi) if _many(ir) else (vi, ir)
        raise PairError(f"{folder} is a folder but {file} is not; give two files, or two folders.")
    if vi is not None and ir.samefile(vi):
        raise PairError(
            f"--ir and --vi are the same file, {ir.resolve()}; give one infrared and one visible file, or leave out "
            "--vi if it is a camera's file that holds both."
        )
    pair = PairPaths((vi or ir).stem, ir, vi or ir)
    if sizes != "unread":
        infrared_size(ir)
        image_size(pair.vi)
    return [pair], []


def _many(path: Path) -> bool:
    """Whether a path names several files."""
    return path.is_dir() or is_glob(path)


def _marked(folder: Path, *, recursive: bool) -> bool:
    """Whether names in a folder, or in one below it, say which files are infrared."""
    if not folder.is_dir():
        return False
    return any(holds_pairs(folder / name) for name in (folders_with_images(folder) if recursive else ["."]))


def _alone(
    ir: Path, pattern: str | None, *, recursive: bool, skip_bad: bool, sizes: Sizes
) -> tuple[list[PairPaths], list[str]]:
    """Files that are their own partners."""
    folder, pattern = split_glob(ir, pattern)
    names = sorted(folders_with_images(folder)) if recursive else ["."]
    files = [p for name in names for p in images_of(folder / name) if not pattern or fnmatch.fnmatch(p.name, pattern)]
    if not files:
        raise PairError(f"no file name in {folder} fits {pattern!r}; correct the pattern.")
    pairs = [PairPaths(p.relative_to(folder).with_suffix("").as_posix(), p, p) for p in files]
    if again := [name for name, n in Counter(p.id for p in pairs).items() if n > 1]:
        raise PairError(f"{folder} has several files called {again[0]}; keep one of them, or choose by --ir-pattern.")
    found = check_headers(pairs, {}, sizes=sizes)
    found.check(str(folder), skip_bad=skip_bad)
    return found.pairs, found.problems
