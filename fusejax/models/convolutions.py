"""Dense convolutions that models share, in forms that are fast on CPU and on accelerators.

Parameters are float32; `dtype` is the type of the arithmetic. Kernels are initialized like those of
PyTorch's convolutions (uniform, variance 1 / (3 fan_in)), biases with zero.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import max_dim, min_dim
from jaxtyping import Array, Float

from fusejax.models.initializers import kernel_init
from fusejax.onednn import convolution as onednn
from fusejax.ops.backend import by_platform, runs_on_this_cpu

NHWC = ("NHWC", "HWIO", "NHWC")


def convolve(x: Float[Array, "b h w c"], kernel: Float[Array, "kh kw c o"], *, stride: int = 1) -> Array:
    """Cross-correlation without padding.

    For a program that runs on this machine's CPU, oneDNN computes it where it is installed
    (`fusejax.onednn.convolution`).

    Otherwise XLA's CPU backend hands unpadded convolutions to a library that runs them on one
    thread and, from 24 channels on, three to seven times slower than XLA's own code (24 -> 24
    channels at 8x128x128: 66 ms, padded 11 ms; backward 112 and 55 ms). So one column of zeros is
    added there and cut off again.

    Args:
        x: features.
        kernel: to correlate them with, not flipped.
        stride: in pixels, for both axes.

    Returns:
        Features [b, (h - kh) // stride + 1, (w - kw) // stride + 1, o].
    """
    if runs_on_this_cpu() and onednn.supports(x, kernel):
        return onednn.convolve(x, kernel, stride, (0, 0, 0, 0))
    cpu, accelerator = (functools.partial(form, stride=stride) for form in (_with_spare_column, _plain))
    return by_platform(x, kernel, cpu=cpu, accelerator=accelerator)


def _plain(x: Array, kernel: Array, *, stride: int, spare: int = 0) -> Array:
    return jax.lax.conv_general_dilated(x, kernel, (stride, stride), ((0, 0), (0, spare)), dimension_numbers=NHWC)


def _with_spare_column(x: Array, kernel: Array, *, stride: int) -> Array:
    columns = (x.shape[2] - kernel.shape[1]) // stride + 1
    return _plain(x, kernel, stride=stride, spare=1)[:, :, :columns]


def convolve_same(x: Float[Array, "b h w c"], kernel: Float[Array, "3 3 c o"], padding: str, stride: int) -> Array:
    """3x3 cross-correlation with one pixel of padding.

    Args:
        x: features.
        kernel: to correlate them with, not flipped.
        padding: `constant` (zero) or `reflect`.
        stride: in pixels, for both axes.

    Returns:
        Features [b, ceil(h / stride), ceil(w / stride), o].
    """
    if padding == "constant":
        if runs_on_this_cpu() and onednn.supports(x, kernel):
            return onednn.convolve(x, kernel, stride, (1, 1, 1, 1))
        return jax.lax.conv_general_dilated(x, kernel, (stride, stride), ((1, 1), (1, 1)), dimension_numbers=NHWC)
    return convolve(pad_one(x, padding), kernel, stride=stride)


def pad_one(x: Float[Array, "b h w c"], mode: str) -> Float[Array, "b h+2 w+2 c"]:
    """Adds a pixel on every side: `constant` (zero) or `reflect`, which repeats a single pixel."""
    if mode == "reflect" and not all(isinstance(side, int) for side in x.shape[1:3]):
        return _reflect_symbolic(x)
    return jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode=mode)


def _reflect_symbolic(x: Float[Array, "b h w c"]) -> Float[Array, "b h+2 w+2 c"]:
    """For sides that `jax.export` keeps free; `jnp.pad` wants a proof that they exceed 1."""
    for axis in (1, 2):
        side = x.shape[axis]
        positions = min_dim(1, side - 1), max_dim(side - 2, 0)
        first, last = (jax.lax.slice_in_dim(x, n, n + 1, axis=axis) for n in positions)
        x = jnp.concatenate([first, x, last], axis=axis)
    return x


class Conv3x3(nn.Module):
    """3x3 convolution of the channel-wise concatenation of its inputs.

    The concatenation is never built: a convolution is linear, so each input is convolved with its
    own slice of the kernel. On two CPU cores, forward and backward, 8 + 8 -> 8 channels at
    8x128x128 take 15 ms this way and 23 ms concatenated.

    Attributes:
        features: output channels.
        use_bias: whether a bias is added.
        padding: `constant` (zero) or `reflect`.
        stride: in pixels.
        dtype: type of the arithmetic.
    """

    features: int
    use_bias: bool = False
    padding: str = "reflect"
    stride: int = 1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, *inputs: Float[Array, "b h w _"], before: Float[Array, "i c"] | None = None, first: int = 0
    ) -> Float[Array, "b h2 w2 o"]:
        """Convolves.

        Args:
            *inputs: features.
            before: kernel of a 1x1 convolution of the inputs that comes first; see `compose`.
            first: first output channel that is computed.

        Returns:
            Features of the output's size.
        """
        widths = [x.shape[-1] for x in inputs]
        inner = sum(widths) if before is None else before.shape[-1]
        kernel = self.param("kernel", kernel_init, (3, 3, inner, self.features))
        kernel = jnp.asarray(kernel, self.dtype)[..., first:]
        if before is not None:
            kernel = compose(before.astype(self.dtype), kernel)
        slices = jnp.split(kernel, np.cumsum(widths)[:-1], axis=2)
        y = sum(
            convolve_same(x.astype(self.dtype), k, self.padding, self.stride)
            for x, k in zip(inputs, slices, strict=True)
        )
        if self.use_bias:
            y = y + self.param("bias", nn.initializers.zeros, (self.features,))[first:].astype(self.dtype)
        return y  # pyright: ignore[reportReturnType] - has an input, so never the initial 0 of sum()


class Pointwise(nn.Module):
    """1x1 convolution, as a product over the last axis.

    Attributes:
        features: output channels.
        dtype: type of the arithmetic.
        use_bias: whether a bias is added.
    """

    features: int
    dtype: Any = jnp.float32
    use_bias: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w o"]:
        kernel = self.param("kernel", kernel_init, (x.shape[-1], self.features))
        y = pointwise(x.astype(self.dtype), kernel.astype(self.dtype))
        if self.use_bias:
            y = y + self.param("bias", nn.initializers.zeros, (self.features,)).astype(self.dtype)
        return y


class SplitPointwise(nn.Module):
    """`Pointwise` without bias that returns its output in equal parts.

    The gradients of the parts are then never concatenated.

    Attributes:
        features: output channels of all parts together.
        parts: number of parts; divides `features`.
        dtype: type of the arithmetic.
    """

    features: int
    parts: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> list[Float[Array, "b h w _"]]:
        kernel = self.param("kernel", kernel_init, (x.shape[-1], self.features)).astype(self.dtype)
        return [pointwise(x.astype(self.dtype), part) for part in jnp.split(kernel, self.parts, axis=-1)]


def pointwise(x: Float[Array, "b h w c"], kernel: Float[Array, "c o"]) -> Float[Array, "b h w o"]:
    """x @ kernel with all pixels as one matrix.

    Otherwise the kernel's gradient contracts several axes at once, for which XLA's CPU backend uses
    plain loops (16 -> 48 channels at 8x64x64: forward and backward 2.8 ms, this way 0.8 ms).
    """
    return (x.reshape(-1, x.shape[-1]) @ kernel).reshape(*x.shape[:-1], -1)


class PointwiseKernel(nn.Module):
    """Only the kernel of a 1x1 convolution without bias, for `compose`.

    Attributes:
        features: output channels.
    """

    features: int

    @nn.compact
    def __call__(self, channels: int) -> Float[Array, "c o"]:
        return jnp.asarray(self.param("kernel", kernel_init, (channels, self.features)))


def compose(before: Float[Array, "i c"], kernel: Float[Array, "kh kw c o"]) -> Float[Array, "kh kw i o"]:
    """One kernel for a 1x1 convolution without bias followed by a convolution.

    Both are linear, and padding (zero or reflected) commutes with the first. From 8 channels to 24
    and from there to 24, at 8x128x128, one convolution from 8 to 24 takes 0.31 of the CPU time,
    forward and backward (oneDNN's: also 0.31; 16 channels at 8x64x64 0.39 and 0.44, 32 at 8x32x32
    0.39 and 0.41), and the features between the two are never stored.

    Args:
        before: kernel of the 1x1 convolution.
        kernel: kernel of the second convolution.

    Returns:
        The kernel of their composition.
    """
    return jnp.einsum("ic,hwco->hwio", before, kernel, precision=jax.lax.Precision.HIGHEST)


class PairedConv3x3(nn.Module):
    """3x3 convolution in groups of two channels, two in and two out, after a 1x1 convolution; both
    without bias, as one convolution.

    The kernel is spread over a dense block-diagonal one and composed with that of the 1x1
    convolution (`compose`). On CPU, XLA's grouped convolution is ten times slower than the dense
    one and nine shifted products are four times slower (26 ms against 100 ms forward and backward,
    16 channels at 8x128x128), and at these widths (16 to 64) a matrix unit has idle lanes anyway.

    Attributes:
        padding: `constant` (zero) or `reflect`.
        dtype: type of the arithmetic.
    """

    padding: str = "reflect"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w i"], *, before: Float[Array, "i o"]) -> Float[Array, "b h w o"]:
        groups = before.shape[-1] // 2
        kernel = self.param("kernel", kernel_init, (3, 3, 2, 2 * groups)).astype(self.dtype)
        same_group = np.kron(np.eye(groups), np.ones((2, 2)))
        dense = jnp.tile(kernel, (1, 1, groups, 1)) * jnp.asarray(same_group, self.dtype)
        return convolve_same(x.astype(self.dtype), compose(before.astype(self.dtype), dense), self.padding, 1)


class UpsampleConv(nn.Module):
    """Transposed 4x4 convolution, stride 2, padding 1 (PyTorch's convention), without bias.

    Computed as one 2x2 convolution per output phase on the small grid, because a convolution over a
    zero-interleaved input multiplies three zeros for every value (three times slower on CPU). The
    parameter `kernel` is [4, 4, in, out] in PyTorch's order of taps.

    Attributes:
        features: output channels.
        dtype: type of the arithmetic.
    """

    features: int
    dtype: Any = jnp.float32

    padding = "constant"

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
