"""A network that is small enough to compile quickly, for tests of everything around it, and random
parameters of any network.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from fusejax.inference.extent import without_remat
from fusejax.models import LightConfig, build
from fusejax.weights.files import save_weights

# The one that compiles fastest, by far: a sixth of the smallest AngularFuse's time for every size.
TINY = LightConfig(width=4, blocks=1)


@functools.cache
def tiny_params():
    """Its random parameters."""
    return random_params(build(TINY), seed=0)


def save_tiny_weights(folder):
    """Writes the parameters and returns the path of the file."""
    path = folder / "tiny.safetensors"
    save_weights(path, tiny_params(), TINY, {})
    return str(path)


def network_and_params(config, seed=0):
    """The network, with `random_params`."""
    model = build(without_remat(config))
    return model, random_params(model, seed)


def random_params(model, seed):
    """Parameters away from 0 and 1, so that every term has an effect; kernels keep the variance of
    their input.
    """
    pair = jax.ShapeDtypeStruct((1, 16, 16, 1), jnp.float32)
    shapes = jax.eval_shape(model.init, jax.random.key(0), pair, pair)["params"]
    rng = np.random.default_rng(seed)

    def draw(path, x):
        kernel = path[-1].key == "kernel"
        noise = rng.standard_normal(x.shape) * (0.8 / np.sqrt(np.prod(x.shape[:-1])) if kernel else 0.1)
        return jnp.asarray(noise + (path[-1].key == "scale"), jnp.float32)

    return jax.tree_util.tree_map_with_path(draw, shapes)
