"""The description of an ablation, as returned by its configuration file."""

import dataclasses
from collections.abc import Collection, Mapping
from pathlib import Path

from fusejax.config import TrainConfig
from fusejax.evaluation.preparation import Preparation

RUNS = "runs"
"""Subfolder of an ablation that holds its runs."""


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
        places: where other folders of `scored_on` are, likewise, if not below the data root by
            their own names.
        preparations: what must exist before the variants can be trained and scored.
    """

    title: str
    variants: Mapping[str, TrainConfig]
    scored_on: Mapping[str, str]
    shown: int = 2
    boxed: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    places: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    preparations: tuple[Preparation, ...] = ()

    def folder(self, name: str, data_root: Path) -> Path:
        """Folder with the pairs of an entry of `scored_on`."""
        return data_root / {**self.places, **self.boxed}.get(name, Path(name))

    def only(self, names: Collection[str]) -> "Ablation":
        """The same ablation with the named variants alone.

        Raises:
            ValueError: if a name is not that of a variant.
        """
        if unknown := sorted(set(names) - set(self.variants)):
            raise ValueError(f"no variant is named {unknown[0]!r}; known: {', '.join(self.variants)}.")
        return dataclasses.replace(self, variants={n: v for n, v in self.variants.items() if n in names})

    def times_as_long(self, factor: int) -> "Ablation":
        """The same ablation with `factor` times as many steps or epochs in every stage.

        Learning rates decay over the whole length; warmups keep their number of steps.
        """
        return dataclasses.replace(self, variants={n: _lengthened(v, factor) for n, v in self.variants.items()})


def _lengthened(config: TrainConfig, factor: int) -> TrainConfig:
    stages = (
        dataclasses.replace(s, epochs=factor * s.epochs, steps=None if s.steps is None else factor * s.steps)
        for s in config.stages
    )
    return dataclasses.replace(config, stages=tuple(stages))


def run_folder(out: Path, variant: str, seed: int) -> Path:
    """Folder below `out` that holds the run of a variant with a given seed."""
    return out / RUNS / f"{variant.replace(' ', '_').replace('/', '-')}_{seed}"
