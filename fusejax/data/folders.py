"""Folder layouts of the field's public data sets, and random-access sources of their pairs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Shaped

from fusejax.data.task import TASKS, TaskName
from fusejax.io.annotations import read_boxes
from fusejax.io.cameras import read_camera_layout
from fusejax.io.images import as_infrared, as_visible, from_float
from fusejax.io.listing import images_of
from fusejax.io.matching import holds_pairs, split_glob, with_patterns
from fusejax.io.pair_finding import scan_pairs
from fusejax.io.pair_images import PairHeader, SourceOptions, read_pair, read_visible
from fusejax.io.pair_list import is_pair_list
from fusejax.io.pairing import PairError, PairPaths, Scan, ScanOptions, check_folder, scan_folders, size_text
from fusejax.typing import Pair

INFRARED_NAMES, VISIBLE_NAMES = TASKS["infrared-visible"].first, TASKS["infrared-visible"].second
ANNOTATION_NAMES = ("boxes", "annotations", "annotation", "labels")
SPLIT_NAMES = ("train", "training", "val", "valid", "validation", "test", "test_dev", "testing", "eval")

_SHOWN = 8
_READ = SourceOptions()
_RANGE = (
    "say which values are black and white with ir_range (--data.ir-range LOW HIGH), such as those that `fusejax fuse` "
    "prints for the folder"
)


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
    root: str | Path,
    *,
    split: str | None = None,
    task: TaskName = "infrared-visible",
    ir_pattern: str | None = None,
    vi_pattern: str | None = None,
) -> Mapping[str, tuple[Path, Path | None]]:
    """Finds the pair folders of a data set, as `find_pairs` takes them.

    Args:
        root: folder that contains the two folders (RoadScene, M3FD), a folder `split` that contains
            them (MSRS), one folder per sequence that contains them (video sets), a split with
            sequences, a folder of images whose names mark them as cameras do, a folder of camera
            files that hold both images, or a CSV file that lists pairs.
        split: name of the split, such as "train", if the root has several.
        task: what the two sources are, see `fusejax.data.task`.
        ir_pattern: names of the infrared files, such as "*_T.*"; `root` may then hold both kinds.
        vi_pattern: names of the visible files.

    Returns:
        {name of the sequence or "": (infrared folder, visible folder)}, with wildcards where
        patterns are given; None for the visible folder if the other path stands for both.

    Raises:
        PairError: if there are no such folders; lists what was found, or asks for a split.
    """
    root, patterns = Path(root), {"ir_pattern": ir_pattern, "vi_pattern": vi_pattern}
    if is_pair_list(root):
        return {"": with_patterns(root, None, **patterns)}
    check_folder(root)
    found = _find_pair_folders(root, split, task, flat=any(patterns.values()))
    return {name: with_patterns(ir, vi, **patterns) for name, (ir, vi) in found.items()}


def _find_pair_folders(
    root: Path, split: str | None, task: TaskName, *, flat: bool
) -> Mapping[str, tuple[Path, Path | None]]:
    if pair := find_modalities(root, split=split, task=task):
        return {"": pair}
    if flat and _images(root):
        return {"": (root, None)}
    if holds_pairs(root):
        return {"": (root, root)}
    if (images := _images(root)) and any(map(read_camera_layout, images)):
        return {"": (root, None)}
    subfolders = _subfolders(root)
    if split and split.lower() in subfolders:
        return _find_pair_folders(subfolders[split.lower()], None, task, flat=flat)
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


def _images(folder: Path) -> list[Path]:
    """Image files of a folder; none if there are none."""
    try:
        return images_of(folder)
    except PairError:
        return []


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
        root: see `find_pair_folders`. Pairs of a list, and files that hold both images, have no
            boxes.
        split: see `find_pair_folders`.
        skip_bad: skip unusable pairs instead of raising.
        min_side: minimum side in pixels (the crop of a training run).
        boxes: whether elements also have `boxes`, float32 [n, 4], x1, y1, x2, y2 in pixels, and
            `labels`, a tuple of n names, from the folder found by `find_annotations`; n is 0 for
            pairs without annotation.
        ir_range: values of the infrared files that map to black and white, for raw counts and
            temperatures; `ir` is uint16 then. By default, the files hold display images; files of
            cameras, which hold none, are refused when they are read (`check_values`).
        task: what the two sources are, see `fusejax.data.task`: `ir` is the luma of the first, `vi`
            the second.
        ir_pattern: names of the infrared files, such as "*_T.*", see `find_pairs`.
        vi_pattern: names of the visible files.

    Attributes:
        pairs: paths of the usable pairs.
        skipped: one line per pair skipped because of `skip_bad`.

    Raises:
        PairError: if there are unusable pairs, see `find_pairs`; with `boxes`, also for invalid
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
        ir_pattern: str | None = None,
        vi_pattern: str | None = None,
    ):
        found, options = Scan(), ScanOptions(same_size=True, min_side=min_side)
        folders = find_pair_folders(root, split=split, task=task, ir_pattern=ir_pattern, vi_pattern=vi_pattern)
        for name, (ir, vi) in folders.items():
            annotations = find_annotations(split_glob(ir)[0]) if boxes and not is_pair_list(ir) else None
            prefix = f"{name}/" if name else ""
            if vi is None:
                found.add(scan_pairs(ir, None, options))
            else:
                found.add(scan_folders(ir, vi, options, annotations=annotations, prefix=prefix))
        found.check(str(root), skip_bad=skip_bad)
        self.pairs: Sequence[PairPaths] = found.pairs
        self.headers: Sequence[PairHeader] = list(found.headers.values())
        self.skipped: Sequence[str] = list(found.problems.values())
        self._boxes, self._ir_range = boxes, ir_range

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Pair:
        pair = self.pairs[index]
        self._check_value(index)
        images = read_pair(pair, _READ)
        ir, vi = self._infrared(pair.ir, images.ir), as_visible(images.vi)
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

    def check_values(self) -> None:
        """Checks that it is known how infrared values become gray levels.

        Raises:
            PairError: if a file of a camera holds counts or temperatures, and no range is given.
        """
        for index in range(len(self)):
            self._check_value(index)

    def _check_value(self, index: int) -> None:
        layout = self.headers[index].layout
        if layout is not None and self._ir_range is None:
            held = "temperatures in degrees Celsius" if layout.kind == "FLIR" else "counts"
            raise PairError(f"{self.pairs[index].ir} holds {held}, not a display image; {_RANGE}.")

    def visible(self, index: int) -> Shaped[np.ndarray, "h w c"]:
        """The visible image of a pair.

        Args:
            index: number of the pair.

        Returns:
            The pixels as stored; of a file with both images, the common field.
        """
        return read_visible(self.pairs[index], _READ)

    def _infrared(self, path: Path, values: Shaped[np.ndarray, "h w c"]) -> Shaped[np.ndarray, "h w 1"]:
        if self._ir_range is None:
            if values.dtype.kind != "u":
                raise PairError(f"{path} holds {values.dtype} values, not a display image; {_RANGE}.")
            return as_infrared(values)
        low, high = self._ir_range
        unit = (as_infrared(values).astype(np.float64) - low) / (high - low)
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
