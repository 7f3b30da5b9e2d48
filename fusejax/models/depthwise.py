"""Depth-wise convolution, in a form that is fast on CPU and one for accelerators."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fusejax.models.convolutions import NHWC, pad_one
from fusejax.models.initializers import kernel_init
from fusejax.ops.backend import by_platform


class DepthwiseConv3x3(nn.Module):
    """3x3 convolution of every channel with its own kernel, without bias.

    Takes several inputs and returns one output for each; one kernel serves them as if they were
    concatenated. Pass split features as separate inputs: the gradient of a split is slow on CPU.

    Attributes:
        padding: `constant` (zero) or `reflect`.
        dtype: type of the arithmetic.
    """

    padding: str = "constant"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, *inputs: Float[Array, "b h w _"]) -> list[Float[Array, "b h w _"]]:
        widths = [x.shape[-1] for x in inputs]
        kernel = self.param("kernel", kernel_init, (3, 3, 1, sum(widths))).astype(self.dtype)
        kernels = jnp.split(kernel, np.cumsum(widths)[:-1], axis=-1)
        padded = [pad_one(x.astype(self.dtype), self.padding) for x in inputs]
        return [
            by_platform(x, k, cpu=lambda x, k: stencil(x, k[:, :, 0]), accelerator=_grouped)
            for x, k in zip(padded, kernels, strict=True)
        ]


def _grouped(x: Float[Array, "b h_padded w_padded c"], kernel: Float[Array, "3 3 1 c"]) -> Float[Array, "b h w c"]:
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "VALID", dimension_numbers=NHWC, feature_group_count=x.shape[-1]
    )


@jax.custom_vjp
def stencil(x: Float[Array, "b h_padded w_padded c"], kernel: Float[Array, "3 3 c"]) -> Float[Array, "b h w c"]:
    """Depth-wise 3x3 cross-correlation without padding, for CPU.

    Written as nine shifted products, which XLA fuses into one pass. XLA's grouped convolution is
    six times slower on CPU, and so is the kernel's gradient as nine reductions over whole arrays:
    it is summed over a few rows at a time instead.

    Args:
        x: features, already padded.
        kernel: one for each channel.

    Returns:
        The features without the padding.
    """
    h, w = x.shape[1] - 2, x.shape[2] - 2
    taps = [kernel[i, j] * x[:, i : i + h, j : j + w] for i in range(3) for j in range(3)]
    return sum(taps)  # pyright: ignore[reportReturnType] - nine arrays, so never the initial 0


def _stencil_forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return stencil(x, kernel), (x, kernel)


def _stencil_backward(saved: tuple[Array, Array], g: Array) -> tuple[Array, Array]:
    x, kernel = saved
    _, h, w, c = g.shape
    rows = max(n for n in range(1, 9) if h % n == 0)

    def add_rows(total: Array, top: Array) -> tuple[Array, None]:
        x_rows = jax.lax.dynamic_slice_in_dim(x, top, rows + 2, axis=1).astype(jnp.float32)
        g_rows = jax.lax.dynamic_slice_in_dim(g, top, rows, axis=1).astype(jnp.float32)
        taps = [(x_rows[:, i : i + rows, j : j + w] * g_rows).sum(axis=(0, 1, 2)) for i in range(3) for j in range(3)]
        return total + jnp.stack(taps), None

    taps, _ = jax.lax.scan(add_rows, jnp.zeros((9, c), jnp.float32), jnp.arange(0, h, rows))
    g_padded = jnp.pad(g, ((0, 0), (2, 2), (2, 2), (0, 0)))
    return stencil(g_padded, kernel[::-1, ::-1]), taps.reshape(3, 3, c).astype(kernel.dtype)


stencil.defvjp(_stencil_forward, _stencil_backward)
