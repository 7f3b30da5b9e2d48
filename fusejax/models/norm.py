"""Layer norm over channels, in a form that is fast on CPU and one for accelerators."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fusejax.ops.backend import by_platform

_EPSILON = 1e-5


class LayerNorm(nn.Module):
    """Normalizes every pixel over its channels, with scale and bias; statistics in float32."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],))
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],))
        arrays = (jnp.asarray(t, jnp.float32) for t in (x, scale, bias))
        return by_platform(*arrays, cpu=normalize, accelerator=_plain).astype(self.dtype)


def _plain(x: Float[Array, "b h w c"], scale: Float[Array, " c"], bias: Float[Array, " c"]) -> Float[Array, "b h w c"]:
    centered = x - x.mean(axis=-1, keepdims=True)
    variance = jnp.square(centered).mean(axis=-1, keepdims=True)
    return centered * jax.lax.rsqrt(variance + _EPSILON) * scale + bias


@jax.custom_vjp
def normalize(
    x: Float[Array, "b h w c"], scale: Float[Array, " c"], bias: Float[Array, " c"]
) -> Float[Array, "b h w c"]:
    """Layer norm for CPU, with gradients of first order.

    All sums are products with a vector. XLA's CPU backend does not vectorize sums over few
    channels, and its own gradient makes several of them. Forward and backward together take
    0.25, 0.61 and 0.62 of the CPU time of plain code (8x128x128 with 8 channels, 8x64x64 with 16
    and 8x32x32 with 32; forward 0.42, 0.90, 1.1). A product with a matrix, which also spreads the
    means over the channels, takes about twice as long as this.

    Args:
        x: features.
        scale: of each channel.
        bias: of each channel.

    Returns:
        (x - mean) / sqrt(variance + 1e-5) * scale + bias.
    """
    return _forward(x, scale, bias)[0]


def _forward(x: Array, scale: Array, bias: Array) -> tuple[Array, tuple[Array, ...]]:
    share = jnp.full(x.shape[-1], 1 / x.shape[-1], x.dtype)
    mean = _over_channels(x, share)
    inverse = jax.lax.rsqrt(_over_channels(jnp.square(x - mean), share) + _EPSILON)
    return (x - mean) * inverse * scale + bias, (x, mean, inverse, scale)


def _backward(saved: tuple[Array, ...], g: Array) -> tuple[Array, Array, Array]:
    x, mean, inverse, scale = saved
    normal = (x - mean) * inverse
    weighted = g * normal
    share = scale / x.shape[-1]
    to_x = inverse * (g * scale - _over_channels(g, share) - normal * _over_channels(weighted, share))
    return to_x, _over_pixels(weighted), _over_pixels(g)


normalize.defvjp(_forward, _backward)


def _over_channels(x: Float[Array, "b h w c"], weights: Float[Array, " c"]) -> Float[Array, "b h w 1"]:
    sums = jnp.matmul(x.reshape(-1, x.shape[-1]), weights, precision=jax.lax.Precision.HIGHEST)
    return sums.reshape(*x.shape[:-1], 1)


def _over_pixels(x: Float[Array, "b h w c"]) -> Float[Array, " c"]:
    """In two stages, because a float32 sum over all pixels would be off by 1e-5."""
    rows = x.reshape(x.shape[0] * x.shape[1], -1)
    sums = jnp.matmul(jnp.ones(rows.shape[0], x.dtype), rows, precision=jax.lax.Precision.HIGHEST)
    return sums.reshape(-1, x.shape[-1]).sum(axis=0)
