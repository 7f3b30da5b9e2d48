"""Blocks that models share: 3x3 convolution, layer norm, channel attention, gated feed-forward, down- and up-sampling.

Parameters are float32; `dtype` is the type the arithmetic runs in. Kernels start like PyTorch's convolutions (uniform,
variance 1 / (3 fan_in)), biases at zero.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

kernel_init = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")

_NHWC = ("NHWC", "HWIO", "NHWC")


def convolve(x: Float[Array, "b h w c"], kernel: Float[Array, "kh kw c o"], *, stride: int = 1) -> Array:
    """Cross-correlation without padding.

    XLA hands unpadded convolutions on CPU to a library that runs them on one thread and, from 24 channels on, three to
    seven times slower than its own (24 -> 24 channels at 8x128x128: 66 ms, padded 11 ms; backward 112 and 55 ms). So
    one column of zeros is asked for there and cut off again.
    """
    spare = int(jax.default_backend() == "cpu")
    y = jax.lax.conv_general_dilated(x, kernel, (stride, stride), ((0, 0), (0, spare)), dimension_numbers=_NHWC)
    return y[:, :, : (x.shape[2] - kernel.shape[1]) // stride + 1]


def convolve_same(x: Float[Array, "b h w c"], kernel: Float[Array, "3 3 c o"], padding: str, stride: int) -> Array:
    """3x3 cross-correlation with one pixel of padding: `constant` (zero) or `reflect`."""
    if padding == "constant":
        return jax.lax.conv_general_dilated(x, kernel, (stride, stride), ((1, 1), (1, 1)), dimension_numbers=_NHWC)
    return convolve(pad_one(x, padding), kernel, stride=stride)


def pad_one(x: Float[Array, "b h w c"], mode: str) -> Float[Array, "b h+2 w+2 c"]:
    """One pixel on every side: `constant` (zero) or `reflect`, which repeats a side of one pixel."""
    return jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode=mode)


class Conv3x3(nn.Module):
    """3x3 convolution of the channel-wise concatenation of its inputs.

    The concatenation is never built: a convolution is linear, so each input meets its own slice of the kernel. On two
    CPU cores, forward and backward, 8 + 8 -> 8 channels at 8x128x128 take 15 ms this way and 23 ms concatenated.
    """

    features: int
    use_bias: bool = False
    padding: str = "reflect"
    stride: int = 1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, *inputs: Float[Array, "b h w _"]) -> Float[Array, "b h2 w2 o"]:
        widths = [x.shape[-1] for x in inputs]
        kernel = self.param("kernel", kernel_init, (3, 3, sum(widths), self.features)).astype(self.dtype)
        slices = jnp.split(kernel, np.cumsum(widths)[:-1], axis=2)
        y = sum(
            convolve_same(x.astype(self.dtype), k, self.padding, self.stride)
            for x, k in zip(inputs, slices, strict=True)
        )
        if self.use_bias:
            y = y + self.param("bias", nn.initializers.zeros, (self.features,)).astype(self.dtype)
        return y


class Pointwise(nn.Module):
    """1x1 convolution without bias, as a product over the last axis."""

    features: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w o"]:
        kernel = self.param("kernel", kernel_init, (x.shape[-1], self.features))
        return x.astype(self.dtype) @ kernel.astype(self.dtype)


class PairedConv3x3(nn.Module):
    """3x3 convolution in groups of two channels, two in and two out (reflect padding, no bias).

    The kernel is spread over a block-diagonal dense one: XLA's grouped convolution on CPU is ten times slower, nine
    shifted products four times (26 ms against 100 ms forward and backward, 16 channels at 8x128x128), and at these
    widths (16 to 64) a matrix unit has the idle lanes anyway.
    """

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        channels = x.shape[-1]
        kernel = self.param("kernel", kernel_init, (3, 3, 2, channels)).astype(self.dtype)
        same_group = np.kron(np.eye(channels // 2), np.ones((2, 2)))
        dense = jnp.tile(kernel, (1, 1, channels // 2, 1)) * jnp.asarray(same_group, self.dtype)
        return convolve_same(x.astype(self.dtype), dense, "reflect", 1)


class LayerNorm(nn.Module):
    """Normalises every pixel over its channels, with scale and bias; statistics in float32."""

    epsilon: float = 1e-5
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],))
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],))
        x = x.astype(jnp.float32)
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = jnp.square(centred).mean(axis=-1, keepdims=True)
        return (centred * jax.lax.rsqrt(variance + self.epsilon) * scale + bias).astype(self.dtype)


class ChannelAttention(nn.Module):
    """Attention between channels, cost linear in h*w (Restormer MDTA, Zamir et al. 2022, Eq. 1).

    Departs from Restormer where EMMA's Restormer-CNN block does: the 3x3 after the 1x1 is a full convolution, not a
    depth-wise one. q and k are divided by their norms after the product, which is the same and saves two passes over
    the pixels; all heads share one product whose off-head entries are masked.
    """

    heads: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        b, h, w, c = x.shape
        if c % self.heads:
            raise ValueError(f"{c} channels cannot be split into {self.heads} heads; use a divisor of {c}.")
        qkv = Pointwise(3 * c, self.dtype, name="qkv")(x)
        qkv = Conv3x3(3 * c, padding="constant", dtype=self.dtype, name="qkv_mix")(qkv)
        q, k, v = (t.reshape(b, h * w, c) for t in jnp.split(qkv, 3, axis=-1))
        scale = self.param("scale", nn.initializers.ones, (self.heads,))
        correlation = jnp.einsum("bpc,bpd->bcd", q, k, preferred_element_type=jnp.float32)
        logits = correlation * inverse_norm(q)[:, :, None] * inverse_norm(k)[:, None, :]
        logits = logits * jnp.repeat(scale, c // self.heads)[:, None]
        same_head = np.kron(np.eye(self.heads), np.ones((c // self.heads,) * 2)).astype(bool)
        attention = jax.nn.softmax(jnp.where(same_head, logits, -jnp.inf), axis=-1).astype(self.dtype)
        y = jnp.einsum("bcd,bpd->bpc", attention, v).reshape(b, h, w, c)
        return Pointwise(c, self.dtype, name="out")(y)


def inverse_norm(x: Float[Array, "b p c"]) -> Float[Array, "b c"]:
    """1 / max(|x|, 1e-12) over the pixels, in float32, with a finite gradient at x = 0."""
    squares = jnp.sum(jnp.square(x.astype(jnp.float32)), axis=1)
    return jax.lax.rsqrt(jnp.maximum(squares, 1e-24))


class GatedFeedForward(nn.Module):
    """1x1 to twice the width, 3x3 within channel pairs, exact GELU gate, 1x1 back (EMMA's form of Restormer's GDFN)."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        y = Pointwise(2 * x.shape[-1], self.dtype, name="expand")(x)
        y = PairedConv3x3(self.dtype, name="mix")(y)
        gate, value = jnp.split(y, 2, axis=-1)
        return Pointwise(x.shape[-1], self.dtype, name="reduce")(jax.nn.gelu(gate, approximate=False) * value)


