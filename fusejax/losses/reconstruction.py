"""CrossFuse's phase I (arXiv 2502.14493; CDDFuse's first stage): reconstructing each source."""

import jax.numpy as jnp

from fusejax.losses.structure import dssim
from fusejax.ops.arrays import equal_shapes
from fusejax.ops.filters import sobel
from fusejax.ops.numerics import sum_arrays
from fusejax.typing import Luma, PerImage


@equal_shapes
def reconstruction_loss(ir: Luma, vi_y: Luma, rebuilt: dict[str, Luma]) -> PerImage:
    """Each source reconstructed from its own features: R(V, V^) + R(I, I^) + 5 mean |S(V) - S(V^)|.

    The first stage of CDDFuse and CrossFuse. R = 5 DSSIM + MSE; S = Sobel / 8, used only for the
    visible image.

    Args:
        ir: clean infrared luma in [0, 1].
        vi_y: luma of the clean visible image in [0, 1].
        rebuilt: `ir` and `vi_y` decoded from their own features, in [0, 1].

    Returns:
        One value per image, non-negative.
    """
    total = sum_arrays(
        5.0 * dssim(x, rebuilt[name]) + jnp.square(x - rebuilt[name]).mean(axis=(1, 2, 3))
        for name, x in (("ir", ir), ("vi_y", vi_y))
    )
    pairs = zip(sobel(vi_y), sobel(rebuilt["vi_y"]), strict=True)
    gradient = sum_arrays(jnp.abs(a - b).mean(axis=(1, 2, 3)) for a, b in pairs) / (8.0 * 2.0)
    return total + 5.0 * gradient
