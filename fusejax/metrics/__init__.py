"""Fusion metrics under named conventions. `evaluate(fused, ir, vi_y)` scores a batch; each metric is a pure function."""

from collections.abc import Sequence
from functools import partial

import jax

from fusejax.metrics.conventions import CONVENTIONS, USUAL, Convention
from fusejax.metrics.numerics import quantise
from fusejax.typing import Luma, PerImage

__all__ = ["CONVENTIONS", "USUAL", "Convention", "evaluate"]


@partial(jax.jit, static_argnames=("convention", "metrics"))
def _evaluate(fused: Luma, ir: Luma, vi_y: Luma, *, convention: str, metrics: tuple[str, ...]) -> dict[str, PerImage]:
    chosen = CONVENTIONS[convention]
    if chosen.quantised:
        fused, ir, vi_y = quantise(fused), quantise(ir), quantise(vi_y)
    return {name: chosen.metrics[name](fused, ir, vi_y) for name in metrics}


def evaluate(
    fused: Luma, ir: Luma, vi_y: Luma, *, convention: str = "exact", metrics: Sequence[str] = USUAL
) -> dict[str, PerImage]:
    """Scores a batch of fused pictures: metric name -> one value per picture, in one compiled call.

    Args:
        fused, ir, vi_y: luma in [0, 1], equal sizes.
        convention: a name of `CONVENTIONS`.
        metrics: names that the convention defines.
    Raises: ValueError for unequal shapes, an unknown convention or a metric that the convention lacks.
    """
    if not fused.shape == ir.shape == vi_y.shape:
        raise ValueError(f"fused is {fused.shape}, ir {ir.shape}, vi_y {vi_y.shape}; expected one shape [b, h, w, 1].")
    if convention not in CONVENTIONS:
        raise ValueError(f"convention is {convention!r}; expected one of {', '.join(CONVENTIONS)}.")
    missing = [name for name in metrics if name not in CONVENTIONS[convention].metrics]
    if missing:
        known = ", ".join(CONVENTIONS[convention].metrics)
        raise ValueError(f"convention {convention!r} does not define {', '.join(missing)}; it defines {known}.")
    return _evaluate(fused, ir, vi_y, convention=convention, metrics=tuple(metrics))
