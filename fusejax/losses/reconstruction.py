"""CrossFuse's phase I: each picture rebuilt from its own features (arXiv 2502.14493; CDDFuse's first stage)."""

import jax.numpy as jnp

from fusejax.losses.structure import dssim
from fusejax.ops.filters import sobel
from fusejax.typing import Luma, PerImage


def reconstruction_loss(ir: Luma, vi_y: Luma, rebuilt: dict[str, Luma]) -> PerImage:
    """R(V, V^) + R(I, I^) + 5 |S(V) - S(V^)| per image, R = 5 DSSIM + MSE, S = Sobel / 8 on the visible image only.

    Args: the clean pair and `rebuilt`, the dict of `ir` and `vi_y` decoded from their own features, all in [0, 1].
    """
    total = sum(
        5.0 * dssim(x, rebuilt[name]) + jnp.square(x - rebuilt[name]).mean(axis=(1, 2, 3))
        for name, x in (("ir", ir), ("vi_y", vi_y))
    )
    pairs = zip(sobel(vi_y), sobel(rebuilt["vi_y"]), strict=True)
    gradient = sum(jnp.abs(a - b).mean(axis=(1, 2, 3)) for a, b in pairs) / (8.0 * 2.0)
    return total + 5.0 * gradient
