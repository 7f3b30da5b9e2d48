"""The state that a run carries from step to step."""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
from jax.extend.core import jaxpr_as_fun
from jax.interpreters.partial_eval import dce_jaxpr
from jax.sharding import Sharding

from fusejax.training.optim import init_optimizer
from fusejax.typing import Params


@flax.struct.dataclass
class TrainState:
    """The state of a run. Fields are `Any`, because trees of shapes pass through as well.

    Attributes:
        step: int32 scalar, number of steps taken.
        params: the network's parameters.
        opt_state: Adam's state of every group of parameters.
        average: exponential moving average of the parameters; an empty dict if none is kept.
        skipped: int32 scalar, number of steps that were not finite and changed nothing.
    """

    step: Any
    params: Any
    opt_state: Any
    average: Any
    skipped: Any

    @property
    def scored(self) -> Any:
        """The parameters that are scored and exported: the average if there is one."""
        return self.average or self.params


def first_state(params: Params, *, by_module: bool, averaged: bool) -> TrainState:
    """The state before the first step."""
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        opt_state=init_optimizer(params, by_module=by_module),
        average=jax.tree.map(jnp.copy, params) if averaged else {},
        skipped=jnp.zeros((), jnp.int32),
    )


def init_params(model: nn.Module, key: jax.Array) -> Params:
    """Initializes a network that is called with infrared and visible luma.

    Traces the network and runs only the parameter initializers, outside of `jax.jit`. This avoids
    compiling one program per kernel shape (see `kernel_init` in `fusejax.models.initializers`).

    Args:
        model: the network.
        key: random key.

    Returns:
        Nested parameters by the names of the submodules.
    """
    traced = _init.trace(model, key)  # JAX keeps it for the next call
    drawn, _ = dce_jaxpr(traced.jaxpr.jaxpr, [True] * len(traced.jaxpr.out_avals), instantiate=True)
    arrays = jaxpr_as_fun(traced.jaxpr.replace(jaxpr=drawn))(key)
    return jax.tree.unflatten(jax.tree.structure(traced.out_info), arrays)


@functools.partial(jax.jit, static_argnums=0)
def _init(model: nn.Module, key: jax.Array) -> Params:
    luma = jnp.zeros((1, 8, 8, 1))
    return model.init(key, luma, luma)["params"]


def abstract_state(init: Callable[[jax.Array], TrainState], sharding: Callable[[tuple], Sharding]) -> TrainState:
    """Shapes, types and shardings of the state that `init` makes from a key; computes nothing.

    The target that a checkpoint is restored into.

    Args:
        init: from a key to the state.
        sharding: from an array's shape to its sharding.
    """
    shapes = jax.eval_shape(init, jax.random.key(0))
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding(x.shape)), shapes)
