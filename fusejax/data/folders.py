"""Folders of infrared-visible pairs: pictures are paired by file stem, never by list order."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from fusejax.data.annotations import AnnotationError, find_annotation, read_boxes
from fusejax.data.images import SUFFIXES, ImageError, as_infrared, as_visible, image_size, read_image

# Folder names of the field's public sets, lower case.
INFRARED_NAMES = ("ir", "infrared", "inf", "thermal", "lwir", "cropinfrared")
VISIBLE_NAMES = ("vi", "vis", "visible", "rgb", "crop_lr_visible")
ANNOTATION_NAMES = ("boxes", "annotations", "annotation", "labels")
SPLIT_NAMES = ("train", "training", "val", "valid", "validation", "test", "test_dev", "testing", "eval")

_SHOWN = 8


class PairError(ValueError):
    """Folders that do not hold usable pairs; the message names files and says what to do."""


@dataclasses.dataclass(frozen=True)
class PairPaths:
    """One pair on disk; `id` is the file stem, with the sequence's name before it where there are sequences."""

    id: str
    ir: Path
    vi: Path
    annotation: Path | None = None


@dataclasses.dataclass
class _Found:
    """What a look at two folders, or several times two, came to: usable pairs, and a line for each other stem."""

    pairs: list[PairPaths] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)

    def check(self, where: str, *, skip_bad: bool) -> None:
        """Raises PairError where something is wrong and may not be skipped, or where nothing is left."""
        if self.pairs and (skip_bad or not self.problems):
            return
        lines = "".join(f"\n  {p}" for p in self.problems[:_SHOWN])
        more = f"\n  ... and {len(self.problems) - _SHOWN} more" if len(self.problems) > _SHOWN else ""
        total = len(self.pairs) + len(self.problems)
        mend = "Mend them, or leave them out with --skip-bad (when training, --data.skip-bad)."
        advice = mend if self.pairs else "No usable pair is left."
        raise PairError(f"{where}: {len(self.problems)} of {total} pairs cannot be used:{lines}{more}\n{advice}")


def list_pictures(folder: str | Path) -> dict[str, Path]:
    """Picture files of a folder by stem, sorted. Raises PairError where it is missing, empty or a stem comes twice."""
    pictures, repeated = _scan(Path(folder))
    if repeated:
        raise PairError(f"{next(iter(repeated.values()))}.")
    return pictures


