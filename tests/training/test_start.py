"""The start of a run: initial parameters, and the step that is compiled beside them."""

import dataclasses
import threading
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fusejax.config import load_config
from fusejax.models import AngularFuseConfig, CrossFuseConfig, FusionNetConfig, LightConfig, build
from fusejax.training import stage_steps
from fusejax.training.loop import fit
from fusejax.training.optim import init_optimizer, update
from fusejax.training.program import Program
from fusejax.training.sharding import make_mesh
from fusejax.training.stages import plan_stages
from fusejax.training.state import init_params

CONFIG = load_config(str(Path(__file__).parents[1] / "configs" / "tiny_smooth.py"))


@pytest.mark.parametrize(
    "config",
    [
        AngularFuseConfig(widths=(2, 4), heads=None, residual_blocks=1),
        CrossFuseConfig(width=4, heads=2, encoder_blocks=1, decoder_blocks=1, coupling_layers=1),
        FusionNetConfig(widths=(4, 8), attention_width=4, alpha_width=4),
        LightConfig(),
    ],
    ids=lambda config: type(config).__name__,
)
@pytest.mark.slow
def test_initial_parameters_are_those_of_flax(config):
    model, key, luma = build(config), jax.random.key(3), jnp.zeros((1, 8, 8, 1))
    made = init_params(model, key)
    chex.assert_trees_all_equal(made, model.init(key, luma, luma)["params"])
    chex.assert_trees_all_equal_dtypes(made, jax.tree.map(lambda _: jnp.float32(0), made))


@pytest.mark.parametrize("norm", [0.3, 1.0, 30.0])
def test_gradients_are_clipped_as_in_optax(rng, norm):
    """To float32 rounding: optax divides each array by the norm, then multiplies it."""
    direction = {name: rng.standard_normal(shape) for name, shape in (("a", (3, 5)), ("b", (7,)))}
    length = np.sqrt(sum(np.square(x).sum() for x in direction.values()))
    grads = jax.tree.map(lambda x: jnp.asarray(x * norm / length, jnp.float32), direction)
    params = jax.tree.map(jnp.ones_like, grads)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.scale_by_adam(), optax.scale(-0.1))
    step, _ = optimizer.update(grads, optimizer.init(params))
    updated, state, _ = update(
        {"all": grads},
        init_optimizer(params, by_module=False),
        {"all": params},
        stage_step=jnp.int32(0),
        clip_norm=1.0,
        rate=lambda step, updates: jnp.float32(0.1),
    )
    chex.assert_trees_all_close(updated["all"], optax.apply_updates(params, step), rtol=1e-6)
    moments = jax.tree.map(lambda x: 0.1 * x * min(1.0, 1 / norm), grads)
    chex.assert_trees_all_close(state["all"].mu, moments, rtol=1e-5)


@pytest.fixture
def steps_and_lines():
    program, lines = Program(CONFIG, make_mesh(CONFIG.mesh)), []
    return program, stage_steps.StageSteps(program, plan_stages(CONFIG, 8)[0], program.key(), lines.append), lines


@pytest.mark.slow
def test_a_step_is_compiled_once_and_equals_the_jitted_one(steps_and_lines):
    program, steps, lines = steps_and_lines
    steps.begin(1)
    assert 1 not in steps
    assert steps.get(1) is steps.get(1)
    assert 1 in steps
    assert [line.split()[0] for line in lines] == ["compiling;", "compiled"]
    images = np.random.default_rng(0).random((CONFIG.batch_size, CONFIG.data.crop, CONFIG.data.crop, 1), np.float32)
    batch = {name: jax.device_put(images, x.sharding) for name, x in program.abstract_batch().items()}
    expected = program.step(plan_stages(CONFIG, 8)[0])(program.create(), batch, program.key())
    chex.assert_trees_all_equal(steps.get(1)(program.create(), batch, program.key()), expected)


def test_an_error_of_the_compiler_reaches_the_loop(steps_and_lines, monkeypatch):
    _, steps, _ = steps_and_lines

    def fail(*_):
        raise RuntimeError("no memory")

    monkeypatch.setattr(stage_steps, "_compile", fail)
    steps.begin(1)
    with pytest.raises(RuntimeError, match="no memory"):
        steps.get(1)


@pytest.mark.slow
def test_the_step_is_compiled_while_parameters_are_drawn(tmp_path, monkeypatch, capsys):
    """The compilation here waits for the parameters, so that it would never end otherwise."""
    drawn, create, compile_ = threading.Event(), Program.create, stage_steps._compile

    def wait_and_compile(*args):
        assert drawn.wait(60)
        return compile_(*args)

    def draw(program):
        assert "compiling" in capsys.readouterr().out
        state = create(program)
        drawn.set()
        return state

    monkeypatch.setattr(stage_steps, "_compile", wait_and_compile)
    monkeypatch.setattr(Program, "create", draw)
    one = dataclasses.replace(CONFIG, stages=(dataclasses.replace(CONFIG.stages[0], steps=1),))
    assert fit(one, tmp_path).step == 1
