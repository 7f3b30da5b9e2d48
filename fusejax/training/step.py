"""One training step as a pure function."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from fusejax.losses.objective import Progress, evaluate_objective, objective_inputs
from fusejax.training.optim import WHOLE, groups_of, learning_rate, update
from fusejax.training.stages import Stage
from fusejax.training.state import TrainState

Batch = dict[str, jax.Array]
Logs = dict[str, jax.Array]


def train_step(
    state: TrainState,
    batch: Batch,
    key: jax.Array,
    *,
    outputs_fn: Callable,
    stage: Stage,
    by_module: bool = False,
    micro_batches: int = 1,
    average_decay: float = 0.0,
    skip_non_finite: bool = False,
) -> tuple[TrainState, Logs]:
    """One training step. The loop compiles it with shardings and donates `state`.

    The network is given `ir_input` and `vi_input` (ComMask applied), the objective the clean `ir`
    and `vi_y`.

    Args:
        state: state before the step.
        batch: float32 [b, h, w, 1] each; with `boxes` [b, n, 4] and `boxes_valid` [b, n] if the
            data has them.
        key: random key of the whole run; the step is folded in, so that a resumed run draws the
            same numbers as an uninterrupted one.
        outputs_fn: (params, ir, vi_y) -> dict of the network's outputs.
        stage: stage with its objective, trained modules and learning rate.
        by_module: clip gradients and count updates separately for each top-level module.
        micro_batches: number of parts in which the batch is processed.
        average_decay: decay of the moving average of the parameters, reached after a warm-up: (1 +
            n) / (10 + n) at step n while that is less. Used if the state has an average.
        skip_non_finite: if the loss or gradient is not finite, the step changes only the counts.

    Returns:
        The state after the step, and logs as float32 scalars: loss, its parts, norms of gradient
        and parameters, learning rate (of each module), number of steps skipped so far.
    """
    key = jax.random.fold_in(key, state.step)
    stage_step = state.step - stage.start
    progress = Progress(
        stage_epoch=stage_step // stage.steps_per_epoch,
        run_epoch=state.step // stage.steps_per_epoch,
        stage_epochs=stage.steps / stage.steps_per_epoch,
    )
    groups = groups_of(state.params, by_module=by_module)
    trained = {name: groups[name] for name in stage.config.trains or groups}

    def loss_fn(trained, part):
        merged = groups | trained
        outputs = outputs_fn(merged if by_module else merged[WHOLE], part["ir_input"], part["vi_input"])
        given = objective_inputs(key, outputs, part)
        total, terms = evaluate_objective(stage.config.objective, given, progress)
        return total.mean(), {"loss": total.mean()} | {name: value.mean() for name, value in terms.items()}

    grads, logs = _accumulate(jax.grad(loss_fn, has_aux=True), trained, batch, micro_batches)
    config = stage.config.optim
    rate = learning_rate(config, steps=stage.steps, steps_per_epoch=stage.steps_per_epoch)
    updated, opt_state, rates = update(
        grads, state.opt_state, groups, stage_step=stage_step, clip_norm=config.clip_norm, rate=rate
    )
    logs["grad_norm"] = optax.tree.norm(grads)
    logs |= {"learning_rate" if name == WHOLE else f"learning_rate_{name}": r for name, r in rates.items()}
    params = updated if by_module else updated[WHOLE]
    average = state.average
    logs["param_norm"] = optax.tree.norm(params)
    if average:
        step = state.step.astype(jnp.float32)
        decay = jnp.minimum(average_decay, (1 + step) / (10 + step))
        average = optax.incremental_update(params, average, 1 - decay)
    learned, skipped = (params, opt_state, average), state.skipped
    if skip_non_finite:
        finite = jnp.isfinite(logs["loss"]) & jnp.isfinite(logs["grad_norm"])
        before = state.params, state.opt_state, state.average
        learned = jax.tree.map(lambda new, old: jnp.where(finite, new, old), learned, before)
        skipped = skipped + ~finite
        logs["skipped"] = skipped
    params, opt_state, average = learned
    return TrainState(state.step + 1, params, opt_state, average, skipped), logs


def _accumulate(grad_fn: Callable, params, batch: Batch, parts: int):
    """Mean gradient and logs over equal parts of the batch; parts are strided, so that each spans
    all devices.
    """
    if parts == 1:
        return grad_fn(params, batch)
    split = {k: v.reshape(-1, parts, *v.shape[1:]).swapaxes(0, 1) for k, v in batch.items()}
    totals = jax.eval_shape(grad_fn, params, {k: v[0] for k, v in split.items()})
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), totals)

    def add(total, part):
        return jax.tree.map(jnp.add, total, grad_fn(params, part)), None

    total, _ = jax.lax.scan(add, zeros, split)
    return jax.tree.map(lambda x: x / parts, total)
