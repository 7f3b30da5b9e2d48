"""Files of two folders, of one folder or of a list, matched by their names."""

import sys
from collections import Counter
from pathlib import Path

from fusejax.io.images import SUFFIXES
from fusejax.io.listing import images_of, scan_folder
from fusejax.io.pair_list import is_pair_list, read_pair_list
from fusejax.io.pair_names import Matched, PairError, by_pattern, by_scheme, by_stem, is_glob, stem_of

_HOW = "say how names pair with quoted paths, --ir 'DIR/*_T.*' --vi 'DIR/*_V.*', or list the pairs in a CSV file"


def split_glob(path: Path, pattern: str | None) -> tuple[Path, str | None]:
    """Folder and pattern of a path with wildcards in the file name."""
    if not is_glob(path):
        return path, pattern
    if pattern:
        raise PairError(f"{path} has wildcards, and a pattern {pattern!r} is given as well; give one of the two.")
    return path.parent, path.name


def listed(path: Path) -> list[tuple[str, Path, Path]]:
    """Name, infrared and visible file of the pairs of a list.

    Pairs are named by the visible file, and by its folder as well where names repeat.
    """
    pairs = read_pair_list(path)
    counts = Counter(stem_of(vi) for _, vi in pairs)
    named = []
    for ir, vi in pairs:
        stem = stem_of(vi)
        named.append((stem if counts[stem] == 1 else f"{vi.parent.name}/{stem}", ir, vi))
    if again := [name for name, n in Counter(name for name, _, _ in named).items() if n > 1]:
        raise PairError(f"{path} lists {again[0]} more than once; list each visible file once.")
    return named


def holds_pairs(folder: Path) -> bool:
    """Whether names in one folder mark infrared and visible files that fit together.

    Raises:
        PairError: if a file has several possible partners.
    """
    files = [p for p in sorted(folder.iterdir()) if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")]
    return by_scheme(files, files) is not None


def source_files(
    ir: str | Path, vi: str | Path | None, *, quiet: bool = False
) -> tuple[dict[str, Path], dict[str, Path]]:
    """Infrared and visible files of two folders by the name of the pair, without reading them.

    Args:
        ir: see `fusejax.io.pairing.match_pairs`.
        vi: see `fusejax.io.pairing.match_pairs`; None for one folder whose names mark both images.
        quiet: do not print how names were paired.

    Returns:
        Two dictionaries with the same names for files that belong together; files without partner
        are in one of them under their own stem.

    Raises:
        PairError: see `fusejax.io.pairing.match_pairs`; files without partner raise no error.
    """
    if is_pair_list(Path(ir)):
        pairs = listed(Path(ir))
        return {name: one for name, one, _ in pairs}, {name: two for name, _, two in pairs}
    (ir, ir_pattern), (vi, vi_pattern) = (split_glob(Path(p), None) for p in (ir, ir if vi is None else vi))
    matched, repeated = match_files(ir, vi, ir_pattern, vi_pattern)
    if repeated:
        raise PairError(f"{next(iter(repeated.values()))}.")
    if matched.line and not quiet:
        print(matched.line, file=sys.stderr, flush=True)
    ir_files = {stem_of(v): i for i, v in matched.pairs} | {stem_of(p): p for p in matched.lone_ir}
    return ir_files, {stem_of(p): p for p in [*(v for _, v in matched.pairs), *matched.lone_vi]}


def match_files(ir: Path, vi: Path, ir_pattern: str | None, vi_pattern: str | None) -> tuple[Matched, dict[str, str]]:
    """Pairs of files, and messages about stems that occur more than once."""
    if ir_pattern and vi_pattern:
        return by_pattern(images_of(ir), images_of(vi), ir_pattern, vi_pattern), {}
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
