"""Scores inside object boxes, always beside the plain average's and the least error that any image
can have.

FusionNet's evaluation (arXiv 2509.11476, section 6 of the specification), by the functions of
`fusejax.metrics.region`.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fusejax.data.annotations import AnnotationError, find_annotation, of_classes, read_boxes
from fusejax.data.images import image_size
from fusejax.metrics.region import average_fusion, mse_lower_bound, roi_mse, roi_ssim
from fusejax.ops.boxes import rasterize
from fusejax.report.scores import Scores
from fusejax.typing import Extent, Luma

# Columns. MSE is the plain one against both sources; errors are on the range [0, 1].
REGION_METRICS = ("ROI-SSIM", "ROI-MSE", "MSE")
AVERAGE, BOUND = "plain average", "lower bound"

# Box lists are padded to multiples of this, so that few lengths are compiled.
_LENGTH = 16


@jax.jit
def region_scores(
    fused_y: Float[Array, "m b h w 1"], ir: Luma, vi_y: Luma, mask: Luma, extent: Extent | None = None
) -> dict[str, Float[Array, "m+2 b"]]:
    """`REGION_METRICS` of m methods, then of the plain average, then the least value of each error,
    in rows.

    The images are the top left `extent` (height, width) of the arrays; by default all of them.
    NaN: the bound of ROI-SSIM, which has none; ROI-SSIM and ROI-MSE of images with an empty mask.
    """
    rows = jnp.concatenate([fused_y, average_fusion(ir, vi_y)[None]])
    every = jnp.ones_like(mask)
    scores = jax.lax.map(
        lambda row: {
            "ROI-SSIM": roi_ssim(row, ir, vi_y, mask, extent=extent),
            "ROI-MSE": roi_mse(row, ir, vi_y, mask, extent=extent),
            "MSE": roi_mse(row, ir, vi_y, every, extent=extent),
        },
        rows,
    )
    none = jnp.full(ir.shape[0], jnp.nan, ir.dtype)
    bounds = {
        "ROI-SSIM": none,
        "ROI-MSE": mse_lower_bound(ir, vi_y, mask, extent=extent),
        "MSE": mse_lower_bound(ir, vi_y, extent=extent),
    }
    return {name: jnp.concatenate([values, bounds[name][None]]) for name, values in scores.items()}


def region_mask(boxes: Float[np.ndarray, "n 4"], *, height: int, width: int) -> Luma:
    """`rasterize` with hard edges of one image's boxes, [1, height, width, 1]."""
    padded = np.zeros((1, -(-len(boxes) // _LENGTH) * _LENGTH, 4), np.float32)
    padded[0, : len(boxes)] = boxes
    valid = np.arange(padded.shape[1])[None] < len(boxes)
    return _rasterize(padded, valid, height=height, width=width)


_rasterize = jax.jit(rasterize, static_argnames=("height", "width"))


def read_region_boxes(
    folder: Path, images: Mapping[str, Path], classes: Sequence[str]
) -> dict[str, Float[np.ndarray, "n 4"]]:
    """Boxes of the classes (any case; all where none is named) by stem, of the images that have
    any.

    Boxes that hold no pixel's center count as none.
    Raises: AnnotationError for a missing folder, a bad annotation (file and line or box), and where
    no box is left.
    """
    if not folder.is_dir():
        raise AnnotationError(f"{folder} is not a folder of annotations.")
    found, labels = {}, set()
    for stem, image in images.items():
        if (path := find_annotation(folder, stem)) is None:
            continue
        boxes = read_boxes(path, size=image_size(image))
        labels.update(boxes.labels)
        first, last = np.split(np.ceil(boxes.xyxy - 0.5), 2, axis=1)
        if (kept := of_classes(boxes.labels, classes) & (first < last).all(axis=1)).any():
            found[stem] = boxes.xyxy[kept]
    if not found:
        raise AnnotationError(
            f"{folder} holds no box of the classes {', '.join(classes) or '(all)'} for these images; "
            f"classes found: {', '.join(sorted(labels)) or 'none'}."
        )
    return found


def region_table(
    methods: Sequence[str], names: Sequence[str], values: Mapping[str, Float[np.ndarray, "m+2 n"]]
) -> list[Scores]:
    """A `Scores` per method, the plain average and the bound, which holds the errors alone.

    Args:
        methods: their names.
        names: of the images.
        values: of `REGION_METRICS`, as `region_scores` orders them, a column for each image.
    """
    rows = [
        Scores(row, "regions", list(names), {name: v[n] for name, v in values.items()})
        for n, row in enumerate((*methods, AVERAGE, BOUND))
    ]
    del rows[-1].values["ROI-SSIM"]
    return rows


def write_regions(path: Path, rows: Sequence[Scores]) -> None:
    """One line per image and row of the table, full precision; empty where there is no value."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "method", *REGION_METRICS])
        for n, name in enumerate(rows[0].names):
            for row in rows:
                cells = (repr(float(row.values[m][n])) if m in row.values else "" for m in REGION_METRICS)
                writer.writerow([name, row.method, *cells])
