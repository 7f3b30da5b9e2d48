"""Scores weights and the simple fusion rules on folders of pairs, using `fusejax compare`.

python scripts/score_weights.py --data-root DIR --sets roadscene/val msrs/test_dev tno/test_dev
--out DIR
"""

import dataclasses
from pathlib import Path
from typing import Literal

import tyro

from fusejax.cli.compare import CompareOptions, compare_command


@dataclasses.dataclass(frozen=True)
class ScoreOptions:
    """What to score.

    Attributes:
      data_root: folder that holds the sets.
      sets: pair folders below it.
      out: folder for fused images and tables.
      weights: shipped name, .safetensors file or folder of a run.
      convention: which toolkit's metric definitions to use.
    """

    data_root: Path
    out: Path
    sets: tuple[str, ...] = ("roadscene/val", "msrs/test_dev", "tno/test_dev")
    weights: str = "light"
    convention: Literal["exact", "cddfuse", "tang", "vifb"] = "cddfuse"


def main(options: ScoreOptions) -> None:
    compare_command(
        CompareOptions(
            options.data_root,
            options.out,
            options.sets,
            weights=(options.weights,),
            convention=options.convention,
            overwrite=True,
        )
    )


if __name__ == "__main__":
    main(tyro.cli(ScoreOptions))
