"""Placement of arrays, rematerialization, and what a step does besides the update."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractMesh, PartitionSpec

from fusejax.config import MeshConfig, OptimConfig, load_config
from fusejax.losses import ObjectiveConfig, TermConfig
from fusejax.models import AngularFuseConfig, CrossFuseConfig, FusionNetConfig, build
from fusejax.training.sharding import make_mesh, state_sharding
from fusejax.training.stages import plan_stages
from fusejax.training.state import first_state, init_params
from fusejax.training.step import train_step


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((3, 3, 32, 64), (None, None, None, "fsdp")),  # the largest
        ((3, 3, 64, 32), (None, None, "fsdp")),
        ((64, 64), (None, "fsdp")),  # the last of equals
        ((3, 3, 64, 65), (None, None, "fsdp")),  # 4 does not divide the largest one
        ((4, 4, 31, 33), (None, "fsdp")),
        ((7, 5, 31, 33), ()),
        ((31, 32), ()),  # 992 elements
        ((1000,), ("fsdp",)),
        ((999,), ()),
        ((), ()),
    ],
)
def test_an_axis_of_every_large_array_is_split(shape, expected):
    mesh = AbstractMesh((2, 4), ("data", "fsdp"))
    assert state_sharding(shape, mesh, min_sharded=1000).spec == PartitionSpec(*expected)
    whole = AbstractMesh((8, 1), ("data", "fsdp"))
    assert state_sharding(shape, whole, min_sharded=1).is_fully_replicated


def test_meshes_that_make_no_sense_are_refused():
    assert dict(make_mesh(MeshConfig()).shape) == {"data": 1, "fsdp": 1}
    for sizes in ((0, 1), (-1, -1), (1, -2)):
        with pytest.raises(ValueError, match=r"of which one may be -1"):
            MeshConfig(*sizes)
    for sizes in ((-1, 2), (2, -1), (1, 2), (2, 2)):
        with pytest.raises(ValueError, match=r"does not equal the 1 devices of this run; possible sizes: 1 x 1"):
            make_mesh(MeshConfig(*sizes))


@pytest.mark.parametrize(
    "config",
    [
        AngularFuseConfig(widths=(2, 4), heads=None, residual_blocks=1),
        CrossFuseConfig(width=4, heads=2, encoder_blocks=1, decoder_blocks=1, coupling_layers=1),
        FusionNetConfig(widths=(4, 8), attention_width=4, alpha_width=4),
    ],
    ids=lambda config: type(config).__name__,
)
@pytest.mark.slow
def test_what_is_computed_again_is_not_kept_and_changes_nothing(config, rng):
    ir, vi_y = (jnp.asarray(rng.random((2, 8, 8, 1)), jnp.float32) for _ in range(2))
    params = init_params(build(config), jax.random.key(0))
    kept, gradients = {}, {}
    for remat in ("none", "dots", "full"):
        model = build(dataclasses.replace(config, remat=remat))

        def loss(params, model=model):
            return jnp.square(model.apply({"params": params}, ir, vi_y) - ir).mean()

        made = jax.eval_shape(functools.partial(init_params, model), jax.random.key(0))
        assert jax.tree.map(jnp.shape, made) == jax.tree.map(jnp.shape, params)
        residuals = jax.eval_shape(lambda p, loss=loss: jax.vjp(loss, p)[1], params)
        kept[remat] = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(residuals))
        gradients[remat] = jax.jit(jax.grad(loss))(params)
    assert kept["none"] > kept["dots"] >= kept["full"], kept
    for remat in ("dots", "full"):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), gradients["none"], gradients[remat])


def blend(params, ir, vi_y):
    """The smallest network: two weights and a bias."""
    return {"fused_y": jax.nn.sigmoid(params["mix"]["w"] * ir + params["mix"]["v"] * vi_y + params["bias"])}


PARAMS = {"mix": {"w": jnp.asarray(0.5), "v": jnp.asarray(-0.3)}, "bias": jnp.asarray([0.1])}


def steps(**options):
    """train_step of the smallest network; its learning rate depends on updates only."""
    tiny = load_config("angularfuse")
    stage = dataclasses.replace(
        tiny.stages[0],
        objective=ObjectiveConfig((TermConfig("maximum_intensity"),)),
        optim=OptimConfig(learning_rate=0.01, schedule="step"),
        steps=10,
    )
    stage = plan_stages(dataclasses.replace(tiny, stages=(stage,)), 8)[0]
    return jax.jit(functools.partial(train_step, outputs_fn=blend, stage=stage, **options))


def batch(rng, value=None):
    made = {k: rng.random((4, 8, 8, 1), dtype=np.float32) for k in ("ir", "vi_y", "ir_input", "vi_input")}
    if value is not None:
        made["ir_input"][2, 3, 4] = value
    return made


def test_the_average_follows_its_formula(rng):
    step, state = steps(average_decay=0.15), first_state(PARAMS, by_module=False, averaged=True)
    expected = jax.tree.map(np.float64, PARAMS)
    for n in range(3):
        state, _ = step(state, batch(rng), jax.random.key(0))
        decay = min(0.15, (1 + n) / (10 + n))  # 0.1, then 0.15
        expected = jax.tree.map(lambda a, p, d=decay: d * a + (1 - d) * np.float64(p), expected, state.params)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), state.average, expected)
    assert state.scored is state.average


def test_a_step_that_is_not_finite_is_left_out(rng):
    step = steps(average_decay=0.05, skip_non_finite=True)
    good, bad = [batch(rng) for _ in range(2)], batch(rng, np.nan)
    state, _ = step(first_state(PARAMS, by_module=False, averaged=True), good[0], jax.random.key(0))
    after_bad, logs = step(state, bad, jax.random.key(0))
    assert (int(after_bad.step), int(after_bad.skipped), int(logs["skipped"])) == (2, 1, 1)
    assert not np.isfinite(logs["loss"])
    carried = ("params", "opt_state", "average")
    for name in carried:
        jax.tree.map(np.testing.assert_array_equal, getattr(after_bad, name), getattr(state, name))
    with_bad, logs = step(after_bad, good[1], jax.random.key(0))
    without, _ = step(state, good[1], jax.random.key(0))
    assert (int(with_bad.step), int(with_bad.skipped), int(logs["skipped"])) == (3, 1, 1)
    for name in carried:
        jax.tree.map(np.testing.assert_array_equal, getattr(with_bad, name), getattr(without, name))
    assert any(np.any(a != b) for a, b in zip(*map(jax.tree.leaves, (with_bad.params, state.params)), strict=True))
