"""Float32 arithmetic that the metrics share: exact 8-bit levels, sums that keep their digits, finite slopes."""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from fusejax.ops.backend import by_platform

# x / 255 * 255 in float32 misses the integer by at most two roundings: 2 * 2**-24 * 255 = 3.04e-5 levels.
_SNAP = 4e-5


def to_levels(x: Float[Array, "b h w 1"]) -> Float[Array, "b h w"]:
    """Pixels in [0, 1] as grey levels in [0, 255], the scale of every toolkit.

    Values within 4e-5 levels of an integer become that integer, so an 8-bit picture gives exact integers (its gradients
    are then exactly zero where it is flat); all others pass unchanged. The derivative is 255 everywhere.
    """
    levels = x[..., 0] * 255.0
    correction = jnp.round(levels) - levels
    return levels + lax.stop_gradient(jnp.where(jnp.abs(correction) < _SNAP, correction, 0.0))


def quantise(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Rounds [0, 1] to the 256 levels of an 8-bit file (half to even, as `np.round`) and clips. Slope zero."""
    return jnp.clip(jnp.round(x * 255.0), 0.0, 255.0) / 255.0


def _stretch_table() -> np.ndarray:
    """New level for every (span, level above the lowest): level / span * 255 in float64, half away from zero."""
    span, level = np.maximum(np.arange(256), 1)[:, None], np.arange(256)[None, :]
    return np.floor(np.minimum(level / span, 1.0) * 255.0 + 0.5).astype(np.float32)


_STRETCH = _stretch_table()


def stretch(levels: Float[Array, "b h w"]) -> Float[Array, "b h w"]:
    """Min-max stretch of 8-bit levels to 0..255, rounded: what VIFB does to each picture before it scores.

    A table, because whether a level lands on a half depends on float64 rounding, which float32 cannot repeat.
    A constant picture becomes zero; the Matlab code divides by zero there. Levels that are not whole are rounded first.
    """
    levels = jnp.round(levels).astype(jnp.int32)
    low, high = levels.min((1, 2), keepdims=True), levels.max((1, 2), keepdims=True)
    return jnp.asarray(_STRETCH).reshape(-1)[(high - low) * 256 + (levels - low)]


def picture_sum(x: Float[Array, "*b h w"]) -> Float[Array, "*b"]:
    """Sum over a picture in four short stages; relative error about 1e-7 where one float32 sum would lose 1e-5.

    The barriers keep XLA from merging the stages back into one long sum. Every stage keeps 32 columns side by side: its
    CPU backend sums whole columns of a single picture five times more slowly.
    """
    rows = lax.optimization_barrier(_folded(x).sum(axis=-2))
    groups = lax.optimization_barrier(_folded(rows.swapaxes(-1, -2)).sum(axis=-2))
    return lax.optimization_barrier(groups.sum(axis=-2)).sum(axis=-1)


def _folded(x: Float[Array, "*b n"]) -> Float[Array, "*b m 32"]:
    """The last axis in pieces of 32, zeros filling the last one."""
    padded = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, -x.shape[-1] % 32)])
    return padded.reshape(*x.shape[:-1], -1, 32)


def picture_mean(x: Float[Array, "*b h w"]) -> Float[Array, "*b"]:
    """Mean over a picture; the picture must not be empty."""
    return picture_sum(x) / (x.shape[-2] * x.shape[-1])


def isolate_on_cpu(function: Callable[..., Any], *args: Array) -> Any:
    """function(*args) as a block of its own for XLA's CPU backend, which does not fuse across a conditional.

    In straight-line code XLA folds the first pass of a separable window into every tap of the second one and computes
    it a dozen times, and it keeps the intermediate maps of independent metrics alive at the same time. The barrier
    hides that the condition is always true. Other backends get the plain function.
    """
    jitted = jax.jit(function)  # traced once, for its shapes and its code

    def isolated(*args: Array) -> Any:
        shapes = jax.eval_shape(jitted, *args)

        def never(*_: Array) -> Any:
            return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)

        return lax.cond(lax.optimization_barrier(jnp.bool_(True)), jitted, never, *args)

    return by_platform(*args, cpu=isolated, accelerator=function)


def divide(numerator: Float[Array, "*shape"], denominator: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The quotient, NaN where the denominator is zero, with gradient zero (not NaN) there."""
    defined = denominator != 0
    return jnp.where(defined, numerator / jnp.where(defined, denominator, 1.0), jnp.nan)


def safe_sqrt(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Square root of a non-negative array whose slope at zero is zero instead of infinite."""
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1.0)), 0.0)


def undefined(x: Float[Array, "b h w"]) -> Float[Array, " b"]:
    """NaN for every picture: the metric has no value at this size."""
    return jnp.full(x.shape[0], jnp.nan, x.dtype)


def centred(x: Float[Array, "b h w"]) -> Float[Array, "b h w"]:
    """The picture minus its mean; exactly zero for a constant picture, hence the detour over its first pixel."""
    x = x - x[:, :1, :1]
    return x - picture_mean(x)[:, None, None]


def pearson(x: Float[Array, "b h w"], y: Float[Array, "b h w"]) -> Float[Array, " b"]:
    """Correlation coefficient of two pictures in [-1, 1]; NaN where one of them is constant."""
    x, y = centred(x), centred(y)
    return divide(picture_sum(x * y), safe_sqrt(picture_sum(x * x)) * safe_sqrt(picture_sum(y * y)))


def combined(values: Float[Array, "n b"], how: Literal["sum", "mean"]) -> Float[Array, " b"]:
    """Joins the values for the n sources."""
    return values.sum(0) if how == "sum" else values.mean(0)
