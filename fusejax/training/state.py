"""What a run carries from step to step."""

import functools
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding

from fusejax.training.optim import init_optimizer


@flax.struct.dataclass
class TrainState:
    """Step counter (int32 scalar), parameters and optimiser state. Fields stay `Any`: trees of shapes pass through."""

    step: Any
    params: Any
    opt_state: Any


def create_state(model: nn.Module, key: jax.Array, *, by_module: bool, sharding: NamedSharding) -> TrainState:
    """Initial state, created where it will live: no device ever holds a copy that it does not keep."""

    return jax.jit(functools.partial(_init, model, by_module=by_module), out_shardings=sharding)(key)


def abstract_state(model: nn.Module, *, by_module: bool, sharding: NamedSharding) -> TrainState:
    """Shapes, types and shardings of the state; computes nothing. The target that a checkpoint is restored into."""
    shapes = jax.eval_shape(functools.partial(_init, model, by_module=by_module), jax.random.key(0))
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), shapes)


def _init(model: nn.Module, key: jax.Array, *, by_module: bool) -> TrainState:
    pair = jnp.zeros((1, 8, 8, 1))
    params = model.init(key, pair, pair)["params"]
    return TrainState(jnp.zeros((), jnp.int32), params, init_optimizer(params, by_module=by_module))
