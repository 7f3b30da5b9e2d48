"""Folders of infrared-visible pairs: pictures are paired by file stem, never by list order."""

import dataclasses
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from fusejax.data.images import SUFFIXES, ImageError, as_infrared, as_visible, image_size, read_image

# Folder names of the field's public sets, lower case.
INFRARED_NAMES = ("ir", "infrared", "inf", "thermal", "lwir", "cropinfrared")
VISIBLE_NAMES = ("vi", "vis", "visible", "rgb", "crop_lr_visible")

_SHOWN = 8


class PairError(ValueError):
    """Folders that do not hold usable pairs; the message names files and says what to do."""


@dataclasses.dataclass(frozen=True)
class PairPaths:
    """One pair on disk; `id` is the file stem, with the sequence's name before it where there are sequences."""

    id: str
    ir: Path
    vi: Path


def list_pictures(folder: str | Path) -> dict[str, Path]:
    """Picture files of a folder by stem, sorted. Raises PairError where it is missing, empty or a stem comes twice."""
    folder = Path(folder)
    if not folder.is_dir():
        raise PairError(f"{folder} is not a folder.")
    pictures: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
            continue
        if path.stem in pictures:
            raise PairError(f"{pictures[path.stem]} and {path} share the stem {path.stem!r}; keep one of them.")
        pictures[path.stem] = path
    if not pictures:
        raise PairError(f"{folder} holds no pictures ({', '.join(SUFFIXES)}).")
    return pictures


def match_pairs(
    ir: str | Path, vi: str | Path, *, prefix: str = "", skip_bad: bool = False, same_size: bool = True
) -> tuple[list[PairPaths], list[str]]:
    """Pairs two folders by stem and checks every header.

    Args:
      prefix: put before each id, for sequences.
      skip_bad: leave out what is wrong instead of raising.
      same_size: whether the two pictures of a pair must agree in size.
    Returns: the pairs, sorted by stem, and a line for each that was left out.
    Raises: PairError listing names without a partner, unequal sizes, unreadable or cut-off files.
    """
    ir_files, vi_files = list_pictures(ir), list_pictures(vi)
    problems = [f"{ir_files[s]} has no visible partner in {vi}" for s in ir_files.keys() - vi_files.keys()]
    problems += [f"{vi_files[s]} has no infrared partner in {ir}" for s in vi_files.keys() - ir_files.keys()]
    candidates = [PairPaths(prefix + s, ir_files[s], vi_files[s]) for s in ir_files if s in vi_files]
    with ThreadPoolExecutor() as pool:  # thousands of headers, each a wait for the disk
        found = list(pool.map(lambda pair: _header_problem(pair, same_size), candidates))
    problems = sorted(problems) + [p for p in found if p]
    if problems and not skip_bad:
        raise PairError(_explain(problems, of=len(ir_files.keys() | vi_files.keys())))
    pairs = [pair for pair, problem in zip(candidates, found, strict=True) if not problem]
    if not pairs:
        raise PairError(f"{ir} and {vi} have no usable pair. " + _explain(problems, of=len(problems)))
    return pairs, problems


def _header_problem(pair: PairPaths, same_size: bool) -> str | None:
    try:
        (ir_h, ir_w), (vi_h, vi_w) = image_size(pair.ir), image_size(pair.vi)
    except ImageError as error:
        return str(error)
    if same_size and (ir_h, ir_w) != (vi_h, vi_w):
        return f"{pair.ir} is {ir_h}x{ir_w} but {pair.vi} is {vi_h}x{vi_w}; register or resize the pair first"
    return None


def _explain(problems: Sequence[str], *, of: int) -> str:
    more = f"\n  ... and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    lines = "".join(f"\n  {p}" for p in problems[:_SHOWN])
    return f"{len(problems)} of {of} pairs cannot be used:{lines}{more}\nMend them, or leave them out with --skip-bad."


def find_modalities(folder: Path) -> tuple[Path, Path] | None:
    """The infrared and the visible sub-folder under the field's usual names, in any case; None where one is missing."""
    subfolders = {p.name.lower(): p for p in folder.iterdir() if p.is_dir()}
    ir = next((subfolders[n] for n in INFRARED_NAMES if n in subfolders), None)
    vi = next((subfolders[n] for n in VISIBLE_NAMES if n in subfolders), None)
    return (ir, vi) if ir and vi else None


def find_pair_folders(root: str | Path, *, split: str | None = None) -> dict[str, tuple[Path, Path]]:
    """Where a data set keeps its pairs, as {sequence name or "": (infrared folder, visible folder)}.

    The root may hold the two folders, or a folder `split` that holds them (MSRS), or one folder per sequence, each of
    which holds them (video sets). Raises PairError that lists what was found instead.
    """
    root = Path(root)
    if not root.is_dir():
        raise PairError(f"{root} is not a folder.")
    named = [p for p in root.iterdir() if p.is_dir() and split and p.name.lower() == split.lower()]
    for folder in (root, *named):
        if pair := find_modalities(folder):
            return {"": pair}
        sequences = {p.name: find_modalities(p) for p in sorted(folder.iterdir()) if p.is_dir()}
        if sequences and all(sequences.values()) and not (folder == root and named):
            return sequences
    found = ", ".join(sorted(p.name for p in root.iterdir())[:_SHOWN]) or "nothing"
    raise PairError(
        f"{root} holds no infrared and visible folder (names such as {INFRARED_NAMES[0]}/{VISIBLE_NAMES[0]}, "
        f"infrared/visible, Ir/Vis, cropinfrared/crop_LR_visible); found: {found}. "
        "Name the folder above the two, or the split."
    )


class PairFolder:
    """Random-access source of the pairs below a folder: `{"id": str, "ir": [h, w, 1], "vi": [h, w, 3]}`, as stored.

    Pixels stay uint8 or uint16 until the crop is cut; `skipped` lists what `skip_bad` left out.
    """

    def __init__(self, root: str | Path, *, split: str | None = None, skip_bad: bool = False):
        self.pairs: list[PairPaths] = []
        self.skipped: list[str] = []
        for name, (ir, vi) in find_pair_folders(root, split=split).items():
            pairs, skipped = match_pairs(ir, vi, prefix=f"{name}/" if name else "", skip_bad=skip_bad)
            self.pairs += pairs
            self.skipped += skipped

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, str | np.ndarray]:
        pair = self.pairs[index]
        ir, vi = as_infrared(read_image(pair.ir)), as_visible(read_image(pair.vi))
        if ir.shape[:2] != vi.shape[:2]:
            raise PairError(f"{pair.id}: ir is {ir.shape[:2]} but vi is {vi.shape[:2]}; register the pair first.")
        return {"id": pair.id, "ir": ir, "vi": vi}


class JoinedSource:
    """Several random-access sources one after the other."""

    def __init__(self, sources: Iterable):
        self.sources = list(sources)
        self._ends = np.cumsum([len(s) for s in self.sources])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> dict:
        n = int(np.searchsorted(self._ends, index, side="right"))
        return self.sources[n][index - (int(self._ends[n - 1]) if n else 0)]
