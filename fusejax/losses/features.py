"""Losses on the feature maps of CrossFuse (arXiv 2502.14493)."""

import jax.numpy as jnp
import numpy as np

from fusejax.ops.arrays import equal_shapes
from fusejax.typing import Features, PerImage

_EPSILON = float(np.finfo(np.float32).eps)


@equal_shapes
def channel_correlation(a: Features, b: Features) -> PerImage:
    """Pearson correlation over the pixels of every map, mean over the channels.

    CrossFuse's and CDDFuse's cc: <a', b'> / (eps + |a'| |b'|) with a' = a - mean(a), clipped to
    [-1, 1]. The roots have a finite gradient at 0.

    Args:
        a: feature maps.
        b: feature maps of the same shape.

    Returns:
        One value per image, in [-1, 1]; constant maps count as 0.
    """
    a, b = (x.astype(jnp.float32) - x.mean(axis=(1, 2), keepdims=True, dtype=jnp.float32) for x in (a, b))
    product, *squares = ((x * y).sum(axis=(1, 2)) for x, y in ((a, b), (a, a), (b, b)))
    alive = (squares[0] > 0) & (squares[1] > 0)
    norms = jnp.sqrt(jnp.where(alive, squares[0], 1.0)) * jnp.sqrt(jnp.where(alive, squares[1], 1.0))
    correlation = jnp.where(alive, product / (_EPSILON + norms), 0.0)
    return jnp.clip(correlation, -1.0, 1.0).mean(axis=-1)


@equal_shapes
def decomposition_loss(features: dict[str, Features]) -> PerImage:
    """cc(D_I, D_V)^2 / (1.01 + cc(B_I, B_V)): shared content in the base, the rest in the details.

    As published (CrossFuse; CDDFuse), cc is averaged over batch and channels before it is squared,
    so that all images of a batch have the same value.

    Args:
        features: the detail and the base features of both sources, under the names `ir_detail`,
            `vi_detail`, `ir_base` and `vi_base`.

    Returns:
        The value of the batch, repeated for every image, non-negative.
    """
    detail = channel_correlation(features["ir_detail"], features["vi_detail"])
    base = channel_correlation(features["ir_base"], features["vi_base"])
    value = jnp.square(detail.mean()) / (1.01 + base.mean())
    return jnp.broadcast_to(value, detail.shape)
