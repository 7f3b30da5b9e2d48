"""Folder layouts of the field's public data sets, and random-access sources of their pairs."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Shaped

from fusejax.data.task import TASKS, TaskName
from fusejax.io.annotations import read_boxes
from fusejax.io.images import as_infrared, as_visible, from_float, read_image
from fusejax.io.infrared import read_infrared
from fusejax.io.pairing import (
    PairError,
    PairPaths,
    Scan,
    check_folder,
    holds_pairs,
    is_pair_list,
    match_pairs,
    scan_pair,
    size_text,
)
from fusejax.typing import Pair

INFRARED_NAMES, VISIBLE_NAMES = TASKS["infrared-visible"].first, TASKS["infrared-visible"].second
ANNOTATION_NAMES = ("boxes", "annotations", "annotation", "labels")
SPLIT_NAMES = ("train", "training", "val", "valid", "validation", "test", "test_dev", "testing", "eval")

_SHOWN = 8


def find_modalities(
    folder: Path, *, split: str | None = None, task: TaskName = "infrared-visible"
) -> tuple[Path, Path] | None:
    """Finds the infrared and the visible subfolder by the field's usual names, ignoring case.

    Args:
        folder: folder that contains the two.
        split: if both contain a folder of this name, it is used (LLVIP's infrared/train,
            visible/train).
        task: what the two sources are; determines the names.

    Returns:
        (infrared, visible), or the task's first and second; None if there is neither.

    Raises:
        PairError: if only one of the two exists.
    """
    subfolders = _subfolders(folder)
    names_of = TASKS[task]
    ir = next((subfolders[n] for n in names_of.first if n in subfolders), None)
    vi = next((subfolders[n] for n in names_of.second if n in subfolders), None)
    if not ir and not vi:
        return None
    if not ir or not vi:
        names = names_of.first if vi else names_of.second
        raise PairError(f"{ir or vi} has no partner: {folder} also needs one of the folders {', '.join(names)}.")
    inner_ir, inner_vi = (_subfolders(p).get((split or "").lower()) for p in (ir, vi))
    return (inner_ir, inner_vi) if inner_ir and inner_vi else (ir, vi)


def find_annotations(ir: Path) -> Path | None:
    """Finds the folder of annotations next to an infrared folder, by the field's usual names.

    For LLVIP's infrared/train it is Annotations/train, or Annotations if there is no such folder.

    Args:
        ir: folder of infrared images.

    Returns:
        The folder, or None if there is none.
    """
    split = None if ir.name.lower() in INFRARED_NAMES else ir.name.lower()
    siblings = _subfolders(ir.parent.parent if split else ir.parent)
    folder = next((siblings[n] for n in ANNOTATION_NAMES if n in siblings), None)
    return _subfolders(folder).get(split, folder) if folder and split else folder


def _subfolders(folder: Path) -> dict[str, Path]:
    """Subfolders by lower-case name, without hidden ones and archive leftovers (__MACOSX)."""
    return {p.name.lower(): p for p in sorted(folder.iterdir()) if p.is_dir() and not p.name.startswith((".", "__"))}


def find_pair_folders(
    root: str | Path, *, split: str | None = None, task: TaskName = "infrared-visible"
) -> dict[str, tuple[Path, Path]]:
    """Finds the pair folders of a data set.

    Args:
        root: folder that contains the two folders (RoadScene, M3FD), a folder `split` that contains
            them (MSRS), one folder per sequence that contains them (video sets), a split with
            sequences, or a folder of images whose names mark them as cameras do.
        split: name of the split, such as "train", if the root has several.
        task: what the two sources are, see `fusejax.data.task`.

    Returns:
        {name of the sequence or "": (infrared folder, visible folder)}.

    Raises:
        PairError: if there are no such folders; lists what was found, or asks for a split.
    """
    root = Path(root)
    check_folder(root)
    if pair := find_modalities(root, split=split, task=task):
        return {"": pair}
    if holds_pairs(root):
        return {"": (root, root)}
    subfolders = _subfolders(root)
    if split and split.lower() in subfolders:
        return find_pair_folders(subfolders[split.lower()], task=task)
    sequences = {p.name: pair for p in subfolders.values() if (pair := find_modalities(p, task=task))}
    if splits := [n for n in subfolders if n in SPLIT_NAMES]:
        wanted = f"none is called {split!r}" if split else "no split was given"
        raise PairError(f"{root} contains splits ({', '.join(splits)}), but {wanted}; name one, or give its folder.")
    if sequences:
        return sequences
    found = ", ".join(sorted(p.name for p in root.iterdir())[:_SHOWN]) or "nothing"
    if task != "infrared-visible":
        names = [" or ".join(kinds) for kinds in (TASKS[task].first, TASKS[task].second)]
        raise PairError(f"{root} has no two folders called {' and '.join(names)} ({task}); found: {found}.")
    raise PairError(
        f"{root} has no infrared and visible folders (with names such as ir/vi, infrared/visible, Ir/Vis, "
        f"cropinfrared/crop_LR_visible); found: {found}. Give the folder that contains the two."
    )


@runtime_checkable
class Source(Protocol):
    """Random access to pairs, with indices from 0 to length - 1."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Pair: ...


