"""Images of the maps that show a network's decisions: attention and alpha maps."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.figure import Figure

from fusejax.io.images import from_float, write_image
from fusejax.io.outputs import save_figure

_COLORMAP = "viridis"  # perceptually uniform, also in grayscale print and for color-blind readers
_COLUMNS = 3
MAP_TITLES = {
    "alpha": "alpha: weight of infrared",
    "w_ir": "attention on infrared",
    "w_vi": "attention on visible",
    "attention": "share of the global branch",
    "long": "share of the long path",
    "ir_long": "share of infrared, long path",
    "ir_short": "share of infrared, short path",
}

Map = Float[np.ndarray, "h w 1"]
Source = Float[np.ndarray, "h w _"]


def map_files(folder: Path, stem: str) -> list[Path]:
    """The files that `write_maps` writes: the overview, then one for each map."""
    return [folder / f"{stem}.png", *(_map_file(folder, stem, name) for name in MAP_TITLES)]


def _map_file(folder: Path, stem: str, name: str) -> Path:
    return folder / f"{stem}_{name}.png"


def write_maps(folder: Path, stem: str, maps: Mapping[str, Map], *, ir: Source, vi: Source, fused: Source) -> None:
    """Writes the maps of one pair as images.

    Writes FOLDER/STEM_NAME.png for each map at its own size, and FOLDER/STEM.png with the three
    images, the maps and their color scale.

    Args:
        folder: existing folder to write to.
        stem: start of the file names.
        maps: maps by name; [h, w, 1] in [0, 1].
        ir: infrared image, [h, w, 1 or 3] in [0, 1].
        vi: visible image, likewise.
        fused: fused image, likewise.
    """
    for name, values in maps.items():
        colored = colormaps[_COLORMAP](np.clip(values[..., 0], 0, 1))[..., :3]
        write_image(_map_file(folder, stem, name), from_float(colored.astype(np.float32), np.uint8))
    overview = _draw_overview(maps, {"infrared": ir, "visible": vi, "fused": fused})
    save_figure(folder / f"{stem}.png", overview, dpi=110)


def _draw_overview(maps: Mapping[str, Map], images: Mapping[str, Source]) -> Figure:
    h, w = images["infrared"].shape[:2]
    rows = 1 + -(-len(maps) // _COLUMNS)
    figure = Figure(figsize=(4.2 * _COLUMNS, (4.2 * h / w + 0.4) * rows), layout="constrained")
    axes = figure.subplots(rows, _COLUMNS, squeeze=False)
    for axis in axes.ravel():
        axis.set_axis_off()
    for axis, (name, image) in zip(axes[0], images.items(), strict=True):
        axis.imshow(np.broadcast_to(image, (h, w, 3)), interpolation="nearest")
        axis.set_title(name)
    used = axes[1:].ravel()[: len(maps)]
    shown = None
    for axis, (name, values) in zip(used, maps.items(), strict=True):
        shown = axis.imshow(values[..., 0], cmap=_COLORMAP, vmin=0, vmax=1, interpolation="nearest")
        statistics = f"mean {values.mean():.2f}, deviation {values.std():.2f}"
        axis.set_title(f"{MAP_TITLES.get(name, name)}\n{statistics}", fontsize=10)
    if shown is not None:
        figure.colorbar(shown, ax=axes[1:], fraction=0.03, label="0 to 1")
    return figure
