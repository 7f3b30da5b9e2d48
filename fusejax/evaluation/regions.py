"""Scores inside object boxes, always reported with those of the plain average and with the smallest
error that any image can have.

This is FusionNet's evaluation (arXiv 2509.11476, section 6 of the specification), with the
functions of `fusejax.metrics.region`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fusejax.evaluation.results import Scores
from fusejax.io.annotations import AnnotationError, find_annotation, of_classes, read_boxes
from fusejax.metrics.region import average_fusion, mse_lower_bound, roi_mse, roi_ssim
from fusejax.ops.boxes import rasterize
from fusejax.typing import Extent, Luma

# Columns. MSE is the plain one against both sources; errors are on the range [0, 1].
REGION_METRICS = ("ROI-SSIM", "ROI-MSE", "MSE")
AVERAGE, BOUND = "plain average", "lower bound"

# Box lists are padded to multiples of this, so that only a few lengths are compiled.
_LENGTH = 16


@jax.jit
def region_scores(
    fused_y: Float[Array, "m b h w 1"], ir: Luma, vi_y: Luma, mask: Luma, extent: Extent | None = None
) -> dict[str, Float[Array, "rows b"]]:
    """Computes `REGION_METRICS` in rows: m methods, the plain average, and the smallest possible
    value of each error.

    The images are the top left `extent` (height, width) of the arrays; by default the whole arrays.
    Values are NaN for the bound of ROI-SSIM, which has none, and for ROI-SSIM and ROI-MSE of images
    with an empty mask.
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
    folder: Path, sizes: Mapping[str, tuple[int, int]], classes: Sequence[str]
) -> dict[str, Float[np.ndarray, "n 4"]]:
    """Reads the boxes of the given classes (ignoring case; all if none is given) by stem, for the
    images that have any.

    Boxes that contain no pixel center do not count.
    Raises: AnnotationError for a missing folder, a bad annotation (file and line or box), and where
    no box is left.
    """
    if not folder.is_dir():
        raise AnnotationError(f"{folder} is not a folder of annotations.")
    found, labels = {}, set()
    for stem, size in sizes.items():
        if (path := find_annotation(folder, stem)) is None:
            continue
        boxes = read_boxes(path, size=size, stems=(stem,))
        labels.update(boxes.labels)
        first, last = np.split(np.ceil(boxes.xyxy - 0.5), 2, axis=1)
        if (kept := of_classes(boxes.labels, classes) & (first < last).all(axis=1)).any():
            found[stem] = boxes.xyxy[kept]
    if not found:
        raise AnnotationError(
            f"{folder} has no boxes of the classes {', '.join(classes) or '(all)'} for these images; "
            f"classes found: {', '.join(sorted(labels)) or 'none'}."
        )
    return found


def region_table(
    methods: Sequence[str], names: Sequence[str], values: Mapping[str, Float[np.ndarray, "rows n"]], *, name: str = ""
) -> Scores:
    """Scores of the methods, the plain average and the bound, which holds only the errors.

    Args:
        methods: names of the methods.
        names: names of the images.
        values: values of `REGION_METRICS` in the order of `region_scores`, one column per image.
        name: name of the set.

    Returns:
        The scores, under the convention "regions".
    """
    stacked = np.stack([values[metric] for metric in REGION_METRICS], axis=-1)[:, None]
    rows = dict(zip((*methods, AVERAGE, BOUND), stacked, strict=True))  # the average may be a method itself
    return Scores(tuple(rows), tuple(names), REGION_METRICS, np.stack(list(rows.values())), "regions", name=name)
