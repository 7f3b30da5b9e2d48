"""Object boxes as masks: weak regions for target-aware losses (FusionNet, arXiv 2509.11476)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from fusejax.ops.filters import gaussian_blur
from fusejax.typing import Luma

_SURROUNDINGS = 20.0  # standard deviation of the Gaussian, pixels
_NOISE_FLOOR = 0.02  # 5 of 255 levels


def rasterize(
    boxes: Float[Array, "b n 4"],
    valid: Bool[Array, "b n"],
    *,
    height: int,
    width: int,
    soft_edge_sigma: float = 0.0,
    area_balanced: bool = False,
) -> Luma:
    """Draws the union of boxes as a mask: 1 inside, 0 outside (FusionNet, arXiv 2509.11476).

    A pixel belongs to a box if and only if its center (j + 0.5, i + 0.5) lies in the half-open [x1,
    x2) x [y1, y2). A box with integer corners therefore covers (x2 - x1)(y2 - y1) pixels, and flips
    of boxes and mask agree unless a corner lies exactly on the center of a pixel. A box that covers
    no center, or lies outside the image, adds nothing.

    Args:
        boxes: x1, y1, x2, y2 in pixels of the image; boxes may extend beyond it, and n may be 0.
        valid: False for entries that only pad the list to length n.
        height: height of the mask in pixels.
        width: width of the mask in pixels.
        soft_edge_sigma: standard deviation in pixels of the Gaussian that blurs the mask; the
            result is clipped to the range before the blur. 0 gives hard edges.
        area_balanced: each box has the weight 1 / sqrt(its pixels in the image), and the larger
            weight counts where boxes overlap. After the blur, each image is scaled so that the mean
            over the pixels inside its boxes is 1, so values can exceed 1.

    Returns:
        The mask [b, height, width, 1], non-negative.

    Raises:
        ValueError: if `soft_edge_sigma` is negative.
    """
    if soft_edge_sigma < 0:
        raise ValueError(f"soft_edge_sigma is {soft_edge_sigma} pixels; it must not be negative.")
    x1, y1, x2, y2 = (boxes[..., k, None] for k in range(4))
    x, y = jnp.arange(width) + 0.5, jnp.arange(height) + 0.5
    columns = (x1 <= x) & (x < x2) & valid[..., None]
    rows = (y1 <= y) & (y < y2)
    weight = jnp.ones(boxes.shape[:2], boxes.dtype)
    if area_balanced:
        area = (rows.sum(-1) * columns.sum(-1)).astype(boxes.dtype)
        weight = 1.0 / jnp.sqrt(jnp.maximum(area, 1.0))
    mask = _largest(rows * weight[..., None], columns.astype(boxes.dtype))[..., None]
    region = mask > 0
    if soft_edge_sigma > 0:
        mask = jnp.clip(gaussian_blur(mask, soft_edge_sigma), 0.0, mask.max(axis=(1, 2, 3), keepdims=True))
    if area_balanced:
        total, count = (z.sum(axis=(1, 2, 3), keepdims=True) for z in (jnp.where(region, mask, 0.0), region))
        mask = mask * (count / jnp.where(count > 0, total, 1.0))
    return mask


def _largest(rows: Float[Array, "b n h"], columns: Float[Array, "b n w"]) -> Float[Array, "b h w"]:
    """Maximum over n of outer products, at least 0.

    A scan, because one reduction over [b, n, h, w] is 60 times slower on CPU.
    """

    def larger(mask: Array, box: tuple[Array, Array]) -> tuple[Array, None]:
        row, column = box
        return jnp.maximum(mask, row[:, :, None] * column[:, None, :]), None

    empty = jnp.zeros((rows.shape[0], rows.shape[2], columns.shape[2]), rows.dtype)
    return jax.lax.scan(larger, empty, (rows.swapaxes(0, 1), columns.swapaxes(0, 1)))[0]


def thermal_saliency(ir: Luma, *, start: float = 1.0, full: float = 2.0) -> Luma:
    """Marks areas that are hotter than their wide surroundings: weak regions for data without
    boxes.

    A fallback of this library, not in the paper. d = I - Gaussian(I), with a standard deviation of
    20 pixels, is measured in units of max(std(d), 0.02), with the standard deviation over the
    image; the mask rises linearly from 0 at `start` to 1 at `full` of these units. Cold objects are
    not found, and neither are hot objects much wider than the Gaussian. Flat images give 0, and so
    does noise within 0.02 `start`, which is 5 of 255 levels by default.

    Args:
        ir: infrared luma in [0, 1].
        start: value at which the mask begins to rise.
        full: value at which it reaches 1.

    Returns:
        The mask, in [0, 1].

    Raises:
        ValueError: if `start` is not below `full`.
    """
    if not start < full:
        raise ValueError(f"start is {start} and full is {full}; start must be below full.")
    difference = ir - gaussian_blur(ir, _SURROUNDINGS)
    variance = difference.var(axis=(1, 2, 3), keepdims=True)
    units = difference / jnp.sqrt(jnp.maximum(variance, _NOISE_FLOOR**2))
    return jnp.clip((units - start) / (full - start), 0.0, 1.0)
