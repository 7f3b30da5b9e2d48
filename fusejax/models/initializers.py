"""Random initial parameters that models share."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array


def kernel_init(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
    """Draws a kernel: uniform, variance 1 / (3 fan_in).

    The same numbers as `variance_scaling(1 / 3, "fan_in", "uniform")` of JAX, whose generator gives
    the n-th number of a key whatever the shape: so one of a few lengths is drawn and cut. Outside
    of `jax.jit`, only the lengths are compiled, not every shape (AngularFuse: 5 instead of 28
    programs, which take 0.3 s each).

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
    numbers = jax.random.uniform(key, (length,), dtype, -1.0)
    if not isinstance(numbers, Tracer):
        numbers = np.asarray(numbers)  # NumPy cuts it without compiling anything
    variance = np.asarray(shape[-1] / size / 3, dtype)
    return jnp.asarray(numbers[:size].reshape(shape) * np.sqrt(3 * variance))
