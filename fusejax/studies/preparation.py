"""What an ablation needs before its variants can be trained: described as data, made once."""

import dataclasses
from pathlib import Path
from typing import Protocol, runtime_checkable

from fusejax.data.alignment import AlignConfig


@runtime_checkable
class Preparation(Protocol):
    """Something that an ablation needs on disk."""

    def prepare(self) -> None:
        """Makes it, unless it exists already."""
        ...


@dataclasses.dataclass(frozen=True)
class AlignmentPlan:
    """A plan of patches chosen by Top-K alignment (CrossFuse), as `fusejax align` writes it.

    Attributes:
        target: pair folder whose brightness the patches are to match.
        auxiliary: pair folder that the patches are chosen from.
        path: JSON file of the plan; an image to judge it by is written next to it.
        config: what is cut, chosen and fitted.
    """

    target: Path
    auxiliary: Path
    path: Path
    config: AlignConfig

    def prepare(self) -> None:
        """Aligns and writes the plan, unless the file exists."""
        from fusejax.studies.alignment import align_folders

        if not self.path.exists():
            align_folders(self.target, self.auxiliary, self.path, config=self.config)


@dataclasses.dataclass(frozen=True)
class BoxedPairs:
    """A folder of made-up pairs with their exact object boxes.

    Attributes:
        folder: to write to.
        count: number of pairs.
        size: height and width in pixels.
        seed: of the pairs. Training on made-up pairs draws them from seed 0.
    """

    folder: Path
    count: int
    size: tuple[int, int]
    seed: int = 1

    def prepare(self) -> None:
        """Writes the pairs, unless all of them exist; the boxes are the last file of each pair."""
        from fusejax.data.synthetic import write_synthetic_folder

        if len(list((self.folder / "boxes").glob("*.json"))) < self.count:
            write_synthetic_folder(self.folder, count=self.count, size=self.size, seed=self.seed, boxes=True)
