"""Blocks shared by the models: attention, feed-forward, residuals, rematerialization.

Parameters are float32; `dtype` is the data type of the arithmetic.
"""

from typing import Any, TypeVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fusejax.models.config import Remat
from fusejax.models.convolutions import Conv3x3, PairedConv3x3, Pointwise, PointwiseKernel, SplitPointwise
from fusejax.models.depthwise import DepthwiseConv3x3
from fusejax.models.norm import LayerNorm
from fusejax.ops.backend import by_platform


class ChannelAttention(nn.Module):
    """Attention between channels, cost linear in h*w (Restormer MDTA, Zamir et al. 2022, Eq. 1).

    The 3x3 convolution after the 1x1 is depth-wise in Restormer and a full one in the blocks of
    CDDFuse and EMMA. q and k are divided by their norms after the product, which is equivalent and
    saves two passes over the pixels; all heads share one product, whose entries between different
    heads are masked. With one channel per head the softmax is always 1 and the result is v, so that
    q and k are not computed (after a full convolution).

    Attributes:
        heads: number of heads; must divide the number of channels.
        depthwise: whether the 3x3 convolution is depth-wise.
        dtype: type of the arithmetic; the softmax is computed in float32.
    """

    heads: int
    depthwise: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        b, h, w, c = x.shape
        if c % self.heads:
            raise ValueError(f"{c} channels cannot be split into {self.heads} heads; use a divisor of {c}.")
        scale = self.param("scale", nn.initializers.ones, (self.heads,))
        out = Pointwise(c, self.dtype, name="out")
        if self.depthwise:
            qkv = SplitPointwise(3 * c, 3, self.dtype, name="qkv")(x)
            q, k, v = DepthwiseConv3x3(dtype=self.dtype, name="qkv_mix")(*qkv)
        else:
            before = PointwiseKernel(3 * c, name="qkv")(c)
            mix = Conv3x3(3 * c, padding="constant", dtype=self.dtype, name="qkv_mix")
            if self.heads == c:
                return out(mix(x, before=before, first=2 * c))
            q, k, v = jnp.split(mix(x, before=before), 3, axis=-1)
        correlation, q_squares, k_squares = ChannelProducts(name="products")(q, k)
        logits = correlation * inverse_norm(q_squares)[:, :, None] * inverse_norm(k_squares)[:, None, :]
        logits = logits * jnp.repeat(scale, c // self.heads)[:, None]
        same_head = np.kron(np.eye(self.heads), np.ones((c // self.heads,) * 2)).astype(bool)
        attention = jax.nn.softmax(jnp.where(same_head, logits, -jnp.inf), axis=-1).astype(self.dtype)
        y = jnp.einsum("bcd,bpd->bpc", attention, v.reshape(b, h * w, c)).reshape(b, h, w, c)
        return out(y)


def inverse_norm(squares: Float[Array, "b c"]) -> Float[Array, "b c"]:
    """1 / max(|x|, 1e-12) from the sum of the squares of x, with a finite gradient at x = 0."""
    return jax.lax.rsqrt(jnp.maximum(squares, 1e-24))


class ChannelProducts(nn.Module):
    """The statistics of the whole image that channel attention needs: float32 sums over its pixels.

    It is a module without parameters, so that `fusejax.inference.tiles` can exclude pixels from the
    sums and add them up over tiles.

    Returns the products of every channel of q with every channel of k, and the squares of q and of
    k.
    """

    @nn.compact
    def __call__(
        self, q: Float[Array, "b h w c"], k: Float[Array, "b h w c"]
    ) -> tuple[Float[Array, "b c c"], Float[Array, "b c"], Float[Array, "b c"]]:
        q, k = (t.reshape(t.shape[0], -1, t.shape[-1]) for t in (q, k))
        correlation = correlate(q, k)
        q_squares, k_squares = (jnp.sum(jnp.square(t.astype(jnp.float32)), axis=1) for t in (q, k))
        return correlation, q_squares, k_squares


@jax.custom_vjp
def correlate(q: Float[Array, "b p c"], k: Float[Array, "b p d"]) -> Float[Array, "b c d"]:
    """Products of channels summed over the pixels, in float32.

    On accelerators, the gradients are products in the type of q and k. JAX's own would be products
    in float32, because the sums are, and would be transposed afterwards, for all pixels.
    """
    return _sum_products(q, k)


def _sum_products(q: Array, k: Array) -> Array:
    return jnp.einsum("bpc,bpd->bcd", q, k, preferred_element_type=jnp.float32)


def _correlate_forward(q: Array, k: Array) -> tuple[Array, tuple[Array, Array]]:
    return _sum_products(q, k), (q, k)


def _correlate_backward(saved: tuple[Array, Array], g: Array) -> tuple[Array, Array]:
    def in_type_of_inputs(q: Array, k: Array, g: Array) -> tuple[Array, Array]:
        g = g.astype(q.dtype)
        return jnp.einsum("bpd,bcd->bpc", k, g), jnp.einsum("bpc,bcd->bpd", q, g)

    def as_jax(q: Array, k: Array, g: Array) -> tuple[Array, Array]:
        return jax.vjp(_sum_products, q, k)[1](g)

    return by_platform(*saved, g, cpu=as_jax, accelerator=in_type_of_inputs)


correlate.defvjp(_correlate_forward, _correlate_backward)


class GlobalMean(nn.Module):
    """The mean over the pixels; a module without parameters for the same reason as
    `ChannelProducts`.
    """

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b 1 1 c"]:
        return x.mean(axis=(1, 2), keepdims=True)


class GatedFeedForward(nn.Module):
    """1x1, 3x3, exact GELU of one half times the other half, 1x1 back (Restormer's GDFN).

    The 3x3 convolution is depth-wise in Restormer and works within channel pairs in the blocks of
    CDDFuse and EMMA.

    Attributes:
        expansion: half of the hidden width, relative to the width of the input.
        depthwise: whether the 3x3 convolution is depth-wise.
        padding: padding of the 3x3 convolution, `constant` (zero) or `reflect`.
        dtype: type of the arithmetic.
    """

    expansion: int = 1
    depthwise: bool = False
    padding: str = "reflect"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        hidden = 2 * self.expansion * x.shape[-1]
        if self.depthwise:
            halves = SplitPointwise(hidden, 2, self.dtype, name="expand")(x)
            gate, value = DepthwiseConv3x3(self.padding, self.dtype, name="mix")(*halves)
        else:
            before = PointwiseKernel(hidden, name="expand")(x.shape[-1])
            mixed = PairedConv3x3(self.padding, self.dtype, name="mix")(x, before=before)
            gate, value = jnp.split(mixed, 2, axis=-1)
        return Pointwise(x.shape[-1], self.dtype, name="reduce")(jax.nn.gelu(gate, approximate=False) * value)


Block = TypeVar("Block", bound=nn.Module)

_POLICIES = {
    "full": jax.checkpoint_policies.nothing_saveable,
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
}


def rematerialized(block: type[Block], remat: Remat) -> type[Block]:
    """Makes the backward pass recompute a block's activations instead of keeping them.

    Parameters and results stay the same; give the block an explicit `name`, or its parameters are
    named differently.

    Args:
        block: type of the module.
        remat: `none` keeps all activations; `full` keeps the block's inputs only; `dots` also keeps
            products with weights (of 1x1 convolutions).

    Returns:
        The type to use instead of `block`.
    """
    return block if remat == "none" else nn.remat(block, policy=_POLICIES[remat])


def pre_norm_residuals(x: Float[Array, "b h w c"], *branches: nn.Module, dtype: Any) -> Float[Array, "b h w c"]:
    """x + branch(LayerNorm(x)), one branch after the other.

    Args:
        x: features.
        *branches: modules from features to features.
        dtype: type of the arithmetic.

    Returns:
        The features. The norms become submodules `norm1`, `norm2`, ... of the calling module.
    """
    for n, branch in enumerate(branches, start=1):
        x = x + branch(LayerNorm(dtype=dtype, name=f"norm{n}")(x))
    return x


class ResidualConvs(nn.Module):
    """x + conv3x3(ReLU(conv3x3(x))), with biases and reflect padding."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        y = Conv3x3(x.shape[-1], use_bias=True, dtype=self.dtype, name="conv1")(x)
        return x + Conv3x3(x.shape[-1], use_bias=True, dtype=self.dtype, name="conv2")(jax.nn.relu(y))


def relative_strength(a: Float[Array, "b h w c"], b: Float[Array, "b h w c"]) -> Float[Array, "b h w 1"]:
    """|a| / (|a| + |b|) with norms over the channels, float32; 1/2 where both are 0."""
    first, second = (jnp.sqrt(jnp.sum(jnp.square(x.astype(jnp.float32)), axis=-1, keepdims=True)) for x in (a, b))
    return (first + 1e-6) / (first + second + 2e-6)
