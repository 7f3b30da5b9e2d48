"""How much padding an image to a bucket size changes its result: it should not.

    python scripts/padding_effect.py --data-root DIR --sets roadscene/val [--weights angularfuse]
    [--pairs 12]

Compares with the network on the image alone, padded only as far as the network needs. Prints
differences over the images in gray levels of 255.
"""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import tyro

from fusejax.data.folders import PairFolder
from fusejax.inference.fuser import Fuser
from fusejax.io.images import to_float
from fusejax.models import build
from fusejax.ops.color import rgb_to_luma
from fusejax.ops.extent import bucket
from fusejax.weights.files import load_weights


@dataclasses.dataclass(frozen=True)
class PaddingOptions:
    """Which images to use: the first `pairs` of every set."""

    data_root: Path
    sets: tuple[str, ...] = ("roadscene/val",)
    weights: str = "angularfuse"
    pairs: int = 12


def main(options: PaddingOptions) -> None:
    params, config, _ = load_weights(options.weights)
    fuser, plain = Fuser(params, config), jax.jit(build(config).apply)
    rows = []
    for name in options.sets:
        source = PairFolder(options.data_root / name)
        for index in range(min(options.pairs, len(source))):
            pair = source[index]
            ir, vi_y = to_float(pair["ir"])[None], rgb_to_luma(to_float(pair["vi"]))[None]
            h, w = ir.shape[1:3]
            exact = np.asarray(plain({"params": params}, ir, vi_y))
            difference = 255 * np.abs(fuser.fuse_luma(ir, vi_y) - exact)
            inside = difference[:, : h - h // 8, : w - w // 8]
            rows.append((difference.mean(), difference.max(), inside.mean(), inside.max()))
            print(f"{pair['id']:24} {h}x{w} in {bucket(h)}x{bucket(w)}: mean {rows[-1][0]:.3f}, max {rows[-1][1]:.2f}")
    mean, largest, inside_mean, inside_max = np.array(rows).T
    print(f"all of the image: mean {mean.mean():.3f}, largest {largest.max():.2f} gray levels")
    print(f"without the last eighth at the padded sides: mean {inside_mean.mean():.3f}, largest {inside_max.max():.2f}")


if __name__ == "__main__":
    main(tyro.cli(PaddingOptions))
