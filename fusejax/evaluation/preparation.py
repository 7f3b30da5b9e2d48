"""What an ablation needs before its variants can be trained: described as data, created once."""

import dataclasses
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from fusejax.data.alignment import AlignConfig


@runtime_checkable
class Preparation(Protocol):
    """Something that an ablation needs on disk."""

    def prepare(self) -> None:
        """Creates it unless it already exists."""
        ...


@dataclasses.dataclass(frozen=True)
class AlignmentPlan:
    """A plan of patches selected by Top-K alignment (CrossFuse), as written by `fusejax align`.

    Attributes:
        target: pair folder whose brightness the patches should match.
        auxiliary: pair folder from which the patches are selected.
        path: JSON file of the plan; an image for judging it is written next to it.
        config: settings for cutting, selecting and fitting.
    """

    target: Path
    auxiliary: Path
    path: Path
    config: AlignConfig

    def prepare(self) -> None:
        """Aligns and writes the plan, unless the file exists."""
        from fusejax.data.alignment_folders import align_folders

        if not self.path.exists():
            align_folders(self.target, self.auxiliary, self.path, config=self.config)


@dataclasses.dataclass(frozen=True)
class BoxedPairs:
    """A folder of synthetic pairs with their exact object boxes.

    Attributes:
        folder: folder to write to.
        count: number of pairs.
        size: height and width in pixels.
        seed: seed of the pairs. Training on synthetic pairs draws them from seed 0.
    """

    folder: Path
    count: int
    size: tuple[int, int]
    seed: int = 1

    def prepare(self) -> None:
        """Writes the pairs unless all of them exist; the boxes are written last for each pair."""
        from fusejax.data.synthetic import write_synthetic_folder

        if len(list((self.folder / "boxes").glob("*.json"))) < self.count:
            write_synthetic_folder(self.folder, count=self.count, size=self.size, seed=self.seed, boxes=True)


@dataclasses.dataclass(frozen=True)
class ShiftedPairs:
    """A copy of a pair folder whose visible images are darkened: V^gamma, with V in [0, 1].

    Attributes:
        source: folder with the two image folders.
        folder: folder to write to, with PNG files.
        gamma: exponent; 1 changes nothing.
    """

    source: Path
    folder: Path
    gamma: float

    def prepare(self) -> None:
        """Writes the pairs that do not exist yet; the visible image is written last."""
        from fusejax.data.folders import PairFolder
        from fusejax.io.images import from_float, to_float, write_image

        for pair in PairFolder(self.source):
            name = f"{pair['id']}.png"
            if not (self.folder / "vi" / name).exists():
                write_image(self.folder / "ir" / name, pair["ir"])
                write_image(self.folder / "vi" / name, from_float(to_float(pair["vi"]) ** self.gamma, np.uint8))
