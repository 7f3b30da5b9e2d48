"""Random-access sources of pairs in folders."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Shaped

from fusejax.data.layouts import find_annotations, find_pair_folders
from fusejax.data.task import TaskName
from fusejax.io.annotations import read_boxes
from fusejax.io.images import as_infrared, as_visible, from_float
from fusejax.io.matching import split_glob
from fusejax.io.pair_finding import scan_pairs
from fusejax.io.pair_images import PairHeader, SourceOptions, read_pair, read_visible
from fusejax.io.pair_list import is_pair_list
from fusejax.io.pairing import PairError, PairPaths, Scan, ScanOptions, scan_folders, size_text
from fusejax.typing import Pair

_READ = SourceOptions()
_RANGE = (
    "say which values are black and white with ir_range (--data.ir-range LOW HIGH), such as those that `fusejax fuse` "
    "prints for the folder"
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
        any_size: whether the two images of a pair may differ in size, because they are registered
            later.

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
        any_size: bool = False,
    ):
        found, options = Scan(), ScanOptions(same_size=not any_size, min_side=min_side)
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
        self._boxes, self._ir_range, self._any_size = boxes, ir_range, any_size

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Pair:
        pair = self.pairs[index]
        self._check_value(index)
        images = read_pair(pair, _READ)
        ir, vi = self._infrared(pair.ir, images.ir), as_visible(images.vi)
        if ir.shape[:2] != vi.shape[:2] and not self._any_size:  # changed since the headers were read
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
