"""Image grids with the results of an ablation's variants for the first pairs."""

from pathlib import Path

import numpy as np

from fusejax.evaluation.ablation import Ablation, run_folder
from fusejax.evaluation.run import open_pairs
from fusejax.inference.fuser import Fuser
from fusejax.io.images import to_float, write_image
from fusejax.io.panels import labeled_row, stacked
from fusejax.ops.color import recolor, rgb_to_luma
from fusejax.typing import Pair


def draw_grids(ablation: Ablation, *, data_root: Path, out: Path) -> list[Path]:
    """Writes one image per shown pair below OUT/grids.

    The first row shows the sources; each further row shows the luma and the color image of one
    variant (seed 0).

    Args:
        ablation: ablation whose runs are below `out`.
        data_root: folder that holds the pair folders.
        out: folder of the ablation.

    Returns:
        The files written.
    """
    fusers = {name: Fuser.load(run_folder(out, name, 0)) for name in ablation.variants}
    written = []
    for folder in ablation.scored_on:
        pairs = open_pairs(ablation, folder, data_root)
        for n in range(min(ablation.shown, len(pairs))):
            path = out / "grids" / (f"{folder}_{pairs[n]['id']}".replace("/", "_") + ".png")
            _draw_grid(path, pairs[n], fusers)
            written.append(path)
    return written


def _draw_grid(path: Path, pair: Pair, fusers: dict[str, Fuser]) -> None:
    ir, vi = to_float(pair["ir"]), to_float(pair["vi"])
    rows = [labeled_row({"infrared": ir, "visible": vi})]
    for name, fuser in fusers.items():
        fused_y = np.asarray(fuser.fuse_luma(ir[None], rgb_to_luma(vi)[None]))[0]
        rows.append(labeled_row({name: fused_y, "in color": recolor(fused_y, vi)}))
    write_image(path, stacked(rows))
