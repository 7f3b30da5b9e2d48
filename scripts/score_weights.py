"""Scores weights beside the simple rules on folders of pairs: the table of a model card.

python scripts/score_weights.py --data-root DIR --sets roadscene/val msrs/test_dev tno/test_dev
--out DIR
"""

import dataclasses
from pathlib import Path
from typing import Literal

import numpy as np
import tyro

from fusejax.cli.evaluate import EvaluateOptions, evaluate_command
from fusejax.cli.fuse import FuseOptions, fuse_command
from fusejax.data.folders import find_pair_folders
from fusejax.data.images import as_infrared, read_image, write_image
from fusejax.data.pairing import match_pairs
from fusejax.ops.color import rgb_to_luma


@dataclasses.dataclass(frozen=True)
class ScoreOptions:
    """What to score.

    Attributes:
      data_root: folder that holds the sets.
      sets: pair folders below it.
      out: fused images and scores go here, a folder per set.
      weights: shipped name, .safetensors file or folder of a run.
      convention: whose definitions to use.
    """

    data_root: Path
    out: Path
    sets: tuple[str, ...] = ("roadscene/val", "msrs/test_dev", "tno/test_dev")
    weights: str = "light"
    convention: Literal["exact", "cddfuse", "tang", "vifb"] = "cddfuse"


def apply_rules(ir_folder: Path, vi_folder: Path, out: Path) -> None:
    """Gray images of the rules that need no model: average, maximum, and each source as it is."""
    pairs, _ = match_pairs(ir_folder, vi_folder)
    for pair in pairs:
        ir = as_infrared(read_image(pair.ir))
        vi = read_image(pair.vi).astype(np.float32)
        vi_y = np.round(rgb_to_luma(vi) if vi.shape[-1] == 3 else vi).astype(np.uint8)
        average = np.round((ir.astype(np.float32) + vi_y) / 2).astype(np.uint8)
        fused = {"average": average, "maximum": np.maximum(ir, vi_y), "visible only": vi_y, "infrared only": ir}
        for rule, image in fused.items():
            write_image(out / rule / f"{pair.id}.png", image)


def main(options: ScoreOptions) -> None:
    for name in options.sets:
        ((ir, vi),) = find_pair_folders(options.data_root / name).values()
        out = options.out / name.replace("/", "_")
        ours = out / "fusejax"
        fuse_command(FuseOptions(ir, vi, ours, weights=options.weights, overwrite=True))
        apply_rules(ir, vi, out)
        methods = (ours, *(out / rule for rule in ("average", "maximum", "visible only", "infrared only")))
        print(name)
        evaluate_command(EvaluateOptions(methods, ir, vi, convention=options.convention, out=out / "scores"))


if __name__ == "__main__":
    main(tyro.cli(ScoreOptions))
