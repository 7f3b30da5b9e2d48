"""AngularFuse's angle-aware gradient terms (arXiv 2510.12260): magnitude and direction of edges.

A gradient is the pair (gx, gy) of unnormalized Sobel responses with replicated borders. Its smooth
norm sqrt(gx^2 + gy^2 + eps^2), eps = 1e-3, has eps inside the root: if it were only added to a
denominator, the derivative of the root would be infinite in flat regions.
"""

from typing import Literal

import jax
import jax.numpy as jnp

from fusejax.ops.arrays import equal_shapes
from fusejax.ops.filters import sobel
from fusejax.ops.numerics import pixel_mean
from fusejax.options import checked_options
from fusejax.typing import Luma, PerImage

EPSILON = 1e-3

Gradient = tuple[Luma, Luma]


def smooth_norm(gradient: Gradient) -> Luma:
    """Norm of a gradient without a kink: sqrt(gx^2 + gy^2 + eps^2).

    Args:
        gradient: (gx, gy).

    Returns:
        The norm at every pixel, at least eps = 1e-3.
    """
    gx, gy = gradient
    return jnp.sqrt(gx**2 + gy**2 + EPSILON**2)


@equal_shapes
def stronger_gradient(ir: Luma, vi_y: Luma) -> Gradient:
    """Takes, at every pixel, the whole gradient vector of the source with the larger norm.

    Args:
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1]; it wins ties.

    Returns:
        (gx, gy).
    """
    ir_gradient, vi_gradient = sobel(ir, padding="edge"), sobel(vi_y, padding="edge")
    from_vi = smooth_norm(vi_gradient) >= smooth_norm(ir_gradient)
    gx, gy = (jnp.where(from_vi, v, i) for v, i in zip(vi_gradient, ir_gradient, strict=True))
    return gx, gy


@equal_shapes
def magnitude_loss(fused_gradient: Gradient, reference_gradient: Gradient) -> PerImage:
    """Difference of the edge strengths, mean | n(G_F) - n(G_r) |, n smooth (AngularFuse, L_mag).

    Args:
        fused_gradient: (gx, gy) of the fused image.
        reference_gradient: (gx, gy) to compare with.

    Returns:
        One value per image, non-negative.

    Example:
        >>> import jax.numpy as jnp
        >>> black, white = jnp.zeros((1, 8, 8, 1)), jnp.ones((1, 8, 8, 1))
        >>> magnitude_loss((white, black), (white, black)).tolist()
        [0.0]
    """
    return pixel_mean(jnp.abs(smooth_norm(fused_gradient) - smooth_norm(reference_gradient)))


@checked_options
@equal_shapes
def direction_loss(
    fused_gradient: Gradient,
    reference_gradient: Gradient,
    *,
    weighting: Literal["magnitude", "none"] = "magnitude",
    signed: bool = True,
) -> PerImage:
    """Difference of the edge directions, mean v (1 - cos(G_F, G_r)) (AngularFuse, L_dir).

    Args:
        fused_gradient: (gx, gy) of the fused image.
        reference_gradient: (gx, gy) to compare with.
        weighting: `magnitude` weights pixels by v = |G_r| / (mean |G_r| + 1e-3), with the exact
            norm, the mean over the image, and no gradient. It is 0 where the reference is flat, so
            noise there does not count, and an entirely flat reference has no cost. With `none`, v =
            1; the smoothed cosine of two flat pixels is 0, so each has a cost of 1.
        signed: whether an opposite edge counts as an error; otherwise 1 - |cos| is used, which
            ignores the sign (for an ablation).

    Returns:
        One value per image, non-negative; in [0, 2] without weighting.

    Example:
        >>> import jax.numpy as jnp
        >>> black, white = jnp.zeros((1, 8, 8, 1)), jnp.ones((1, 8, 8, 1))
        >>> direction_loss((white, black), (black, white)).round(2).tolist()  # a right angle
        [1.0]
    """
    (fx, fy), (rx, ry) = fused_gradient, reference_gradient
    cosine = (fx * rx + fy * ry) / (smooth_norm(fused_gradient) * smooth_norm(reference_gradient))
    cosine = cosine if signed else jnp.abs(cosine)
    if weighting == "none":
        return pixel_mean(1.0 - cosine)
    strength = jnp.hypot(*jax.lax.stop_gradient(reference_gradient))
    return pixel_mean(strength * (1.0 - cosine)) / (pixel_mean(strength) + 1e-3)


