"""Losses on feature maps."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fusejax.typing import PerImage

_EPSILON = float(np.finfo(np.float32).eps)


def channel_correlation(a: Float[Array, "b h w c"], b: Float[Array, "b h w c"]) -> PerImage:
    """Pearson correlation over the pixels of every map, mean over the channels, in [-1, 1]; 0 for a constant map.

    CrossFuse's and CDDFuse's cc: <a', b'> / (eps + |a'| |b'|) with a' = a - mean(a), clipped. The roots have a finite
    slope at 0.
    """
    a, b = (x.astype(jnp.float32) - x.mean(axis=(1, 2), keepdims=True, dtype=jnp.float32) for x in (a, b))
    product, *squares = ((x * y).sum(axis=(1, 2)) for x, y in ((a, b), (a, a), (b, b)))
    alive = (squares[0] > 0) & (squares[1] > 0)
    norms = jnp.sqrt(jnp.where(alive, squares[0], 1.0)) * jnp.sqrt(jnp.where(alive, squares[1], 1.0))
    correlation = jnp.where(alive, product / (_EPSILON + norms), 0.0)
    return jnp.clip(correlation, -1.0, 1.0).mean(axis=-1)


def decomposition_loss(features: dict[str, Float[Array, "b h w c"]]) -> PerImage:
    """cc(D_I, D_V)^2 / (1.01 + cc(B_I, B_V)), not negative; one value of the batch, the same for every image.

    Low when what the modalities share is in the base and what they do not is in the detail features. As published
    (CrossFuse; CDDFuse), cc is averaged over batch and channels before it is squared, so images share their value.
    """
    detail = channel_correlation(features["ir_detail"], features["vi_detail"])
    base = channel_correlation(features["ir_base"], features["vi_base"])
    value = jnp.square(detail.mean()) / (1.01 + base.mean())
    return jnp.broadcast_to(value, detail.shape)
