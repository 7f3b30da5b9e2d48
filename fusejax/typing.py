"""Types of the public interface: arrays, a pair and a batch.

Images are NHWC float32 in [0, 1] unless a docstring says otherwise.
"""

from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

import numpy as np
from jaxtyping import Array, Float, Int

Luma = Float[Array, "b h w 1"]
Rgb = Float[Array, "b h w 3"]
Features = Float[Array, "b h w c"]
PerImage = Float[Array, " b"]
Extent = Int[Array, " 2"]
"""Height and width of the images in a batch whose arrays are larger."""
Params = Any


class Pair(TypedDict):
    """One pair, as returned by the data sources.

    Attributes:
        id: name of the pair in messages and result files.
        ir: infrared image [h, w, 1], uint8 or uint16.
        vi: visible image [h, w, 3] (RGB), uint8 or uint16.
        boxes: annotated objects [n, 4], float32: x1, y1, x2, y2 in pixels.
        labels: class of each box, as names or as int32 [n].
    """

    id: str
    ir: np.ndarray
    vi: np.ndarray
    boxes: NotRequired[np.ndarray]
    labels: NotRequired[Sequence[str] | np.ndarray]


class Batch(TypedDict):
    """Pairs as used by a training step; images are [b, h, w, 1], float32 in [0, 1].

    Attributes:
        id: names of the pairs [b]; they stay on the host.
        ir, vi_y: the clean infrared image and the luma of the visible image, for the losses.
        ir_input, vi_input: the network's input: the clean pair, or the pair masked by ComMask.
        boxes: annotated objects [b, n, 4]: x1, y1, x2, y2 in pixels of the crop.
        boxes_valid: which of the boxes are real [b, n]; the others are padding.
    """

    id: NotRequired[np.ndarray]
    ir: Array
    vi_y: Array
    ir_input: Array
    vi_input: Array
    boxes: NotRequired[Array]
    boxes_valid: NotRequired[Array]
