"""Images as they are embedded in a page: bounded in size, as text."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from fusejax.data.images import as_infrared, from_float, read_image, resample, to_float
from fusejax.report.scores import Scores

LONGEST = 1280
"""Sides of embedded images are not longer than this, in pixels."""

MOST_IMAGES = 60
"""A page does not show more pairs than this; it scores all of them."""

_QUALITY = 90
_EFFORT = 60  # of lossless WebP, 0 to 100
_WORST = 5


def data_uri(path: Path, *, like: Path | None = None, infrared: bool = False, lossless: bool = False) -> str:
    """An image file as a data URI, WebP with 8 bits.

    Args:
        path: 8- or 16-bit image.
        like: image whose size it is brought to; by default its own.
        infrared: reduce to one channel.
        lossless: keep every level.

    Returns:
        "data:image/webp;base64,..."; sides above `LONGEST` are shrunk.
    """
    pixels = read_image(path)
    if infrared:
        pixels = as_infrared(pixels)
    h, w = (pixels if like is None else read_image(like)).shape[:2]
    shrink = max(1.0, max(h, w) / LONGEST)
    pixels = resample(pixels, height=max(1, round(h / shrink)), width=max(1, round(w / shrink)))
    eight = pixels if pixels.dtype == np.uint8 else from_float(to_float(pixels), np.uint8)
    shown = Image.fromarray(eight[..., 0] if eight.shape[-1] == 1 else eight)
    file = io.BytesIO()
    shown.save(file, "WEBP", lossless=lossless, quality=_EFFORT if lossless else _QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def worst_images(scores: Scores, metric: str, *, better_high: bool) -> list[str]:
    """Names of the five images in which a method scores worst, the worst first."""
    values = scores.values[metric]
    order = np.argsort(values if better_high else -values, kind="stable")  # NaN last
    return [scores.names[n] for n in order if np.isfinite(values[n])][:_WORST]


def shown_images(names: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Which images a page shows: those that it links to first, then evenly spread ones.

    Args:
        names: all images.
        wanted: names that the page links to, the most important first.

    Returns:
        At most `MOST_IMAGES` names, in the order of `names`.
    """
    chosen = list(dict.fromkeys(wanted))[:MOST_IMAGES]
    left = [name for name in names if name not in set(chosen)]
    room = min(MOST_IMAGES - len(chosen), len(left))
    kept = {*chosen, *(left[n * len(left) // room] for n in range(room))}
    return [name for name in names if name in kept]


def map_files(fused: Path) -> dict[str, Path]:
    """Maps that `fusejax fuse --maps` wrote beside a fused image, by name."""
    found = sorted((fused.parent / "maps").glob(f"{fused.stem}_*.png"))
    return {path.stem.removeprefix(f"{fused.stem}_"): path for path in found}
