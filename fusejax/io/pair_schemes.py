"""Words before or after a common part of file names, by which cameras and data sets mark the
infrared and the visible file.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from fusejax.io.pair_names import Matched, line_of, refuse_several, stem_of

# Words that mark a file, ignoring case, and DJI's capital letters: thermal and radiometric;
# visible, wide angle and zoom.
_INFRARED = ("ir", "tir", "lwir", "mwir", "thermal", "infrared", "inf", "thrm", "thm")
_VISIBLE = ("vi", "vis", "vs", "rgb", "visible", "visual", "color", "colour", "eo", "dc", "wide", "zoom")
_INFRARED_LETTERS, _VISIBLE_LETTERS = "TR", "VWZ"
_DJI_TIME = re.compile(r"(?P<head>.*?)(?P<time>\d{14})(?P<rest>_\d+)")
_SECONDS_APART = 3


class Mark(NamedTuple):
    """How a file is marked: `place` is "before" or "after" the `common` part."""

    place: str
    word: str
    common: str


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
    refuse_several([(i, v) for i, v, _, _ in found])
    pairs = sorted({(i, v) for i, v, _, _ in found}, key=lambda pair: pair[1].name)
    used, schemes = {p for pair in pairs for p in pair}, {(mi[:2], mv[:2]) for _, _, mi, mv in found}
    lone = [[p for p in files if p not in used] for files in (ir, vi)]
    if one_folder:
        words = [{scheme[n] for scheme in schemes if scheme[n][1]} for n in (0, 1)]
        own = [{p for m, p in side if m[:2] in known} for side, known in zip(marked, words, strict=True)]
        lone = [[p for p in files if p in mine] for files, mine in zip(lone, own, strict=True)]
    named = " and ".join(sorted(f"{_shown(i)}/{_shown(v)}" for i, v in schemes))
    return Matched(pairs, lone[0], lone[1], line_of(f"by the scheme {named}", pairs))


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
