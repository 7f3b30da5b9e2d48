"""Random initial parameters that models share."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array


def kernel_init(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
    """Draws a kernel: uniform, variance 1 / (3 fan_in).

    The numbers are those of `variance_scaling(1 / 3, "fan_in", "uniform")` of JAX. JAX's generator
    is independent of the shape, so one of a few lengths is drawn and cut. This limits the number of
    programs that are compiled outside of `jax.jit`.

    Args:
        key: random key.
        shape: the kernel's, output channels last.
        dtype: type of the numbers.

    Returns:
        The kernel.
    """
    size = math.prod(shape)
    length = 1024
    while length < size:
        length *= 4
    variance = np.asarray(shape[-1] / size / 3, dtype)
    return _cut(jax.random.uniform(key, (length,), dtype, -1.0), jnp.asarray(np.sqrt(3 * variance)), shape)


@functools.partial(jax.jit, static_argnums=2)
def _cut(numbers: Array, bound: Array, shape: tuple[int, ...]) -> Array:
    return numbers[: math.prod(shape)].reshape(shape) * bound
