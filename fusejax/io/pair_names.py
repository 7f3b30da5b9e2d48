"""Which two files belong together, by equal stems or patterns; marks of cameras: `pair_schemes`."""

import dataclasses
import fnmatch
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

_EXAMPLES = 3
_GLOB = re.compile(r"[*?\[]")


class PairError(ValueError):
    """Files without usable pairs; the message names files and says what to do."""


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


class Matched(NamedTuple):
    """Result of matching names.

    Attributes:
        pairs: infrared and visible file of each pair, sorted by the visible file's name.
        lone_ir: infrared files without partner.
        lone_vi: visible files without partner.
        line: what was found, with examples; None if stems are equal.
    """

    pairs: list[tuple[Path, Path]]
    lone_ir: list[Path]
    lone_vi: list[Path]
    line: str | None = None


def stem_of(path: Path) -> str:
    """The stem in Unicode NFC: macOS stores accents decomposed, other systems composed."""
    return unicodedata.normalize("NFC", path.stem)


def is_glob(path: Path) -> bool:
    """Whether the last part of a path that does not exist has wildcards."""
    return bool(_GLOB.search(path.name)) and not path.exists()


def by_pattern(ir: Sequence[Path], vi: Sequence[Path], ir_pattern: str, vi_pattern: str) -> Matched:
    """Pairs files whose wildcards match the same text.

    Args:
        ir: files of the infrared folder.
        vi: files of the visible folder; may be the same.
        ir_pattern: name with wildcards, such as "*_T.*"; the part behind the last dot may differ.
        vi_pattern: the same for visible files.

    Returns:
        The pairs; files that fit no pattern are left out.

    Raises:
        PairError: if a pattern fits no file, a file fits both, or one file has several partners.
    """
    if len(_WILD.findall(_stem(ir_pattern))) != len(_WILD.findall(_stem(vi_pattern))):
        raise PairError(
            f"{ir_pattern!r} and {vi_pattern!r} have different numbers of wildcards before the last dot; pairs are "
            "files whose wildcards match the same text, so give both the same number."
        )
    found = {pattern: _fitting(files, pattern) for files, pattern in ((ir, ir_pattern), (vi, vi_pattern))}
    for files, pattern in ((ir, ir_pattern), (vi, vi_pattern)):
        if not found[pattern]:
            example = f", for example {files[0].name}" if files else ""
            raise PairError(f"no file name fits {pattern!r} ({len(files)} images{example}); correct the pattern.")
    return _join(found[ir_pattern], found[vi_pattern], f"by {ir_pattern!r} and {vi_pattern!r}")


_WILD = re.compile(r"\*|\?|\[!?\]?[^\]]*\]")


def _stem(pattern: str) -> str:
    return pattern.rsplit(".", 1)[0] if "." in pattern else pattern


def _fitting(files: Sequence[Path], pattern: str) -> list[tuple[str, Path]]:
    """Files that fit, with the text of the wildcards before the last dot."""
    whole = re.compile(fnmatch.translate(pattern), re.IGNORECASE)
    parts, at = [], 0
    stem = _stem(pattern)
    for wild in _WILD.finditer(stem):
        parts.append(re.escape(stem[at : wild.start()]))
        inner = {"*": ".*", "?": "."}.get(wild.group(), wild.group().replace("[!", "[^"))
        parts.append(f"({inner})")
        at = wild.end()
    parts.append(re.escape(stem[at:]))
    groups = re.compile("".join(parts), re.IGNORECASE | re.DOTALL)
    fitting = []
    for path in files:
        name = unicodedata.normalize("NFC", path.name)
        inner = groups.fullmatch(_stem(name) if "." in pattern else name)
        if whole.fullmatch(name) and inner:
            fitting.append(("\0".join(inner.groups()), path))
    return fitting


def by_stem(ir: Sequence[Path], vi: Sequence[Path]) -> Matched:
    """Pairs files with equal stems.

    Raises:
        PairError: if a stem occurs twice on one side.
    """
    return _join([(stem_of(p), p) for p in ir], [(stem_of(p), p) for p in vi], None)


def _join(ir: list[tuple[str, Path]], vi: list[tuple[str, Path]], how: str | None) -> Matched:
    by_key = defaultdict(lambda: ([], []))
    for side, files in enumerate((ir, vi)):
        for key, path in files:
            by_key[key][side].append(path)
    several = [(i, v) for one, two in by_key.values() for i in one for v in two]
    if same := [i for i, v in several if i == v]:
        raise PairError(f"{same[0].name} fits both patterns; give patterns that tell the files apart.")
    refuse_several(several)
    pairs = sorted(several, key=lambda pair: pair[1].name)
    lone = [[p for sides in by_key.values() if not sides[1 - n] for p in sides[n]] for n in (0, 1)]
    if how and not pairs:
        raise PairError(
            f"no two file names fit together {how} (for example {ir[0][1].name} and {vi[0][1].name}); pairs are files "
            "whose wildcards match the same text."
        )
    return Matched(pairs, sorted(lone[0]), sorted(lone[1]), line_of(how, pairs) if how else None)


def refuse_several(pairs: Iterable[tuple[Path, Path]]) -> None:
    """Checks that no file is in two pairs.

    Args:
        pairs: infrared and visible files.

    Raises:
        PairError: if one is; names its partners.
    """
    partners: dict[Path, set[Path]] = defaultdict(set)
    for i, v in pairs:
        partners[i].add(v)
        partners[v].add(i)
    for path, others in partners.items():
        if len(others) > 1:
            listed = ", ".join(sorted(p.name for p in others))
            raise PairError(
                f"{path.name} has {len(others)} possible partners: {listed}; say which with quoted paths, such as "
                "--ir 'DIR/*_T.*' --vi 'DIR/*_W.*', or list the pairs in a CSV file."
            )


def line_of(how: str, pairs: list[tuple[Path, Path]]) -> str:
    """How pairs were found, with examples.

    Args:
        how: a phrase, such as "by the scheme IR_*/DC_*".
        pairs: the pairs.

    Returns:
        The line.
    """
    shown = "; ".join(f"{i.name} with {v.name}" for i, v in pairs[:_EXAMPLES])
    more = "; ..." if len(pairs) > _EXAMPLES else ""
    return f"{len(pairs)} pair{'s' * (len(pairs) > 1)} {how}: {shown}{more}"
