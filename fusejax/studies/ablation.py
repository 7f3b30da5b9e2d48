"""The description of an ablation, as returned by its configuration file."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from fusejax.config import TrainConfig
from fusejax.studies.preparation import Preparation


@dataclasses.dataclass(frozen=True)
class Ablation:
    """Variants to train and the data to score them on. Plain data: creating one touches no file.

    Attributes:
        title: heading of the table.
        variants: configurations by name; they should differ only in what the name says.
        scored_on: pair folders below the data root, including the split, with a short note on each.
        shown: number of pairs of each folder, from the first, to draw in a grid.
        boxed: folders of `scored_on` that are also scored inside their object boxes, with the
            location of the boxes, below the data root or absolute.
        preparations: what must exist before the variants can be trained and scored.
    """

    title: str
    variants: Mapping[str, TrainConfig]
    scored_on: Mapping[str, str]
    shown: int = 2
    boxed: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    preparations: tuple[Preparation, ...] = ()

    def folder(self, name: str, data_root: Path) -> Path:
        """Folder with the pairs of an entry of `scored_on`."""
        return data_root / self.boxed.get(name, Path(name))


def run_folder(out: Path, variant: str, seed: int) -> Path:
    """Folder below `out` that holds the run of a variant with a given seed."""
    return out / "runs" / f"{variant.replace(' ', '_').replace('/', '-')}_{seed}"
