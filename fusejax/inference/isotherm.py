"""Marks what is hotter than a limit in a fused image."""

import numpy as np
from jaxtyping import Shaped, UInt

from fusejax.io.images import as_visible

# The mark is a color that neither scenes nor gray images have; the image shows through it.
_COLOR = (1.0, 0.25, 0.0)
_SHARE = 0.6


def mark_above(
    image: UInt[np.ndarray, "h w c"], ir: Shaped[np.ndarray, "h w 1"], limit: float
) -> UInt[np.ndarray, "h w 3"]:
    """Blends orange over every pixel whose infrared value is above the limit.

    Args:
        image: fused image, uint8 or uint16, gray or RGB.
        ir: infrared values on the same pixels.
        limit: in their unit.

    Returns:
        RGB of the type of `image`; pixels at or below the limit are unchanged.
    """
    marked = as_visible(image).copy()
    hot = ir[..., 0] > limit
    color = np.array(_COLOR) * np.iinfo(image.dtype).max
    marked[hot] = np.round((1 - _SHARE) * marked[hot] + _SHARE * color).astype(image.dtype)
    return marked
