"""Which two files belong together, by their names alone.

Without options, files with the same stem are a pair. Cameras and data sets also mark the infrared
and the visible file by a word before or after a common part; these are the schemes.
"""

import dataclasses
import fnmatch
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

# Words that mark a file, ignoring case, and DJI's capital letters: thermal and radiometric;
# visible, wide angle and zoom.
_INFRARED = ("ir", "tir", "lwir", "mwir", "thermal", "infrared", "inf", "thrm", "thm")
_VISIBLE = ("vi", "vis", "vs", "rgb", "visible", "visual", "color", "colour", "eo", "dc", "wide", "zoom")
_INFRARED_LETTERS, _VISIBLE_LETTERS = "TR", "VWZ"
_DJI_TIME = re.compile(r"(?P<head>.*?)(?P<time>\d{14})(?P<rest>_\d+)")
_SECONDS_APART = 3
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


class Mark(NamedTuple):
    """How a file is marked: `place` is "before" or "after" the `common` part."""

    place: str
    word: str
    common: str


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


def by_scheme(ir: Sequence[Path], vi: Sequence[Path]) -> Matched | None:
    """Pairs files by the words that cameras and data sets put into names.

    Args:
        ir: files that may be infrared.
        vi: files that may be visible; in a folder that holds both, the same files.

    Returns:
        The pairs, or None if no scheme fits. Files without partner are those that are marked as
        infrared or visible, in the way that the pairs are, if both sides are the same files;
        otherwise all others.

    Raises:
        PairError: if one file has several partners.
    """
    one_folder = bool(set(ir) & set(vi))
    marked = [[(m, p) for p in files for m in _marks(stem_of(p), kind)] for files, kind in ((ir, "ir"), (vi, "vi"))]
    found = _partners(marked[0], marked[1])
    if not found:
        found = _partners(marked[0], [(Mark(place, "", stem_of(p)), p) for p in vi for place in ("before", "after")])
    if not found:
        found = _partners([(Mark(place, "", stem_of(p)), p) for p in ir for place in ("before", "after")], marked[1])
    if not found:
        return None
    _refuse_several([(i, v) for i, v, _, _ in found])
    pairs = sorted({(i, v) for i, v, _, _ in found}, key=lambda pair: pair[1].name)
    used, schemes = {p for pair in pairs for p in pair}, {(mi[:2], mv[:2]) for _, _, mi, mv in found}
    lone = [[p for p in files if p not in used] for files in (ir, vi)]
    if one_folder:
        words = [{scheme[n] for scheme in schemes if scheme[n][1]} for n in (0, 1)]
        own = [{p for m, p in side if m[:2] in known} for side, known in zip(marked, words, strict=True)]
        lone = [[p for p in files if p in mine] for files, mine in zip(lone, own, strict=True)]
    named = " and ".join(sorted(f"{_shown(i)}/{_shown(v)}" for i, v in schemes))
    return Matched(pairs, lone[0], lone[1], _line(f"by the scheme {named}", pairs))


def _shown(mark: tuple[str, str]) -> str:
    place, word = mark
    if not word:
        return "*"
    return f"{word}*" if place == "before" else f"*{word}"


def _marks(stem: str, kind: str) -> list[Mark]:
    """All ways in which a name can be read as marked."""
    words, letters = (_INFRARED, _INFRARED_LETTERS) if kind == "ir" else (_VISIBLE, _VISIBLE_LETTERS)
    either = "|".join(words)
    found = []
    if before := re.fullmatch(rf"({either})([_\-. ]+|(?=\d))(.+)", stem, re.IGNORECASE):
        found.append(Mark("before", before[1] + before[2], before[3]))
    if after := re.fullmatch(rf"(.+?)([_\-. ]+)({either})", stem, re.IGNORECASE):
        found.append(Mark("after", after[2] + after[3], after[1]))
    if letter := re.fullmatch(rf"(.+)_([{letters}])", stem):
        found.append(Mark("after", f"_{letter[2]}", letter[1]))
    return found


Partner = tuple[Path, Path, Mark, Mark]


