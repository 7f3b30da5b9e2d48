"""Intensity terms."""

import jax.numpy as jnp

from fusejax.typing import Luma, PerImage


def intensity_loss(fused_y: Luma, reference: Luma) -> PerImage:
    """mean |F - I_ref| per image, in [0, 1] (AngularFuse: intensity against the reference; L1 as in CDDFuse, EMMA)."""
    return jnp.abs(fused_y - reference).mean(axis=(1, 2, 3))


def square_intensity_loss(fused_y: Luma, reference: Luma) -> PerImage:
    """mean (F - I_ref)^2 per image, in [0, 1].

    Free for small changes of contrast and dear for large ones: beside terms that reward copying one source it keeps a
    region from switching to that source longer than the absolute error does.
    """
    return jnp.square(fused_y - reference).mean(axis=(1, 2, 3))


def maximum_intensity_loss(fused_y: Luma, ir: Luma, vi_y: Luma) -> PerImage:
    """mean |F - max(V, I)| per image, in [0, 1] (CDDFuse, CrossFuse, TC-MoA)."""
    return jnp.abs(fused_y - jnp.maximum(ir, vi_y)).mean(axis=(1, 2, 3))