def _scan(folder: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """Pictures by stem, and what is wrong with the stems that come more than once."""
    if not folder.is_dir():
        raise PairError(f"{folder} is not a folder.")
    pictures: dict[str, Path] = {}
    repeated: dict[str, str] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
            continue
        if path.stem in pictures:
            repeated[path.stem] = f"{pictures[path.stem]} and {path} share the stem {path.stem!r}; keep one of them"
        pictures[path.stem] = path
    if not pictures:
        raise PairError(f"{folder} holds no pictures ({', '.join(SUFFIXES)}).")
    return pictures, repeated


def match_pairs(
    ir: str | Path, vi: str | Path, *, skip_bad: bool = False, same_size: bool = True
) -> tuple[list[PairPaths], list[str]]:
    """Pairs two folders by stem and checks every header.

    Args:
      skip_bad: leave out what is wrong instead of raising.
      same_size: whether the two pictures of a pair must agree in size.
    Returns: the pairs, sorted by stem, and a line for each that was left out.
    Raises: PairError listing names without a partner, stems that come twice, unequal sizes, unreadable and cut-off
      files.
    """
    found = _look_at(Path(ir), Path(vi), same_size=same_size)
    found.check(f"{ir} and {vi}", skip_bad=skip_bad)
    return found.pairs, found.problems


def _look_at(
    ir: Path,
    vi: Path,
    *,
    annotations: Path | None = None,
    prefix: str = "",
    same_size: bool = True,
    min_side: int = 1,
) -> _Found:
    (ir_files, ir_repeated), (vi_files, vi_repeated) = _scan(ir), _scan(vi)
    problems = vi_repeated | ir_repeated
    if not ir_files.keys() & vi_files.keys():
        raise PairError(
            f"{ir} and {vi} share no file name (such as {next(iter(ir_files.values())).name} and "
            f"{next(iter(vi_files.values())).name}); the two files of a pair need the same stem."
        )
    problems |= {s: f"{ir_files[s]} has no visible partner in {vi}" for s in ir_files.keys() - vi_files.keys()}
    problems |= {s: f"{vi_files[s]} has no infrared partner in {ir}" for s in vi_files.keys() - ir_files.keys()}
    annotated = {}
    for stem in ir_files if annotations else ():
        try:
            annotated[stem] = find_annotation(annotations, stem)
        except AnnotationError as error:
            problems.setdefault(stem, str(error))
    pairs = [PairPaths(prefix + s, ir_files[s], vi_files[s], annotated.get(s)) for s in ir_files if s not in problems]
    check = functools.partial(_header_problem, same_size=same_size, min_side=min_side)
    with ThreadPoolExecutor() as pool:  # thousands of headers, each a wait for the disk
        headers = list(pool.map(check, pairs))
    return _Found(
        pairs=[pair for pair, problem in zip(pairs, headers, strict=True) if not problem],
        problems=[problems[s] for s in sorted(problems)] + [problem for problem in headers if problem],
    )


def _header_problem(pair: PairPaths, *, same_size: bool, min_side: int) -> str | None:
    try:
        (ir_h, ir_w), (vi_h, vi_w) = image_size(pair.ir), image_size(pair.vi)
    except ImageError as error:
        return str(error)
    if same_size and (ir_h, ir_w) != (vi_h, vi_w):
        return f"{pair.ir} is {ir_h}x{ir_w} but {pair.vi} is {vi_h}x{vi_w}; register or resize the pair first"
    if min(ir_h, ir_w, vi_h, vi_w) < min_side:
        return f"{pair.vi} is {vi_h}x{vi_w}, smaller than the crop of {min_side} pixels; lower data.crop"
    if pair.annotation is not None:
        try:
            read_boxes(pair.annotation, size=(vi_h, vi_w))
        except AnnotationError as error:
            return str(error)
    return None


def find_modalities(folder: Path, *, split: str | None = None) -> tuple[Path, Path] | None:
    """The infrared and the visible sub-folder under the field's usual names, in any case; None where there is neither.

    Where both hold a folder `split`, that is what is meant (LLVIP's infrared/train, visible/train).
    Raises PairError where one of the two is missing.
    """
    subfolders = _subfolders(folder)
    ir = next((subfolders[n] for n in INFRARED_NAMES if n in subfolders), None)
    vi = next((subfolders[n] for n in VISIBLE_NAMES if n in subfolders), None)
    if not ir and not vi:
        return None
    if not ir or not vi:
        names = INFRARED_NAMES if vi else VISIBLE_NAMES
        raise PairError(f"{ir or vi} has no partner: {folder} needs one of the folders {', '.join(names)} beside it.")
    inner = tuple(_subfolders(p).get((split or "").lower()) for p in (ir, vi))
    return inner if all(inner) else (ir, vi)


def find_annotations(ir: Path) -> Path | None:
    """The folder of annotations beside an infrared folder, under the field's usual names, in any case; None without.

    Beside LLVIP's infrared/train it is Annotations/train, or Annotations where that holds no such folder.
    """
    split = None if ir.name.lower() in INFRARED_NAMES else ir.name.lower()
    beside = _subfolders(ir.parent.parent if split else ir.parent)
    folder = next((beside[n] for n in ANNOTATION_NAMES if n in beside), None)
    return _subfolders(folder).get(split, folder) if folder and split else folder


def _subfolders(folder: Path) -> dict[str, Path]:
    """By name in lower case; hidden ones and archive leftovers (__MACOSX) are no data."""
    return {p.name.lower(): p for p in sorted(folder.iterdir()) if p.is_dir() and not p.name.startswith((".", "__"))}


def find_pair_folders(root: str | Path, *, split: str | None = None) -> dict[str, tuple[Path, Path]]:
    """Where a data set keeps its pairs, as {sequence name or "": (infrared folder, visible folder)}.

    The root may hold the two folders (RoadScene, M3FD), or a folder `split` that holds them (MSRS), or one folder per
    sequence, each of which holds them (video sets); also split, then sequences. Raises PairError that lists what was
    found instead, or asks for a split where there are several.
    """
    root = Path(root)
    if not root.is_dir():
        raise PairError(f"{root} is not a folder.")
    if pair := find_modalities(root, split=split):
        return {"": pair}
    subfolders = _subfolders(root)
    if split and split.lower() in subfolders:
        return find_pair_folders(subfolders[split.lower()])
    sequences = {p.name: pair for p in subfolders.values() if (pair := find_modalities(p))}
    if splits := [n for n in subfolders if n in SPLIT_NAMES]:
        wanted = f"none is called {split!r}" if split else "no split was asked for"
        raise PairError(f"{root} holds splits ({', '.join(splits)}) but {wanted}; name one, or give its folder.")
    if sequences:
        return sequences
    found = ", ".join(sorted(p.name for p in root.iterdir())[:_SHOWN]) or "nothing"
    raise PairError(
        f"{root} holds no infrared and visible folder (names such as ir/vi, infrared/visible, Ir/Vis, "
        f"cropinfrared/crop_LR_visible); found: {found}. Name the folder above the two."
    )


class PairFolder:
    """Random-access source of the pairs below a folder: `{"id": str, "ir": [h, w, 1], "vi": [h, w, 3]}`, as stored.

    Headers are looked at when it is opened, pixels only when asked for; they stay uint8 or uint16 until the crop is
    cut. `skipped` lists what `skip_bad` left out.

    Args:
      split, root: see `find_pair_folders`.
      skip_bad: leave out what cannot be used instead of raising.
      min_side: shortest side in pixels that is of use (the crop of a training run).
      boxes: elements also hold `boxes`, float32 [n, 4], x1, y1, x2, y2 in pixels, and `labels`, a tuple of n names,
        from the folder that `find_annotations` finds; a pair without annotation has none of them, n = 0.
    Raises: PairError listing every kind of unusable pair, see `match_pairs`; with boxes, bad annotations too.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        split: str | None = None,
        skip_bad: bool = False,
        min_side: int = 1,
        boxes: bool = False,
    ):
        found = _Found()
        for name, (ir, vi) in find_pair_folders(root, split=split).items():
            annotations = find_annotations(ir) if boxes else None
            prefix = f"{name}/" if name else ""
            part = _look_at(ir, vi, annotations=annotations, prefix=prefix, min_side=min_side)
            found.pairs += part.pairs
            found.problems += part.problems
        found.check(str(root), skip_bad=skip_bad)
        self.pairs: Sequence[PairPaths] = found.pairs
        self.skipped: Sequence[str] = found.problems
        self._boxes = boxes

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, str | np.ndarray | tuple[str, ...]]:
        pair = self.pairs[index]
        ir, vi = as_infrared(read_image(pair.ir)), as_visible(read_image(pair.vi))
        if ir.shape[:2] != vi.shape[:2]:  # changed since the headers were looked at
            raise PairError(f"{pair.id}: ir is {ir.shape[:2]} but vi is {vi.shape[:2]}; register the pair first.")
        element = {"id": pair.id, "ir": ir, "vi": vi}
        if self._boxes:
            element |= {"boxes": np.zeros((0, 4), np.float32), "labels": ()}
            if pair.annotation is not None:
                found = read_boxes(pair.annotation, size=ir.shape[:2])
                element |= {"boxes": found.xyxy, "labels": found.labels}
        return element


class JoinedSource:
    """Several random-access sources one after the other."""

    def __init__(self, sources: Iterable):
        self.sources = list(sources)
        self._ends = np.cumsum([len(s) for s in self.sources])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> dict:
        if not 0 <= index < len(self):
            raise IndexError(f"index {index} of {len(self)} pairs.")
        n = int(np.searchsorted(self._ends, index, side="right"))
        return self.sources[n][index - (int(self._ends[n - 1]) if n else 0)]


class MappedSource:
    """A random-access source with a function of each element."""

    def __init__(self, source, function: Callable[[dict], dict]):
        self.source, self.function = source, function

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> dict:
        return self.function(self.source[index])
