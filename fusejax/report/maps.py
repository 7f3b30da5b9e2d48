"""Pictures of what a network says about its own decisions: attention and alpha maps."""

from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fusejax.data.images import from_float, write_image

_COLOURS = "viridis"  # perceptually even, also in grey print and for colour-blind readers
MEANING = {
    "alpha": "alpha: share of infrared",
    "w_ir": "attention on infrared",
    "w_vi": "attention on visible",
}


def write_maps(
    folder: Path, stem: str, maps: dict[str, np.ndarray], *, ir: np.ndarray, vi: np.ndarray, fused: np.ndarray
) -> None:
    """Writes STEM_NAME.png for each map, at its own size, and STEM.png: the pictures and the maps with their scale.

    Args: maps [h, w, 1] in [0, 1] by name; ir, vi, fused [h, w, 1 or 3] in [0, 1].
    """
    for name, values in maps.items():
        coloured = colormaps[_COLOURS](np.clip(values[..., 0], 0, 1))[..., :3]
        write_image(folder / f"{stem}_{name}.png", from_float(coloured.astype(np.float32), np.uint8))
    pictures = {"infrared": ir, "visible": vi, "fused": fused}
    columns, (h, w) = 3, ir.shape[:2]
    rows = 1 + -(-len(maps) // columns)
    figure = Figure(figsize=(4.2 * columns, (4.2 * h / w + 0.4) * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.ravel():
        axis.set_axis_off()
    for axis, (name, picture) in zip(axes[0], pictures.items(), strict=True):
        axis.imshow(np.broadcast_to(picture, (h, w, 3)), interpolation="nearest")
        axis.set_title(name)
    used = axes[1:].ravel()[: len(maps)]
    for axis, (name, values) in zip(used, maps.items(), strict=True):
        shown = axis.imshow(values[..., 0], cmap=_COLOURS, vmin=0, vmax=1, interpolation="nearest")
        axis.set_title(
            f"{MEANING.get(name, name)}\nmean {values.mean():.2f}, deviation {values.std():.2f}", fontsize=10
        )
    figure.colorbar(shown, ax=axes[1:], fraction=0.03, label="0 to 1")
    figure.savefig(folder / f"{stem}.png", dpi=110)
