"""Float32 arithmetic for the metrics: exact 8-bit levels, accurate sums, finite gradients."""

import functools
import operator
from collections.abc import Callable, Iterable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from fusejax.ops.backend import by_platform
from fusejax.ops.extent import Size, masked

# x / 255 * 255 in float32 is off by at most two roundings: 2 * 2**-24 * 255 = 3.04e-5 levels.
_SNAP = 4e-5


def to_levels(x: Float[Array, "b h w 1"]) -> Float[Array, "b h w"]:
    """Converts pixels to gray levels, the scale of every toolkit.

    Values within 4e-5 levels of an integer become that integer, so that an 8-bit image gives exact
    integers, and its gradients are exactly zero where it is flat. All other values are not rounded.
    The derivative is 255 everywhere.

    Args:
        x: luma in [0, 1].

    Returns:
        Levels in [0, 255].
    """
    levels = x[..., 0] * 255.0
    correction = jnp.round(levels) - levels
    return levels + lax.stop_gradient(jnp.where(jnp.abs(correction) < _SNAP, correction, 0.0))


def quantize(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Rounds to the 256 levels of an 8-bit file (half to even, as `np.round`) and clips.

    Args:
        x: values in [0, 1].

    Returns:
        The nearest n / 255; the gradient is zero.
    """
    return jnp.clip(jnp.round(x * 255.0), 0.0, 255.0) / 255.0


def _stretch_table() -> np.ndarray:
    """New level for every (span, level - lowest): level / span * 255 in float64, half up."""
    span, level = np.maximum(np.arange(256), 1)[:, None], np.arange(256)[None, :]
    return np.floor(np.minimum(level / span, 1.0) * 255.0 + 0.5).astype(np.float32)


_STRETCH = _stretch_table()


def stretch(levels: Float[Array, "b h w"], size: Size) -> Float[Array, "b h w"]:
    """Min-max stretch of 8-bit levels to 0..255, rounded, which VIFB first applies to each image.

    It uses a table, because whether a level falls on a half depends on float64 rounding, which
    float32 cannot reproduce. A constant image becomes zero; the Matlab code divides by zero there.

    Args:
        levels: levels in [0, 255]; rounded first if they are not integers.
        size: size of the images.

    Returns:
        Integer levels from 0 to 255; zero beyond the images.
    """
    levels = jnp.round(levels)
    low = masked(levels, size, 255.0).min((1, 2), keepdims=True).astype(jnp.int32)
    high = masked(levels, size).max((1, 2), keepdims=True).astype(jnp.int32)
    index = (high - low) * 256 + (levels.astype(jnp.int32) - low)
    return masked(jnp.asarray(_STRETCH).reshape(-1)[index], size)


def image_sum(x: Float[Array, "*b h w"], size: Size | None = None) -> Float[Array, "*b"]:
    """Sum over an image in four short stages.

    The relative error is about 1e-7, whereas a single float32 sum would have 1e-5. The barriers
    keep XLA from merging the stages into one long sum. Every stage keeps 32 columns side by side,
    because XLA sums whole columns of a single image five times more slowly on CPU.

    Args:
        x: one image or any number of them.
        size: size of the images, whose arrays may be larger; by default that of the arrays.

    Returns:
        One sum per image.
    """
    x = x if size is None else masked(x, size)
    rows = lax.optimization_barrier(_folded(x).sum(axis=-2))
    groups = lax.optimization_barrier(_folded(rows.swapaxes(-1, -2)).sum(axis=-2))
    return lax.optimization_barrier(groups.sum(axis=-2)).sum(axis=-1)


def _folded(x: Float[Array, "*b n"]) -> Float[Array, "*b m 32"]:
    """Splits the last axis into pieces of 32, the last of which is padded with zeros."""
    padded = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, -x.shape[-1] % 32)])
    return padded.reshape(*x.shape[:-1], -1, 32)


def image_mean(x: Float[Array, "*b h w"], size: Size | None = None) -> Float[Array, "*b"]:
    """Mean over an image, see `image_sum`.

    Args:
        x: one image or any number of them, not empty.
        size: see `image_sum`.

    Returns:
        One mean per image.
    """
    height, width = size or x.shape[-2:]
    return image_sum(x, size) / (height * width)


def pixel_mean(x: Float[Array, "*b h w c"]) -> Float[Array, "*b"]:
    """Mean over the pixels of every image, computed as a product with ones.

    On CPU, XLA computes the operand of a sum inside the sum's loop, which it does not vectorize:
    Qabf's forward pass takes 20 ms for 8x128x128 with `.mean()` and 1.2 ms this way.

    Args:
        x: a term at every pixel, not empty.

    Returns:
        One mean per image.
    """
    pixels = x.reshape(*x.shape[:-3], -1)
    ones = jnp.ones(pixels.shape[-1], x.dtype)
    return jnp.matmul(pixels, ones, precision=lax.Precision.HIGHEST) / pixels.shape[-1]


def isolate_on_cpu(function: Callable[..., Any], *args: Any) -> Any:
    """Calls `function(*args)` inside a conditional, a block that XLA does not fuse with others on
    CPU.

    In straight-line code, XLA folds the first pass of a separable window into every tap of the
    second pass, computing it a dozen times, and keeps the intermediate maps of independent metrics
    alive at the same time. The barrier hides the fact that the condition is always true. Other
    backends call the function directly.

    Args:
        function: maps arrays to a tree of arrays.
        *args: arrays, or trees of them.

    Returns:
        The result of the function.
    """
    jitted = jax.jit(function)  # traced once, for its shapes and its code

    def isolated(*args: Any) -> Any:
        shapes = jax.eval_shape(jitted, *args)

        def never(*_: Any) -> Any:
            return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)

        return lax.cond(lax.optimization_barrier(jnp.bool_(True)), jitted, never, *args)

    return by_platform(*args, cpu=isolated, accelerator=function)


def with_forward_gradient(term: Callable[..., Array]) -> Callable[..., Array]:
    """Computes the gradient in the forward pass and stores it for the backward pass.

    Autodiff would keep every intermediate map for the backward pass, and on CPU, XLA computes each
    one from scratch. One map suffices because the value of an image depends only on its own pixels.

    Args:
        term: maps a tree of arrays [b, ...] and further trees to one value per image [b].

    Returns:
        The same function, for reverse-mode differentiation. Gradients with respect to the
        further arguments are also exact, and computed when needed.
    """

    def value_and_gradient(x: Any, *rest: Any) -> tuple[Array, Any]:
        value, backward = jax.vjp(lambda x: term(x, *rest), x)
        return value, backward(jnp.ones_like(value))[0]

    def forward(x: Any, *rest: Any) -> tuple[Array, Any]:
        value, gradient = isolate_on_cpu(value_and_gradient, x, *rest)
        return value, (gradient, x, rest)

    def backward(saved: Any, cotangent: Array) -> tuple[Any, ...]:
        gradient, x, rest = saved
        _, along_rest = jax.vjp(lambda *rest: term(x, *rest), *rest)
        scaled = jax.tree.map(lambda s: s * cotangent.reshape(-1, *[1] * (s.ndim - 1)), gradient)
        return scaled, *along_rest(cotangent)

    value = jax.custom_vjp(term)
    value.defvjp(forward, backward)
    return value


def sum_arrays(parts: Iterable[Array]) -> Array:
    """Adds arrays one after the other, without the initial zero of Python's `sum`.

    Args:
        parts: one or more arrays.

    Returns:
        Their sum.
    """
    return functools.reduce(operator.add, parts)


def divide(numerator: Float[Array, "*shape"], denominator: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Quotient that is NaN, with gradient zero (not NaN), where the denominator is zero.

    Args:
        numerator: any values.
        denominator: any values.

    Returns:
        The quotient.
    """
    defined = denominator != 0
    return jnp.where(defined, numerator / jnp.where(defined, denominator, 1.0), jnp.nan)


def safe_sqrt(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Square root whose gradient at zero is zero instead of infinite.

    Args:
        x: non-negative values.

    Returns:
        The root.
    """
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1.0)), 0.0)


def undefined(x: Float[Array, "b h w"]) -> Float[Array, " b"]:
    """NaN for every image, for a metric that is undefined at this size.

    Args:
        x: the images.

    Returns:
        One NaN per image.
    """
    return jnp.full(x.shape[0], jnp.nan, x.dtype)


def centered(x: Float[Array, "b h w"], size: Size) -> Float[Array, "b h w"]:
    """Subtracts the mean of each image; the result is exactly zero for constant images.

    Args:
        x: any values; the first pixel is subtracted first, so that a constant leaves no rounding.
        size: size of the images.

    Returns:
        Images with mean zero; zero beyond them.
    """
    x = x - x[:, :1, :1]
    return masked(x - image_mean(x, size)[:, None, None], size)


def pearson(x: Float[Array, "b h w"], y: Float[Array, "b h w"], size: Size) -> Float[Array, " b"]:
    """Correlation coefficient of two images.

    Args:
        x: any values.
        y: any values, same shape.
        size: size of the images.

    Returns:
        The coefficient in [-1, 1]; NaN if one of the images is constant.
    """
    x, y = centered(x, size), centered(y, size)
    return divide(image_sum(x * y), safe_sqrt(image_sum(x * x)) * safe_sqrt(image_sum(y * y)))


def combined(values: Float[Array, "n b"], how: Literal["sum", "mean"]) -> Float[Array, " b"]:
    """Combines the values for the n sources.

    Args:
        values: one row per source.
        how: sum, or mean.

    Returns:
        One value per image.
    """
    return values.sum(0) if how == "sum" else values.mean(0)
