"""The state that a run carries from step to step."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
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

    Outside of `jax.jit`, parameters are drawn one after the other, so that few programs are
    compiled (see `kernel_init` in `fusejax.models.initializers`): for AngularFuse's 347 arrays, 6 s
    of CPU time instead of 28 in one optimized program.

    Args:
        model: the network.
        key: random key.

    Returns:
        Nested parameters by the names of the submodules.
    """
    pair = jax.ShapeDtypeStruct((1, 8, 8, 1), jnp.float32)
    return model.lazy_init(key, pair, pair)["params"]


def abstract_state(init: Callable[[jax.Array], TrainState], sharding: Callable[[tuple], Sharding]) -> TrainState:
    """Shapes, types and shardings of the state that `init` makes from a key; computes nothing.

    The target that a checkpoint is restored into.

    Args:
        init: from a key to the state.
        sharding: from an array's shape to its sharding.
    """
    shapes = jax.eval_shape(init, jax.random.key(0))
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding(x.shape)), shapes)
