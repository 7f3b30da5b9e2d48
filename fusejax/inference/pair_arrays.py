"""The arrays of one pair: what is refused, their values in [0, 1], contrast of the result."""

import warnings

import numpy as np
from jaxtyping import Float

from fusejax.data.images import to_float
from fusejax.inference.thermal import (
    Polarity,
    Range,
    RangeOption,
    automatic_ranges,
    describe_range,
    full_range,
    to_unit,
)
from fusejax.ops.color import rgb_to_luma

Plane = Float[np.ndarray, "*b h w 1"]

# A pair in which neither image varies more holds noise only, which must not be stretched.
_LEAST_SPAN = 1.5 / 255


def check_pair(ir: np.ndarray, vi: np.ndarray) -> None:
    for name, x in (("ir", ir), ("vi", vi)):
        if x.dtype not in (np.uint8, np.uint16) and not np.issubdtype(x.dtype, np.floating):
            raise ValueError(f"{name} is {x.dtype}; expected uint8, uint16 or float in [0, 1].")
        if not (x.ndim == 2 or (x.ndim in (3, 4) and x.shape[-1] in (1, 3))):
            raise ValueError(f"{name} has shape {x.shape}; expected [h, w], [h, w, 1] or [h, w, 3].")
        if 0 in x.shape:
            raise ValueError(f"{name} has shape {x.shape}; it holds no pixels.")
        if np.issubdtype(x.dtype, np.floating) and not np.isfinite(x).all():
            raise ValueError(f"{name} has values that are not finite; replace them first.")
    if np.issubdtype(vi.dtype, np.floating) and not (vi.min() >= 0 and vi.max() <= 1):
        raise ValueError(f"vi has values from {vi.min():g} to {vi.max():g}; floats must lie in [0, 1].")
    ir_size, vi_size = (x.shape[:2] if x.ndim < 4 else x.shape[:3] for x in (ir, vi))
    if ir_size != vi_size or (ir.ndim == 4) != (vi.ndim == 4):
        sizes = [_size_text(size) for size in (ir_size, vi_size)]
        raise ValueError(f"ir is {sizes[0]} but vi is {sizes[1]} (width x height); register the pair first.")


def _size_text(size: tuple[int, ...]) -> str:
    """Width x height, and the number of images of a batch."""
    text = f"{size[-1]}x{size[-2]}"
    return text if len(size) == 2 else f"{size[0]} images of {text}"


def unit_visible(vi: np.ndarray) -> Float[np.ndarray, "*b h w c"]:
    """float32 in [0, 1] with a channel axis."""
    vi = vi if vi.ndim >= 3 else vi[..., None]
    return vi.astype(np.float32) if np.issubdtype(vi.dtype, np.floating) else to_float(vi)


def unit_infrared(ir: np.ndarray, ir_range: RangeOption, polarity: Polarity) -> Plane:
    """One channel, float32 in [0, 1], hot is bright."""
    ir = ir if ir.ndim >= 3 else ir[..., None]
    chosen = _choose_range(ir, ir_range)
    unit = to_unit(ir, chosen, polarity=polarity)
    return rgb_to_luma(unit) if ir.shape[-1] == 3 else unit


def _choose_range(ir: np.ndarray, ir_range: RangeOption) -> Range:
    if not isinstance(ir_range, str):
        return ir_range
    chosen = full_range(ir.dtype)
    if ir_range == "auto" and ir.dtype != np.uint8:
        planes = ir.reshape(-1, *ir.shape[-3:])  # every image of a batch
        chosen = automatic_ranges(x.mean(axis=-1, keepdims=True).astype(x.dtype) for x in planes)[ir.dtype]
        if line := describe_range(chosen, ir.dtype):
            warnings.warn(line, stacklevel=5)
    elif np.issubdtype(ir.dtype, np.floating) and not (ir.min() >= 0 and ir.max() <= 1):
        raise ValueError(
            f"ir has values from {ir.min():g} to {ir.max():g}; floats must lie in [0, 1], or choose another ir_range."
        )
    return chosen


def stretch_pair(fused_y: Plane, ir_y: Plane, vi_y: Plane) -> Plane:
    """`stretch_range` of the pairs with contrast; the others are left as they are."""
    return np.where(np.maximum(_span(ir_y), _span(vi_y)) > _LEAST_SPAN, stretch_range(fused_y), fused_y)


def stretch_range(fused_y: Plane) -> Plane:
    """Maps each image linearly onto [0, 1]; a constant one is left as it is."""
    low, span = fused_y.min(axis=(-3, -2, -1), keepdims=True), _span(fused_y)
    return np.where(span > 0, (fused_y - low) / np.where(span > 0, span, 1), fused_y)


def _span(x: Plane) -> Float[np.ndarray, "*b 1 1 1"]:
    return np.ptp(x, axis=(-3, -2, -1), keepdims=True)
