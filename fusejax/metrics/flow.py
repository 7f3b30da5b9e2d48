"""Optical flow between frames, warping by a flow, and where a flow is reliable."""

from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float

Flow = Float[np.ndarray, "h w 2"]

_CONSISTENT = 1.0  # pixels, as in UniVF's evaluation


def optical_flow(before: Float[np.ndarray, "h w 1"], after: Float[np.ndarray, "h w 1"]) -> Flow:
    """Dense inverse search flow (Kroeger et al. 2016), OpenCV's DIS with its medium preset.

    Args:
        before: luma in [0, 1].
        after: luma in [0, 1].

    Returns:
        (x, y) in pixels: `before` at p shows what `after` shows at p + flow(p).
    """
    search: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    first, second = (np.round(255 * np.clip(x[..., 0], 0, 1)).astype(np.uint8) for x in (before, after))
    return search.calc(first, second, None)


def warp(x: Float[np.ndarray, "h w c"], flow: Flow) -> Float[np.ndarray, "h w c"]:
    """Samples x at p + flow(p) bilinearly; beyond the border the outermost pixels are repeated.

    Args:
        x: in any range.
        flow: in pixels.

    Returns:
        Array with the shape of `x`.
    """
    rows, columns = np.mgrid[: x.shape[0], : x.shape[1]].astype(np.float32)
    moved = cv2.remap(
        x.astype(np.float32),
        columns + flow[..., 0],
        rows + flow[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return moved.reshape(x.shape)


def consistent(flow: Flow, back: Flow) -> Bool[np.ndarray, "h w"]:
    """Where forward and backward flow cancel to less than a pixel, so the point is visible in both
    frames.

    Args:
        flow: flow from one frame to another.
        back: flow back from the other frame.

    Returns:
        True where the flow is reliable.
    """
    return np.linalg.norm(flow + warp(back, flow), axis=-1) < _CONSISTENT
