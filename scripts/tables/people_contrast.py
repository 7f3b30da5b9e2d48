"""How much contrast people keep with what is around them when fused, and how dark nights stay.

    python scripts/table.py people-contrast --data-root DIR [--weights light light_metrics]
    [--others NAME=DIR]

For every annotated image of LLVIP (`boxes/NAME.json`) and the nights of vifb, whose boxes stand
below. A person is the pixels of a box that are nearer, in the infrared image, to its hottest pixel
than to the median of the ring around the box; the ring is half as wide as the box on both sides,
and a fifth as high above and below. The contrast is the difference of both means in levels, the
ratio that of the fused image to that of the source with the larger one, negative if its sign is
another. `dark` is the mean of F - V over the darkest 30% where the infrared image has no structure
(`veil` of the convention `look`).
"""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

import fusejax
from fusejax.io.images import as_infrared, read_image, to_float
from fusejax.io.pairing import list_images
from fusejax.metrics import evaluate
from fusejax.ops.color import rgb_to_luma

# Left, top, right and bottom of people and cars, read off the infrared images.
VIFB_NIGHTS = {
    "elecbike": ((167, 192, 200, 265), (600, 210, 623, 295)),
    "manlight": ((232, 190, 247, 245), (263, 185, 280, 247), (344, 177, 361, 227)),
    "man": ((190, 148, 206, 192), (215, 147, 232, 190), (252, 160, 266, 195), (267, 155, 285, 203)),
    "manCall": ((260, 97, 283, 175),),
    "carLight": ((165, 345, 262, 425),),
}
_LLVIP = ("llvip/test_dev", "llvip/train")
_VIFB = "vifb/test_dev"

Plane = Float[np.ndarray, "h w"]


@dataclasses.dataclass(frozen=True)
class PeopleOptions:
    """What is measured.

    Attributes:
        data_root: folder of the data sets.
        weights: names or files.
        others: NAME=DIR, folders of other methods' results, DIR/SET/STEM.png.
    """

    data_root: Path
    weights: tuple[str, ...] = ("light", "light_metrics")
    others: tuple[str, ...] = ()


def contrasts(images: list[Plane], ir: Plane, box: tuple[float, float, float, float]) -> list[float]:
    """Mean of a person minus mean of the ring around the box, in levels, in every image.

    Args:
        images: luma in [0, 1], of the size of `ir`.
        ir: infrared image, which tells the person from the rest of the box.
        box: left, top, right and bottom in pixels.

    Returns:
        One signed contrast per image.
    """
    (left, top, right, bottom), (h, w) = map(round, box), ir.shape
    inside, around = np.zeros((2, h, w), bool)
    inside[top:bottom, left:right] = True
    wide, high = (right - left) // 2, (bottom - top) // 5
    around[max(0, top - high) : bottom + high, max(0, left - wide) : right + wide] = True
    ring: Bool[np.ndarray, "h w"] = around & ~inside
    person = inside & (ir > (ir[inside].max() + np.median(ir[ring])) / 2)
    return [255.0 * float(x[person].mean() - x[ring].mean()) for x in images]


def main(options: PeopleOptions) -> None:
    """Prints a line per person and method, then the means."""
    backends = {name: fusejax.load(name) for name in options.weights}
    others = dict(word.split("=", 1) for word in options.others)
    ratios: dict[str, list[float]] = {}
    for name, boxes in _scenes(options.data_root):
        folder, stem = name.rsplit("/", 1)
        ir, vi = (read_image(list_images(options.data_root / folder / kind)[stem]) for kind in ("ir", "vi"))
        fused = {method: _luma(backend.fuse(ir, vi)) for method, backend in backends.items()}
        for method, place in others.items():
            if (path := Path(place) / folder / f"{stem}.png").is_file():
                fused[method] = _luma(read_image(path))
        sources = _luma(as_infrared(ir)), _luma(vi)
        for method, image in fused.items():
            dark = evaluate(*(x[None, ..., None] for x in (image, *sources)), convention="look", metrics=("veil",))
            rows = [contrasts([*sources, image], sources[0], box) for box in boxes]
            found = [row[2] / max(row[:2], key=abs) for row in rows]
            ratios.setdefault(method, []).extend(found)
            people = ", ".join(
                f"{r:+.2f} ({i:.0f}, {v:.0f} -> {f:.0f})" for r, (i, v, f) in zip(found, rows, strict=True)
            )
            print(f"{name} {method}: dark {float(dark['veil'][0]):+.1f}; {people}")
    for method, found in ratios.items():
        good = sum(r >= 0.8 for r in found)
        print(
            f"{method}: ratio {np.mean(found):.2f} on average, at least {min(found):.2f}, {good} of {len(found)} >= 0.8"
        )


def _scenes(root: Path) -> Iterator[tuple[str, list[tuple[float, float, float, float]]]]:
    for name in _LLVIP:
        for path in sorted((root / name / "boxes").glob("*.json")):
            boxes = (box["xyxy"] for box in json.loads(path.read_text()))
            yield f"{name}/{path.stem}", [(x1, y1, x2, y2) for x1, y1, x2, y2 in boxes]
    for stem, boxes in VIFB_NIGHTS.items():
        if (root / _VIFB).is_dir():
            yield f"{_VIFB}/{stem}", [(float(x1), float(y1), float(x2), float(y2)) for x1, y1, x2, y2 in boxes]


def _luma(pixels: np.ndarray) -> Plane:
    x = to_float(pixels)
    return np.asarray(rgb_to_luma(x) if x.shape[-1] == 3 else x, np.float32)[..., 0]
