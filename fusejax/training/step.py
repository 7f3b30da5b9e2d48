"""One update as a pure function."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from fusejax.training.state import TrainState

Batch = dict[str, jax.Array]
Logs = dict[str, jax.Array]


def train_step(
    state: TrainState,
    batch: Batch,
    key: jax.Array,
    *,
    apply_fn: Callable,
    objective: Callable,
    tx: optax.GradientTransformation,
    micro_batches: int = 1,
) -> tuple[TrainState, Logs]:
    """(state, batch, key) -> (state, logs). The loop jits it with shardings and donates `state`.

    The network sees `ir_input`, `vi_input` (ComMask applied), the objective the clean `ir`, `vi_y`.

    Args:
      batch: float32 [b, h, w, 1] each.
      key: of the whole run; folded with the step, so a resumed run draws what the unbroken one would have drawn.
      objective: (fused_y, ir, vi_y) -> ([b], named parts [b]).
    Returns: logs are float32 scalars: loss, its parts, gradient norm.
    """
    key = jax.random.fold_in(key, state.step)

    def loss_fn(params, part):
        fused_y = apply_fn({"params": params}, part["ir_input"], part["vi_input"], rngs={"dropout": key})
        total, parts = objective(fused_y, part["ir"], part["vi_y"])
        return total.mean(), {"loss": total.mean()} | {name: value.mean() for name, value in parts.items()}

    grads, logs = _accumulate(jax.grad(loss_fn, has_aux=True), state.params, batch, micro_batches)
    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    logs["grad_norm"] = optax.global_norm(grads)
    return TrainState(state.step + 1, params, opt_state), logs


def _accumulate(grad_fn: Callable, params, batch: Batch, parts: int):
    """Mean gradient and logs over `parts` equal parts of the batch; strided, so each part spans all devices."""
    if parts == 1:
        return grad_fn(params, batch)
    split = {k: v.reshape(-1, parts, *v.shape[1:]).swapaxes(0, 1) for k, v in batch.items()}
    totals = jax.eval_shape(grad_fn, params, {k: v[0] for k, v in split.items()})
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), totals)

    def add(total, part):
        return jax.tree.map(jnp.add, total, grad_fn(params, part)), None

    total, _ = jax.lax.scan(add, zeros, split)
    return jax.tree.map(lambda x: x / parts, total)