@equal_shapes
def gradient_vector_loss(fused_gradient: Gradient, reference_gradient: Gradient) -> PerImage:
    """Magnitude and direction in one term, mean (n(G_F - G_r) - eps); ours, for an ablation.

    Args:
        fused_gradient: (gx, gy) of the fused image.
        reference_gradient: (gx, gy) to compare with.

    Returns:
        One value per image, non-negative.
    """
    (fx, fy), (rx, ry) = fused_gradient, reference_gradient
    return (smooth_norm((fx - rx, fy - ry)) - EPSILON).mean(axis=(1, 2, 3))


@equal_shapes
def angle_magnitude_loss(fused_y: Luma, ir: Luma, vi_y: Luma) -> PerImage:
    """`magnitude_loss` against the stronger of the two source gradients.

    Args:
        fused_y: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].

    Returns:
        One value per image, non-negative.

    Example:
        >>> import jax.numpy as jnp
        >>> ramp = jnp.ones((1, 48, 1, 1)) * jnp.linspace(0, 1, 48)[:, None]
        >>> flat = jnp.zeros_like(ramp)
        >>> angle_magnitude_loss(ramp, flat, ramp).tolist()
        [0.0]
    """
    return magnitude_loss(sobel(fused_y), stronger_gradient(ir, vi_y))


@checked_options
@equal_shapes
def angle_direction_loss(
    fused_y: Luma,
    ir: Luma,
    vi_y: Luma,
    *,
    weighting: Literal["magnitude", "none"] = "magnitude",
    signed: bool = True,
) -> PerImage:
    """`direction_loss` against the stronger of the two source gradients.

    Args:
        fused_y: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        weighting: weighting of the pixels, see `direction_loss`.
        signed: whether the sign of an edge counts, see `direction_loss`.

    Returns:
        One value per image, non-negative.

    Example:
        >>> import jax.numpy as jnp
        >>> ramp = jnp.ones((1, 48, 1, 1)) * jnp.linspace(0, 1, 48)[:, None]
        >>> flat = jnp.zeros_like(ramp)
        >>> opposite = angle_direction_loss(1 - ramp, flat, ramp)  # 1 - cos = 2
        >>> f"{opposite[0]:.1f}"
        '2.0'
    """
    return direction_loss(sobel(fused_y), stronger_gradient(ir, vi_y), weighting=weighting, signed=signed)


@equal_shapes
def angle_vector_loss(fused_y: Luma, ir: Luma, vi_y: Luma) -> PerImage:
    """`gradient_vector_loss` against the stronger of the two source gradients.

    Args:
        fused_y: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].

    Returns:
        One value per image, non-negative.

    Example:
        >>> import jax.numpy as jnp
        >>> ramp = jnp.ones((1, 48, 1, 1)) * jnp.linspace(0, 1, 48)[:, None]
        >>> flat = jnp.zeros_like(ramp)
        >>> angle_vector_loss(ramp, flat, ramp).tolist()
        [0.0]
    """
    return gradient_vector_loss(sobel(fused_y), stronger_gradient(ir, vi_y))


@equal_shapes
def reference_magnitude_loss(fused_y: Luma, reference: Luma) -> PerImage:
    """`magnitude_loss` against the gradient of the reference image.

    Args:
        fused_y: fused luma in [0, 1].
        reference: from `fine_grained_reference`, in [0, 1].

    Returns:
        One value per image, non-negative.

    Example:
        >>> import jax.numpy as jnp
        >>> ramp = jnp.ones((1, 48, 1, 1)) * jnp.linspace(0, 1, 48)[:, None]
        >>> reference_magnitude_loss(ramp, ramp).tolist()
        [0.0]
    """
    return magnitude_loss(sobel(fused_y), sobel(reference))


@checked_options
@equal_shapes
def reference_direction_loss(
    fused_y: Luma,
    reference: Luma,
    *,
    weighting: Literal["magnitude", "none"] = "magnitude",
    signed: bool = True,
) -> PerImage:
    """`direction_loss` against the gradient of the reference image.

    Args:
        fused_y: fused luma in [0, 1].
        reference: from `fine_grained_reference`, in [0, 1].
        weighting: weighting of the pixels, see `direction_loss`.
        signed: whether the sign of an edge counts, see `direction_loss`.

    Returns:
        One value per image, non-negative.

    Example:
        >>> import jax.numpy as jnp
        >>> ramp = jnp.ones((1, 48, 1, 1)) * jnp.linspace(0, 1, 48)[:, None]
        >>> bool(reference_direction_loss(ramp, ramp)[0] < 1e-3)
        True
    """
    return direction_loss(sobel(fused_y), sobel(reference), weighting=weighting, signed=signed)
