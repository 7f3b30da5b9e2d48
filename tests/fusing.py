"""A network that is small enough to compile quickly, for tests of everything around it."""

import functools

import jax
import jax.numpy as jnp

from fusejax.models import AngularFuseConfig, build
from fusejax.weights.files import save_weights

TINY = AngularFuseConfig(widths=(2, 4), heads=None, residual_blocks=1)


@functools.cache
def tiny_params():
    """Its random parameters."""
    pair = jnp.zeros((1, 8, 8, 1))
    return jax.jit(build(TINY).init)(jax.random.key(0), pair, pair)["params"]


def save_tiny_weights(folder):
    """Writes the parameters and returns the path of the file."""
    path = folder / "tiny.safetensors"
    save_weights(path, tiny_params(), TINY, {})
    return str(path)
