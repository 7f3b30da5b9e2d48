"""Draws the gallery: made-up pairs, fused by every kind of network and rule, and the styles."""

from pathlib import Path

import numpy as np
from PIL import Image

import fusejax
from fusejax.data.synthetic import synthetic_pair
from fusejax.io.images import to_float
from fusejax.io.panels import labeled_row, stacked

SIZE = 192, 256
SCENES = {913: "Night: people outside the light of the lamps", 907: "Night", 904: "Day", 918: "Day"}
METHODS = ("light", "angularfuse", "fusionnet_small", "crossfuse_small", "average", "maximum")
_COLUMNS = 4
_STRENGTHS = (0.0, 0.5, 1.0, 1.5, 2.0)


def _save(rows: list[np.ndarray], path: Path) -> None:
    Image.fromarray(stacked(rows)).save(path, quality=85, optimize=True)


def draw_scene(seed: int, path: Path) -> None:
    """Writes the sources and what every method makes of them."""
    pair = synthetic_pair(seed, size=SIZE)
    images = {"infrared": to_float(pair["ir"]), "visible": to_float(pair["vi"])}
    for name in METHODS:
        images[name] = to_float(fusejax.load(name).fuse(pair["ir"], pair["vi"]))
    names = list(images)
    rows = [names[k : k + _COLUMNS] for k in range(0, len(names), _COLUMNS)]
    _save([labeled_row({name: images[name] for name in row}) for row in rows], path)


def draw_looks(path: Path) -> None:
    """Writes one pair in every style and strength."""
    pair = synthetic_pair(913, size=SIZE)
    given = pair["ir"], pair["vi"]
    strengths = {f"strength {s:g}": to_float(fusejax.fuse(*given, strength=s)) for s in _STRENGTHS}
    looks = {"infrared": to_float(pair["ir"]), "visible": to_float(pair["vi"])}
    looks |= {f"style {style}": to_float(fusejax.fuse(*given, style=style)) for style in ("fused", "overlay", "edges")}
    _save([labeled_row(looks), labeled_row(strengths)], path)


def page(folder: Path, *, keep: bool) -> str:
    """Draws what is missing and returns the page.

    Args:
        folder: folder of the figures.
        keep: whether existing figures may be kept.
    """
    paths = {seed: folder / f"gallery_{seed}.jpg" for seed in SCENES}
    looks = folder / "gallery_looks.jpg"
    for seed, path in paths.items():
        if not (keep and path.is_file()):
            draw_scene(seed, path)
    if not (keep and looks.is_file()):
        draw_looks(looks)
    parts = [
        "# Gallery\n",
        "Streets that `fusejax.data.synthetic.synthetic_pair` draws, fused by networks and rules with their usual "
        "settings. None of the networks was trained on them. `docs/make/gallery.py` draws this page; a scene is its "
        f"seed, at {SIZE[1]}x{SIZE[0]} pixels.\n",
    ]
    for seed, path in paths.items():
        parts += [f"## {SCENES[seed]} ({seed})\n", f"![Sources and results of scene {seed}](figures/{path.name})\n"]
    parts += [
        "## Styles and strengths\n",
        "`fusejax fuse --style` and `--strength`; strength 0 is the visible image, 1 the network's result. "
        "[What the styles are](../look.md).\n",
        f"![Styles and strengths of one scene](figures/{looks.name})\n",
    ]
    return "\n".join(parts)
