"""The programs of a configuration, for training and `fusejax plan`: shapes, shardings, steps."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jax.stages import Wrapped

from fusejax.config import TrainConfig
from fusejax.losses import check_objective
from fusejax.models import build
from fusejax.ops.backend import quick_compilation, step_compilation
from fusejax.training.sharding import (
    batch_sharding,
    check_batch_size,
    place_state,
    replicated,
    shard_over_batch,
    state_sharding,
)
from fusejax.training.stages import Stage
from fusejax.training.state import TrainState, abstract_state, first_state, init_params
from fusejax.training.step import train_step
from fusejax.typing import Params
from fusejax.weights.files import load_weights


class Program:
    """A configuration on a mesh.

    Args:
        config: the experiment.
        mesh: mesh of its devices.

    Raises:
        ValueError: if the batch does not divide evenly over the devices, an objective needs
            something the network does not provide, or a stage trains a module that the network does
            not have.
    """

    def __init__(self, config: TrainConfig, mesh: Mesh):
        check_batch_size(config.batch_size, mesh.size * config.micro_batches)
        self.config, self.mesh, self.model = config, mesh, build(config.model)
        for stage in config.stages:
            check_objective(
                stage.objective,
                model=type(self.model).__name__,
                provides=self.model.provides,
                boxes=config.data.max_boxes > 0,
            )
        self.batch_sharding, self._platform = batch_sharding(mesh), mesh.devices.flat[0].platform
        place = functools.partial(state_sharding, mesh=mesh, min_sharded=config.mesh.min_sharded)
        self.target = abstract_state(self._init, place)
        self._shardings = jax.tree.map(lambda x: x.sharding, self.target)
        self._gather = jax.jit(lambda tree: tree, out_shardings=replicated(mesh))
        for stage in config.stages:
            if unknown := [name for name in stage.trains if name not in self.target.params]:
                known = ", ".join(self.target.params)
                raise ValueError(f"Stage {stage.name!r} trains {', '.join(unknown)}; the network has {known}.")

    def _init(self, key: jax.Array) -> TrainState:
        return self._first_state(init_params(self.model, key))

    def _first_state(self, params: Params) -> TrainState:
        return first_state(params, by_module=self.config.optimize_by_module, averaged=self.config.average_decay > 0)

    def create(self) -> TrainState:
        """Creates the initial state, sharded.

        Parameters are random, or read from the weights from which the configuration starts. Every
        process makes all of them on its own and keeps the parts of its devices.

        Raises:
            ValueError: if there are no such weights, or they belong to another network.
        """
        if self.config.start_from:
            params, model, _ = load_weights(self.config.start_from)
            if model != self.config.model:
                raise ValueError(f"start_from {self.config.start_from} has {model}; this trains {self.config.model}.")
        else:
            with jax.default_device(jax.local_devices()[0]):
                params = init_params(self.model, jax.random.key(self.config.seed))
        params = place_state(params, self._shardings.params)
        lowered = jax.jit(self._first_state, out_shardings=self._shardings, donate_argnums=0).lower(params)
        return lowered.compile(compiler_options=quick_compilation(self._platform))(params)

    def key(self) -> jax.Array:
        """The random key into which steps fold their number, on all devices of all processes."""
        draw = jax.jit(
            lambda: jax.random.fold_in(jax.random.key(self.config.seed), 1), out_shardings=replicated(self.mesh)
        )
        return draw()

    def step(self, stage: Stage, *, steps: int = 1) -> Wrapped:
        """Makes the jitted training step of a stage; its argument `state` is donated.

        Args:
            stage: stage of the steps.
            steps: number of steps per call. If there is more than one, batches and logs are stacked
                along a new first axis.

        Returns:
            (state, batch, key) -> (state, logs).
        """

        def outputs(params, ir, vi_y):
            return self.model.apply({"params": params}, ir, vi_y, method="outputs")

        step = functools.partial(
            train_step,
            outputs_fn=shard_over_batch(outputs, self.mesh, self.config.mesh.min_sharded),
            stage=stage,
            by_module=self.config.optimize_by_module,
            micro_batches=self.config.micro_batches,
            average_decay=self.config.average_decay,
            skip_non_finite=self.config.non_finite == "skip",
        )
        if steps > 1:
            step = functools.partial(_take_steps, step, steps)
        return jax.jit(
            step,
            donate_argnums=0,
            out_shardings=(self._shardings, replicated(self.mesh)),
            compiler_options=step_compilation(self._platform),
        )

    def to_host(self, params: Params) -> Params:
        """Copies parameters that may be spread over processes; all processes must call this.

        Args:
            params: parameters on the mesh.

        Returns:
            The same tree of NumPy arrays.
        """
        return jax.device_get(self._gather(params))

    def abstract_batch(self, *, steps: int = 1) -> dict[str, Any]:
        """Shapes, types and shardings of a global batch from `fusejax.data.pipeline`.

        Args:
            steps: number of batches; more than one are stacked along a new first axis.

        Returns:
            `jax.ShapeDtypeStruct` of each array by its name.
        """
        config, data = self.config, self.config.data
        shapes = dict.fromkeys(("ir", "vi_y", "ir_input", "vi_input"), ((data.crop, data.crop, 1), jnp.float32))
        if data.max_boxes:
            shapes |= {"boxes": ((data.max_boxes, 4), jnp.float32), "boxes_valid": ((data.max_boxes,), jnp.bool_)}
        sharding = batch_sharding(self.mesh, stacked=steps > 1)
        leading = (config.batch_size,) if steps == 1 else (steps, config.batch_size)
        return {
            name: jax.ShapeDtypeStruct((*leading, *shape), dtype, sharding=sharding)
            for name, (shape, dtype) in shapes.items()
        }


def _take_steps(step: Callable, steps: int, state: TrainState, batches: dict, key: jax.Array) -> tuple:
    """Runs `step` for each of the stacked batches, in a loop on the device."""
    return jax.lax.scan(lambda state, batch: step(state, batch, key), state, batches, length=steps)
