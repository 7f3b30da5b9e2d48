"""Files of two folders or of one, matched by their names."""

import dataclasses
from collections import Counter
from pathlib import Path

from fusejax.io.images import SUFFIXES
from fusejax.io.listing import images_of, scan_folder
from fusejax.io.pair_list import read_pair_list
from fusejax.io.pair_names import Matched, PairError, PairPaths, by_pattern, by_stem, is_glob, stem_of
from fusejax.io.pair_schemes import by_scheme

_HOW = "say how names pair with quoted paths, --ir 'DIR/*_T.*' --vi 'DIR/*_V.*', or list the pairs in a CSV file"


@dataclasses.dataclass(frozen=True, kw_only=True)
class NameOptions:
    """How files are paired whose names are neither equal nor known.

    Attributes:
        ir_pattern: names of the infrared files, such as '*_T.*'; with `vi_pattern`, files are
            paired whose wildcards match the same text.
        vi_pattern: names of the visible files, such as '*_V.*'.
    """

    ir_pattern: str | None = None
    vi_pattern: str | None = None


def with_patterns(
    ir: Path, vi: Path | None, *, ir_pattern: str | None, vi_pattern: str | None
) -> tuple[Path, Path | None]:
    """The paths with wildcards that folders and patterns stand for.

    Args:
        ir: folder of infrared images, or of both kinds.
        vi: folder of visible images; None if `ir` holds both.
        ir_pattern: names of the infrared files, such as "*_T.*".
        vi_pattern: names of the visible files; without it, the infrared files hold both images.

    Returns:
        Infrared and visible path, unchanged without patterns.

    Raises:
        PairError: if the patterns cannot be used with these paths.
    """
    patterns = {"--ir-pattern": ir_pattern, "--vi-pattern": vi_pattern}
    for option, pattern in patterns.items():
        if pattern is not None and ("/" in pattern or not is_glob(Path(pattern))):
            raise PairError(f"{option} is {pattern!r}; give a file name with wildcards, such as '*_T.*'.")
    if ir_pattern is None and vi_pattern is None:
        return ir, vi
    if ir_pattern is None or (vi_pattern is None and vi is not None):
        given = "--vi-pattern" if ir_pattern is None else "--ir-pattern"
        raise PairError(
            f"{given} is given alone; give --ir-pattern and --vi-pattern together, such as '*_T.*' '*_V.*'."
        )
    for path in (ir, vi):
        if path is not None and not path.is_dir():
            raise PairError(f"{path} is no folder, of which a pattern could choose files; leave out the patterns.")
    return ir / ir_pattern, None if vi_pattern is None else (vi or ir) / vi_pattern


def split_glob(path: Path) -> tuple[Path, str | None]:
    """Folder and pattern of a path with wildcards in the file name."""
    return (path.parent, path.name) if is_glob(path) else (path, None)


def listed(path: Path) -> list[PairPaths]:
    """The pairs of a list, named by the visible file, and by its folder where names repeat."""
    pairs = read_pair_list(path)
    counts = Counter(stem_of(vi) for _, vi in pairs)
    named = []
    for ir, vi in pairs:
        stem = stem_of(vi)
        named.append(PairPaths(stem if counts[stem] == 1 else f"{vi.parent.name}/{stem}", ir, vi))
    if again := [name for name, n in Counter(pair.id for pair in named).items() if n > 1]:
        raise PairError(f"{path} lists {again[0]} more than once; list each visible file once.")
    return named


def holds_pairs(folder: Path) -> bool:
    """Whether names in one folder mark infrared and visible files that fit together.

    Raises:
        PairError: if a file has several possible partners.
    """
    files = [p for p in sorted(folder.iterdir()) if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")]
    return by_scheme(files, files) is not None


def match_files(ir: Path, vi: Path) -> tuple[Matched, dict[str, str]]:
    """Pairs of files, and messages about stems that occur more than once.

    Args:
        ir: folder, or path with wildcards in the file name.
        vi: likewise; may be the same folder.

    Raises:
        PairError: if a folder is missing or has no images, if no names fit together, or if a file
            has several possible partners.
    """
    (ir, ir_pattern), (vi, vi_pattern) = split_glob(ir), split_glob(vi)
    if ir_pattern and vi_pattern:
        return by_pattern(images_of(ir), images_of(vi), ir_pattern, vi_pattern), {}
    if ir_pattern or vi_pattern:
        raise PairError(
            f"only {ir_pattern or vi_pattern!r} has wildcards; give both paths with wildcards, such as 'DIR/*_T.*' and "
            "'DIR/*_V.*', or two folders."
        )
    if ir.resolve() == vi.resolve():
        if found := by_scheme(images_of(ir), images_of(vi)):
            return found, {}
        raise PairError(
            f"--ir and --vi are the same folder, {ir.resolve()}, whose file names do not say which are infrared; give "
            f"one infrared and one visible folder, {_HOW}."
        )
    (ir_files, ir_repeated), (vi_files, vi_repeated) = scan_folder(ir), scan_folder(vi)
    common = ir_files.keys() & vi_files.keys()
    if 2 * len(common) < min(len(ir_files), len(vi_files)):
        found = by_scheme(images_of(ir), images_of(vi))
        if found and len(found.pairs) > len(common):
            return found, {}
    if not common:
        raise PairError(
            f"{ir} and {vi} have no file stem in common (examples: {next(iter(ir_files.values())).name} and "
            f"{next(iter(vi_files.values())).name}); the two files of a pair need the same stem, or marks that cameras "
            f"use (_T and _V, ir_ and rgb_, _lwir and _rgb); rename them, {_HOW}."
        )
    repeated = vi_repeated | ir_repeated
    files = [[f for s, f in side.items() if s not in repeated] for side in (ir_files, vi_files)]
    return by_stem(files[0], files[1]), repeated
