"""Fusing pairs other than infrared and visible ones, with the colors that their task asks for."""

import numpy as np
from jaxtyping import Float, Shaped

from fusejax.data.task import TASKS, TaskName
from fusejax.inference.backend import Backend
from fusejax.io.images import as_infrared, as_visible, from_float, to_float
from fusejax.ops.color import recolor, rgb_to_luma

_TINY = 1e-6


def fuse_pair_of(
    task: TaskName, backend: Backend, first: Shaped[np.ndarray, "h w c"], second: Shaped[np.ndarray, "h w c2"]
) -> Shaped[np.ndarray, "h w 3"]:
    """Fuses the two sources of a task.

    Args:
        task: what they are; determines the range of the first and whose color the result gets.
        backend: what fuses, as returned by `fusejax.load`.
        first: first source, gray or RGB, uint8, uint16 or float in [0, 1].
        second: second source, likewise.

    Returns:
        RGB in the data type of the second source.
    """
    kind, visible = TASKS[task], as_visible(second)
    if kind.color == "second":
        found = backend.fuse(as_infrared(first), visible, ir_range=kind.value_range)
        return np.asarray(found)
    colors = [to_float(as_visible(x)) for x in (first, second)]
    lumas = [rgb_to_luma(x) for x in colors]
    fused_y = np.asarray(backend.fuse(*lumas, ir_range=kind.value_range)).reshape(lumas[0].shape)
    fused = recolor(np.clip(fused_y.astype(np.float32), 0, 1), merged_color(*colors))
    return from_float(fused, second.dtype) if second.dtype.kind == "u" else fused


def merged_color(
    first: Float[np.ndarray, "*b h w 3"], second: Float[np.ndarray, "*b h w 3"]
) -> Float[np.ndarray, "*b h w 3"]:
    """An image with the mean luma of two and the chroma of both, weighted by its own length.

    As DeepFuse (Prabhakar et al. 2017) merges Cb and Cr, with the length of the chroma instead of
    one channel's.

    Args:
        first: RGB in [0, 1].
        second: RGB in [0, 1].

    Returns:
        RGB; it can leave [0, 1] slightly.
    """
    lumas = [rgb_to_luma(x) for x in (first, second)]
    chromas = [x - y for x, y in zip((first, second), lumas, strict=True)]
    weights = [np.linalg.norm(c, axis=-1, keepdims=True) + _TINY for c in chromas]
    chroma = (weights[0] * chromas[0] + weights[1] * chromas[1]) / (weights[0] + weights[1])
    return (lumas[0] + lumas[1]) / 2 + chroma
