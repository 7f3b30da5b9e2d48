"""Brightness of the fused image."""

import jax.numpy as jnp

from fusejax.ops.arrays import equal_shapes
from fusejax.ops.numerics import pixel_mean
from fusejax.typing import Luma, PerImage


@equal_shapes
def intensity_loss(fused_y: Luma, reference: Luma) -> PerImage:
    """mean |F - I_ref| (AngularFuse, arXiv 2510.12260; L1 as in CDDFuse and EMMA).

    Args:
        fused_y: fused luma in [0, 1].
        reference: from `fine_grained_reference`, in [0, 1].

    Returns:
        One value per image, in [0, 1].

    Example:
        >>> import jax.numpy as jnp
        >>> black, white = jnp.zeros((1, 8, 8, 1)), jnp.ones((1, 8, 8, 1))
        >>> intensity_loss(black, white).tolist()
        [1.0]
    """
    return pixel_mean(jnp.abs(fused_y - reference))


@equal_shapes
def square_intensity_loss(fused_y: Luma, reference: Luma) -> PerImage:
    """mean (F - I_ref)^2; ours.

    Small changes of contrast have a small cost and large changes a large one. In combination with
    terms that reward copying one source, this keeps a region from switching to that source for
    longer than the absolute error does.

    Args:
        fused_y: fused luma in [0, 1].
        reference: from `fine_grained_reference`, in [0, 1].

    Returns:
        One value per image, in [0, 1].

    Example:
        >>> import jax.numpy as jnp
        >>> black, white = jnp.zeros((1, 8, 8, 1)), jnp.ones((1, 8, 8, 1))
        >>> square_intensity_loss(white / 2, white).tolist()
        [0.25]
    """
    return pixel_mean(jnp.square(fused_y - reference))


@equal_shapes
def maximum_intensity_loss(fused_y: Luma, ir: Luma, vi_y: Luma) -> PerImage:
    """mean |F - max(V, I)| (CDDFuse, CrossFuse, TC-MoA).

    Args:
        fused_y: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].

    Returns:
        One value per image, in [0, 1].

    Example:
        >>> import jax.numpy as jnp
        >>> black, white = jnp.zeros((1, 8, 8, 1)), jnp.ones((1, 8, 8, 1))
        >>> maximum_intensity_loss(white / 2, white, black).tolist()
        [0.5]
    """
    return pixel_mean(jnp.abs(fused_y - jnp.maximum(ir, vi_y)))
