"""The description of an ablation: what its file returns."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from fusejax.config import TrainConfig
from fusejax.studies.preparation import Preparation


@dataclasses.dataclass(frozen=True)
class Ablation:
    """Variants to train, and what they are scored on. Plain data: making one touches no file.

    Attributes:
        title: heads the table.
        variants: name -> configuration; they should differ in what the name says and nothing else.
        scored_on: pair folders below the data root, named down to the split, with a short note on
            each.
        shown: number of pairs of each folder, from the first, that are drawn in a grid.
        boxed: those of `scored_on` that are also scored inside their object boxes, and where they
            are, below the data root or absolute.
        preparations: what has to exist before the variants can be trained and scored.
    """

    title: str
    variants: Mapping[str, TrainConfig]
    scored_on: Mapping[str, str]
    shown: int = 2
    boxed: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    preparations: tuple[Preparation, ...] = ()

    def folder(self, name: str, data_root: Path) -> Path:
        """Where the pairs of one of `scored_on` are."""
        return data_root / self.boxed.get(name, Path(name))


def run_folder(out: Path, variant: str, seed: int) -> Path:
    """Folder below `out` that holds the run of a variant with a seed."""
    return out / "runs" / f"{variant.replace(' ', '_').replace('/', '-')}_{seed}"