class ResidualConvs(nn.Module):
    """x + conv3x3(ReLU(conv3x3(x))), with biases and reflect padding."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        y = Conv3x3(x.shape[-1], use_bias=True, dtype=self.dtype, name="conv1")(x)
        return x + Conv3x3(x.shape[-1], use_bias=True, dtype=self.dtype, name="conv2")(jax.nn.relu(y))


class UpsampleConv(nn.Module):
    """Transposed 4x4 convolution, stride 2, padding 1 (PyTorch's convention), without bias.

    Computed as one 2x2 convolution per output phase on the small grid: a convolution over a zero-interleaved input
    multiplies three zeros for every value (three times slower on CPU here).
    Parameter `kernel` is [4, 4, in, out] in PyTorch's order of taps.
    """

    features: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b 2*h 2*w o"]:
        b, h, w, c = x.shape
        kernel = self.param("kernel", kernel_init, (4, 4, c, self.features)).astype(self.dtype)
        x = pad_one(x.astype(self.dtype), "constant")
        rows = []
        for i in range(2):
            phases = [convolve(x[:, i : i + h + 1, j : j + w + 1], kernel[3 - i :: -2, 3 - j :: -2]) for j in range(2)]
            rows.append(jnp.stack(phases, axis=3))
        return jnp.stack(rows, axis=2).reshape(b, 2 * h, 2 * w, self.features)
