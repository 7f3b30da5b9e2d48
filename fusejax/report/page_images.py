"""Images embedded in a page: limited in size and encoded as text."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Shaped
from PIL import Image

from fusejax.evaluation.results import Scores
from fusejax.io.images import as_infrared, from_float, resample, to_float
from fusejax.report.ranking import merits

LONGEST = 1280
"""Longest side of an embedded image, in pixels."""

MOST_IMAGES = 60
"""Maximum number of pairs that a page shows; all pairs are scored."""

_QUALITY = 90
_EFFORT = 60  # effort of lossless WebP, 0 to 100
_WORST = 5


def data_uri(pixels: Shaped[np.ndarray, "h w c"], *, gray: bool = False, lossless: bool = False) -> str:
    """An image as a data URI, WebP with 8 bits.

    Args:
        pixels: uint8 or uint16, or float32 in [0, 1]; 1 or 3 channels.
        gray: whether to reduce the image to one channel.
        lossless: whether to encode losslessly.

    Returns:
        "data:image/webp;base64,..."; sides above `LONGEST` are shrunk.
    """
    if gray:
        pixels = as_infrared(pixels)
    h, w = pixels.shape[:2]
    shrink = max(1.0, max(h, w) / LONGEST)
    pixels = resample(pixels, height=max(1, round(h / shrink)), width=max(1, round(w / shrink)))
    unit = pixels if pixels.dtype.kind == "f" else to_float(pixels)
    eight = pixels if pixels.dtype == np.uint8 else from_float(unit, np.uint8)
    shown = Image.fromarray(eight[..., 0] if eight.shape[-1] == 1 else eight)
    file = io.BytesIO()
    shown.save(file, "WEBP", lossless=lossless, quality=_EFFORT if lossless else _QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def worst_images(scores: Scores, method: str, metric: str) -> list[str]:
    """Names of the five images with the worst scores of a method, worst first."""
    values = scores.of(method, metric)
    order = np.argsort(merits(metric, values), kind="stable")  # NaN last
    return [scores.images[n] for n in order if np.isfinite(values[n])][:_WORST]


def shown_images(names: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Selects the images that a page shows: those it links to first, then evenly spaced ones.

    Args:
        names: names of all images.
        wanted: names that the page links to, most important first.

    Returns:
        At most `MOST_IMAGES` names, in the order of `names`.
    """
    chosen = list(dict.fromkeys(wanted))[:MOST_IMAGES]
    left = [name for name in names if name not in set(chosen)]
    room = min(MOST_IMAGES - len(chosen), len(left))
    kept = {*chosen, *(left[n * len(left) // room] for n in range(room))}
    return [name for name in names if name in kept]


def map_files(fused: Path) -> dict[str, Path]:
    """Maps written by `fusejax fuse --maps` for a fused image, by name."""
    found = sorted((fused.parent / "maps").glob(f"{fused.stem}_*.png"))
    return {path.stem.removeprefix(f"{fused.stem}_"): path for path in found}
