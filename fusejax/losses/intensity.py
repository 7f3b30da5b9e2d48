"""Intensity terms."""

import jax.numpy as jnp

from fusejax.typing import Luma, PerImage


def intensity_loss(fused_y: Luma, reference: Luma) -> PerImage:
    """mean |F - I_ref| per image, in [0, 1] (AngularFuse: intensity against the reference; L1 as in CDDFuse, EMMA)."""
    return jnp.abs(fused_y - reference).mean(axis=(1, 2, 3))