def _partners(ir: Iterable[tuple[Mark, Path]], vi: Iterable[tuple[Mark, Path]]) -> list[Partner]:
    """Files whose common parts are equal, or differ as cameras make them differ."""
    ir, vi = list(ir), list(vi)
    found = _equal(ir, vi)
    done = {p for i, v, _, _ in found for p in (i, v)}
    left = [[(m, p) for m, p in side if p not in done] for side in (ir, vi)]
    found += _seconds_apart(left[0], left[1])
    return found or _next_number(ir, vi)


def _equal(ir: list[tuple[Mark, Path]], vi: list[tuple[Mark, Path]]) -> list[Partner]:
    places = defaultdict(list)
    for mark, path in vi:
        places[mark.place, mark.common].append((mark, path))
    return [
        (path, other, mark, theirs)
        for mark, path in ir
        for theirs, other in places.get((mark.place, mark.common), ())
        if other != path
    ]


def _seconds_apart(ir: list[tuple[Mark, Path]], vi: list[tuple[Mark, Path]]) -> list[Partner]:
    """DJI puts the time at which each file was written and a number into the name."""
    places = defaultdict(list)
    for mark, path in vi:
        if timed := _timed(mark):
            places[timed[0]].append((timed[1], mark, path))
    found = []
    for mark, path in ir:
        if timed := _timed(mark):
            near = [x for x in places[timed[0]] if abs((x[0] - timed[1]).total_seconds()) <= _SECONDS_APART]
            found += [(path, other, mark, theirs) for _, theirs, other in near]
    return found


def _timed(mark: Mark) -> tuple[tuple[str, str, str], datetime] | None:
    """What two names must share, and the time in the name."""
    if not (found := _DJI_TIME.fullmatch(mark.common)):
        return None
    try:
        return (mark.place, found["head"], found["rest"]), datetime.strptime(found["time"], "%Y%m%d%H%M%S")
    except ValueError:
        return None


def _next_number(ir: list[tuple[Mark, Path]], vi: list[tuple[Mark, Path]]) -> list[Partner]:
    """FLIR numbers the photo (DC_0002) behind its infrared image (IR_0001)."""
    photos = {m.common: (m, p) for m, p in vi if m.place == "before" and m.word.lower().startswith("dc")}
    found = []
    for mark, path in ir:
        if mark.place == "before" and mark.word.lower().startswith("ir") and mark.common.isdecimal():
            following = f"{int(mark.common) + 1:0{len(mark.common)}d}"
            if following in photos:
                theirs, other = photos[following]
                found.append((path, other, mark, theirs))
    return found


def _join(ir: list[tuple[str, Path]], vi: list[tuple[str, Path]], how: str | None) -> Matched:
    by_key = defaultdict(lambda: ([], []))
    for side, files in enumerate((ir, vi)):
        for key, path in files:
            by_key[key][side].append(path)
    several = [(i, v) for one, two in by_key.values() for i in one for v in two]
    if same := [i for i, v in several if i == v]:
        raise PairError(f"{same[0].name} fits both patterns; give patterns that tell the files apart.")
    _refuse_several(several)
    pairs = sorted(several, key=lambda pair: pair[1].name)
    lone = [[p for sides in by_key.values() if not sides[1 - n] for p in sides[n]] for n in (0, 1)]
    if how and not pairs:
        raise PairError(
            f"no two file names fit together {how} (for example {ir[0][1].name} and {vi[0][1].name}); pairs are files "
            "whose wildcards match the same text."
        )
    return Matched(pairs, sorted(lone[0]), sorted(lone[1]), _line(how, pairs) if how else None)


def _refuse_several(pairs: Iterable[tuple[Path, Path]]) -> None:
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


def _line(how: str, pairs: list[tuple[Path, Path]]) -> str:
    shown = "; ".join(f"{i.name} with {v.name}" for i, v in pairs[:_EXAMPLES])
    more = "; ..." if len(pairs) > _EXAMPLES else ""
    return f"{len(pairs)} pair{'s' * (len(pairs) > 1)} {how}: {shown}{more}"
