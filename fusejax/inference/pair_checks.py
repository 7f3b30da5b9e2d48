"""Checks of the arrays and options of one pair, before any work."""

from typing import Literal

import numpy as np


def check_pair(ir: np.ndarray, vi: np.ndarray, *, any_size: bool = False) -> None:
    """Raises ValueError for types, shapes and values that cannot be fused; names what was given.

    Sizes may differ if a later step is known to make them equal.
    """
    for name, x in (("ir", ir), ("vi", vi)):
        if x.dtype not in (np.uint8, np.uint16) and not np.issubdtype(x.dtype, np.floating):
            raise ValueError(f"{name} is {x.dtype}; expected uint8, uint16 or float in [0, 1].")
        if not (x.ndim == 2 or (x.ndim in (3, 4) and x.shape[-1] in (1, 3))):
            raise ValueError(f"{name} has shape {x.shape}; expected [h, w], [h, w, 1] or [h, w, 3].")
        if 0 in x.shape:
            raise ValueError(f"{name} has shape {x.shape}; it contains no pixels.")
        if np.issubdtype(x.dtype, np.floating) and not np.isfinite(x).all():
            raise ValueError(f"{name} has values that are not finite; replace them first.")
    if np.issubdtype(vi.dtype, np.floating) and not (vi.min() >= 0 and vi.max() <= 1):
        raise ValueError(f"vi has values from {vi.min():g} to {vi.max():g}; floats must lie in [0, 1].")
    if (ir.ndim == 4) != (vi.ndim == 4) or (ir.ndim == 4 and len(ir) != len(vi)):
        raise ValueError(f"ir is {_size_text(ir)} but vi is {_size_text(vi)}; every image needs its partner.")
    if not any_size and _size(ir) != _size(vi):
        text = f"ir is {_size_text(ir)} but vi is {_size_text(vi)} (width x height)"
        raise ValueError(f"{text}; register the pair first.")


def _size(x: np.ndarray) -> tuple[int, ...]:
    return x.shape[:2] if x.ndim < 4 else x.shape[1:3]


def _size_text(x: np.ndarray) -> str:
    """Width x height, and the number of images of a batch."""
    size = _size(x)
    return f"{len(x)} images of {size[1]}x{size[0]}" if x.ndim == 4 else f"{size[1]}x{size[0]}"


def check_strength(strength: float) -> float:
    """Returns the option.

    Raises:
        ValueError: if it is not in 0..2.
    """
    if not 0 <= strength <= 2:
        raise ValueError(f"strength is {strength:g}; give 0 (the visible image) to 2, where 1 is the network's own.")
    return float(strength)


def check_bits(bits: int | None) -> None:
    """Raises ValueError unless the bit depth is 8, 16, or None for that of the visible image."""
    if bits not in (None, 8, 16):
        raise ValueError(f"bits is {bits!r}; use 8 or 16, or None for the depth of the visible image.")


def integer_type(bits: Literal[8, 16] | None) -> np.dtype | None:
    """uint8 or uint16; None for the type of the visible image.

    Raises:
        ValueError: for another depth.
    """
    check_bits(bits)
    return None if bits is None else np.dtype(np.uint8 if bits == 8 else np.uint16)
