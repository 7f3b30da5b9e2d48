"""AngularFuse's angle-aware gradient terms (arXiv 2510.12260): magnitude and direction against a reference gradient.

A gradient is the pair (gx, gy) of unnormalised Sobel responses with replicated borders. Its smooth norm
sqrt(gx^2 + gy^2 + eps^2) keeps eps inside the root: added to a denominator only, it would leave the root's derivative
infinite in flat regions.
"""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fusejax.ops.filters import sobel
from fusejax.options import checked_options
from fusejax.typing import Luma, PerImage

EPSILON = 1e-3

Gradient = tuple[Float[Array, "b h w 1"], Float[Array, "b h w 1"]]


def smooth_norm(gradient: Gradient) -> Luma:
    """sqrt(gx^2 + gy^2 + eps^2), at least eps."""
    gx, gy = gradient
    return jnp.sqrt(gx**2 + gy**2 + EPSILON**2)


def stronger_gradient(ir: Luma, vi_y: Luma) -> Gradient:
    """At every pixel the whole gradient vector of the source with the larger norm; a tie goes to the visible."""
    ir_gradient, vi_gradient = sobel(ir, padding="edge"), sobel(vi_y, padding="edge")
    from_vi = smooth_norm(vi_gradient) >= smooth_norm(ir_gradient)
    gx, gy = (jnp.where(from_vi, v, i) for v, i in zip(vi_gradient, ir_gradient, strict=True))
    return gx, gy


def magnitude_loss(fused_gradient: Gradient, reference_gradient: Gradient) -> PerImage:
    """mean | n(G_F) - n(G_r) | per image (L_mag)."""
    return jnp.abs(smooth_norm(fused_gradient) - smooth_norm(reference_gradient)).mean(axis=(1, 2, 3))


@checked_options
def direction_loss(
    fused_gradient: Gradient,
    reference_gradient: Gradient,
    *,
    weighting: Literal["magnitude", "none"] = "magnitude",
) -> PerImage:
    """mean v (1 - cos(G_F, G_r)) per image (L_dir), in [0, 2] for v = 1.

    `magnitude` (default): v = |G_r| / (mean |G_r| + 1e-3), exact norm, mean over the image, no gradient. It is 0 where
    the reference is flat, so noise there does not count and an all-flat reference costs nothing. `none`: v = 1; the
    smoothed cosine of two flat pixels is 0, so each costs 1.
    """
    (fx, fy), (rx, ry) = fused_gradient, reference_gradient
    cosine = (fx * rx + fy * ry) / (smooth_norm(fused_gradient) * smooth_norm(reference_gradient))
    if weighting == "none":
        return (1.0 - cosine).mean(axis=(1, 2, 3))
    strength = jnp.hypot(*jax.lax.stop_gradient(reference_gradient))
    weight = strength / (strength.mean(axis=(1, 2, 3), keepdims=True) + 1e-3)
    return (jax.lax.stop_gradient(weight) * (1.0 - cosine)).mean(axis=(1, 2, 3))


def gradient_vector_loss(fused_gradient: Gradient, reference_gradient: Gradient) -> PerImage:
    """mean || G_F - G_r || per image, smooth vector norm less eps: magnitude and direction in one term (ablation)."""
    (fx, fy), (rx, ry) = fused_gradient, reference_gradient
    return (smooth_norm((fx - rx, fy - ry)) - EPSILON).mean(axis=(1, 2, 3))


def angle_magnitude_loss(fused_y: Luma, ir: Luma, vi_y: Luma) -> PerImage:
    """`magnitude_loss` against the stronger of the two source gradients."""
    return magnitude_loss(sobel(fused_y), stronger_gradient(ir, vi_y))


@checked_options
def angle_direction_loss(
    fused_y: Luma, ir: Luma, vi_y: Luma, *, weighting: Literal["magnitude", "none"] = "magnitude"
) -> PerImage:
    """`direction_loss` against the stronger of the two source gradients."""
    return direction_loss(sobel(fused_y), stronger_gradient(ir, vi_y), weighting=weighting)


def reference_magnitude_loss(fused_y: Luma, reference: Luma) -> PerImage:
    """`magnitude_loss` against the gradient of the reference image."""
    return magnitude_loss(sobel(fused_y), sobel(reference))


@checked_options
def reference_direction_loss(
    fused_y: Luma, reference: Luma, *, weighting: Literal["magnitude", "none"] = "magnitude"
) -> PerImage:
    """`direction_loss` against the gradient of the reference image."""
    return direction_loss(sobel(fused_y), sobel(reference), weighting=weighting)
