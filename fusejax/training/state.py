"""What a run carries from step to step."""

from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax.sharding import NamedSharding


@flax.struct.dataclass
class TrainState:
    """Step counter (int32 scalar), parameters and optimiser state. Fields stay `Any`: trees of shapes pass through."""

    step: Any
    params: Any
    opt_state: Any


def create_state(
    model: nn.Module, tx: optax.GradientTransformation, key: jax.Array, *, sharding: NamedSharding
) -> TrainState:
    """Initial state, created where it will live: no device ever holds a copy that it does not keep."""

    def init(key):
        dummy = jnp.zeros((1, 8, 8, 1))
        params = model.init(key, dummy, dummy)["params"]
        return TrainState(jnp.zeros((), jnp.int32), params, tx.init(params))

    return jax.jit(init, out_shardings=sharding)(key)


def abstract_state(model: nn.Module, tx: optax.GradientTransformation, *, sharding: NamedSharding) -> TrainState:
    """Shapes, types and shardings of the state; computes nothing. The target that a checkpoint is restored into."""

    def init():
        dummy = jnp.zeros((1, 8, 8, 1))
        params = model.init(jax.random.key(0), dummy, dummy)["params"]
        return TrainState(jnp.zeros((), jnp.int32), params, tx.init(params))

    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), jax.eval_shape(init))
