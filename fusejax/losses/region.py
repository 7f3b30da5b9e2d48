"""FusionNet's target-aware term (arXiv 2509.11476): a loss on weakly labeled object regions."""

from typing import Literal

import jax.numpy as jnp

from fusejax.losses.gradient import joint_gradient_error
from fusejax.ops.arrays import equal_shapes
from fusejax.ops.filters import Padding
from fusejax.options import checked_options
from fusejax.typing import Luma, PerImage


@checked_options
@equal_shapes
def target_aware_loss(
    fused_y: Luma,
    ir: Luma,
    vi_y: Luma,
    mask: Luma,
    *,
    target: Literal["ir", "maximum"] = "ir",
    padding: Padding = "zero",
) -> PerImage:
    """sum M (|F - T| + |g(F) - max(g(I), g(V))|) / (sum M + 1), g = |Kx * .| + |Ky * .| (L_roi).

    This is our interpretation: the paper says only that boxes supervise the fusion. Pixels
    contribute through M and the one-pixel support of g. An image with an empty mask has the value 0
    and no gradient.

    Args:
        fused_y: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        mask: M, non-negative, 0 outside the regions (`fusejax.ops.boxes`); no gradient is meant to
            pass through it.
        target: T. `ir` is meant for boxes of warm classes, since it would darken cold cars and
            lamps; `maximum` is max(I, V).
        padding: padding of the border for g; must keep the size.

    Returns:
        One value per image, non-negative.

    Raises:
        ValueError: for `valid` padding.

    Example:
        >>> import jax.numpy as jnp
        >>> black, white = jnp.zeros((1, 8, 8, 1)), jnp.ones((1, 8, 8, 1))
        >>> target_aware_loss(black, white, black, mask=black).tolist()  # no object
        [0.0]
    """
    if padding == "valid":
        raise ValueError("padding 'valid' shrinks the edge map, which must fit the mask; use 'zero' or 'edge'.")
    goal = ir if target == "ir" else jnp.maximum(ir, vi_y)
    error = jnp.abs(fused_y - goal) + joint_gradient_error(fused_y, ir, vi_y, padding=padding)
    return (mask * error).sum(axis=(1, 2, 3)) / (mask.sum(axis=(1, 2, 3)) + 1.0)