class PairFolder:
    """Random-access source of the pairs in a folder: `{"id": str, "ir": [h, w, 1], "vi": [h, w,
    3]}`.

    Headers are read when the folder is opened, pixels only when an element is accessed; they stay
    uint8 or uint16 until the crop is cut.

    Args:
        root: see `find_pair_folders`; or a CSV file that lists pairs, which have no boxes.
        split: see `find_pair_folders`.
        skip_bad: skip unusable pairs instead of raising.
        min_side: minimum side in pixels (the crop of a training run).
        boxes: whether elements also have `boxes`, float32 [n, 4], x1, y1, x2, y2 in pixels, and
            `labels`, a tuple of n names, from the folder found by `find_annotations`; n is 0 for
            pairs without annotation.
        ir_range: values of the infrared files that map to black and white, for raw counts and
            temperatures; `ir` is uint16 then. By default, the files hold display images.
        task: what the two sources are, see `fusejax.data.task`: `ir` is the luma of the first, `vi`
            the second.

    Attributes:
        pairs: paths of the usable pairs.
        skipped: one line per pair skipped because of `skip_bad`.

    Raises:
        PairError: if there are unusable pairs, see `match_pairs`; with `boxes`, also for invalid
            annotations.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        split: str | None = None,
        skip_bad: bool = False,
        min_side: int = 1,
        boxes: bool = False,
        ir_range: tuple[float, float] | None = None,
        task: TaskName = "infrared-visible",
    ):
        found = Scan()
        if listed := is_pair_list(Path(root)):
            found = Scan(*match_pairs(root, None, skip_bad=skip_bad, min_side=min_side))
        for name, (ir, vi) in ({} if listed else find_pair_folders(root, split=split, task=task)).items():
            annotations = find_annotations(ir) if boxes else None
            prefix = f"{name}/" if name else ""
            part = scan_pair(ir, vi, annotations=annotations, prefix=prefix, min_side=min_side)
            found.pairs += part.pairs
            found.problems += part.problems
        found.check(str(root), skip_bad=skip_bad)
        self.pairs: Sequence[PairPaths] = found.pairs
        self.skipped: Sequence[str] = found.problems
        self._boxes, self._ir_range = boxes, ir_range

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Pair:
        pair = self.pairs[index]
        ir, vi = self._read_infrared(pair.ir), as_visible(read_image(pair.vi))
        if ir.shape[:2] != vi.shape[:2]:  # changed since the headers were read
            sizes = size_text(ir.shape[:2]), size_text(vi.shape[:2])
            raise PairError(f"{pair.id}: ir is {sizes[0]} but vi is {sizes[1]}; register the pair first.")
        element: Pair = {"id": pair.id, "ir": ir, "vi": vi}
        if self._boxes:
            element["boxes"], element["labels"] = np.zeros((0, 4), np.float32), ()
            if pair.annotation is not None:
                found = read_boxes(pair.annotation, size=ir.shape[:2], stems=(pair.vi.stem, pair.ir.stem))
                element["boxes"], element["labels"] = found.xyxy, found.labels
        return element

    def _read_infrared(self, path: Path) -> Shaped[np.ndarray, "h w 1"]:
        if self._ir_range is None:
            return as_infrared(read_image(path))
        low, high = self._ir_range
        unit = (as_infrared(read_infrared(path).values).astype(np.float64) - low) / (high - low)
        return from_float(np.clip(unit, 0, 1).astype(np.float32), np.uint16)


class JoinedSource:
    """Several random-access sources, one after the other."""

    def __init__(self, sources: Iterable[Source]):
        self.sources = list(sources)
        self._ends = np.cumsum([len(s) for s in self.sources])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> Pair:
        if not 0 <= index < len(self):
            raise IndexError(f"Index {index} is out of range for {len(self)} pairs.")
        n = int(np.searchsorted(self._ends, index, side="right"))
        return self.sources[n][index - (int(self._ends[n - 1]) if n else 0)]


class MappedSource:
    """A random-access source that applies a function to each element."""

    def __init__(self, source: Source, function: Callable[[Any], Any]):
        self.source, self.function = source, function

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Pair:
        return self.function(self.source[index])


def has_boxes(source: Any) -> bool:
    """Whether any pair has object boxes; for sources other than folders, only the first 16 are
    read.
    """
    while hasattr(source, "source"):  # kept in memory, or cut into patches
        source = source.source
    if isinstance(source, PairFolder):
        return any(pair.annotation is not None for pair in source.pairs)
    return any(len(source[n].get("boxes", ())) for n in range(min(len(source), 16)))
