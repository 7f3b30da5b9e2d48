"""The whole training path at tiny size: exact resuming, what is kept, what stops a run."""

import dataclasses
import functools
import json
import shutil
import signal
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fusejax.cli.main import main
from fusejax.config import OptimConfig, load_config
from fusejax.data.synthetic import write_synthetic_folder
from fusejax.evaluation.validation import Validation
from fusejax.losses import TERMS, ObjectiveConfig, TermConfig
from fusejax.models import build
from fusejax.training.checkpoint import Checkpoints
from fusejax.training.logs import RunLog
from fusejax.training.loop import RETRY, Interrupted, NonFiniteLoss, fit
from fusejax.training.program import Program
from fusejax.training.sharding import check_batch_size, make_mesh
from fusejax.training.stages import plan_stages
from fusejax.training.state import first_state
from fusejax.training.step import train_step
from fusejax.weights.files import load_weights

CONFIG_FILE = Path(__file__).parents[1] / "configs" / "tiny.py"
TINY = load_config(str(CONFIG_FILE))


def in_stage(config, **changes):
    """The configuration with its only stage changed."""
    return dataclasses.replace(config, stages=(dataclasses.replace(config.stages[0], **changes),))


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("unbroken")
    return workdir, fit(TINY, workdir)


def log_lines(workdir):
    lines = [json.loads(line) for line in (workdir / "log.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] != "start"]


@pytest.mark.slow
def test_stop_and_go_on_equals_the_unbroken_run(unbroken, tmp_path, monkeypatch):
    _, expected = unbroken
    for last in (1, 4):  # a stop in the last step ends the command as well, such as an ablation
        with monkeypatch.context() as patch:
            patch.setattr(RunLog, "advance", lambda _, step, n=last: step == n and signal.raise_signal(signal.SIGTERM))
            with pytest.raises(Interrupted, match=str(RETRY)):
                fit(TINY, tmp_path)
    resumed = fit(TINY, tmp_path)
    jax.tree.map(np.testing.assert_array_equal, resumed, expected)  # bit-equal on one CPU device
    assert [line["step"] for line in log_lines(tmp_path)] == [1, 2, 3, 4]


@pytest.mark.slow
def test_loss_and_its_parts_are_logged(unbroken):
    workdir, _ = unbroken
    for line in log_lines(workdir):
        terms = {"reference_intensity", "angle_magnitude", "angle_direction"}
        assert terms | {"loss", "grad_norm", "learning_rate", "images_per_second"} <= line.keys()
        weighted = line["reference_intensity"] + 10 * (line["angle_magnitude"] + line["angle_direction"])
        assert line["loss"] == pytest.approx(weighted, rel=1e-4)


@pytest.mark.slow
def test_a_finished_run_returns_at_once_and_its_weights_load(unbroken, capsys):
    workdir, state = unbroken
    again = fit(TINY, workdir)
    assert "is finished: 4 of 4 steps" in capsys.readouterr().out
    params, config, metadata = load_weights(workdir)
    assert config == TINY.model
    assert metadata["steps"] == 4
    jax.tree.map(np.testing.assert_array_equal, params, jax.device_get(state.params))
    jax.tree.map(np.testing.assert_array_equal, again.params, state.params)


@pytest.mark.slow
def test_weights_are_taken_from_a_checkpoint_of_a_run(unbroken, tmp_path, capsys):
    finished, state = unbroken
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    (run / "weights.safetensors").unlink()
    jax.tree.map(np.testing.assert_array_equal, load_weights(run)[0], jax.device_get(state.params))
    assert f"{run} has not finished; using the weights of step 4" in capsys.readouterr().err
    earlier, config, about = load_weights(f"{run}@2")
    assert (config, about["steps"]) == (TINY.model, 2)
    assert any(np.any(a != b) for a, b in zip(jax.tree.leaves(earlier), jax.tree.leaves(state.params), strict=True))
    with pytest.raises(ValueError, match=r"has no checkpoint of step 3; it has: 2, 4\."):
        load_weights(f"{run}@3")
    for file in (run / "checkpoints" / "4" / "state").rglob("d/*"):
        file.write_bytes(bytes(len(file.read_bytes())))
    jax.tree.map(np.testing.assert_array_equal, load_weights(run)[0], earlier)  # the newest intact one
    assert "4 is damaged" in capsys.readouterr().err
    with pytest.raises(ValueError, match="4 is damaged"):
        load_weights(f"{run}@4")


@pytest.mark.slow
def test_more_samples_are_not_counted_than_were_seen(unbroken, tmp_path):
    """After --override of the batch size: 4 steps of 8, then 2 of 4."""
    run = tmp_path / "run"
    shutil.copytree(unbroken[0], run)
    longer = dataclasses.replace(in_stage(TINY, steps=6), batch_size=4)
    fit(longer, run, override=True)
    saved = json.loads((run / "checkpoints" / "6" / "data" / "metadata").read_text())
    assert saved["samples_seen"] == 40


def test_a_best_metric_that_is_not_scored_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"best_metric is 'foo'; expected one of .*SSIM"):
        fit(dataclasses.replace(TINY, best_metric="foo"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_another_configuration_is_refused_and_nothing_is_touched(unbroken):
    workdir, _ = unbroken
    before = (workdir / "weights.safetensors").read_bytes()
    with pytest.raises(ValueError, match=r"stages\.0\.optim\.learning_rate: 0\.001 in the checkpoint, 0.5 now"):
        fit(in_stage(TINY, optim=OptimConfig(learning_rate=0.5)), workdir)
    assert (workdir / "weights.safetensors").read_bytes() == before
    fit(dataclasses.replace(TINY, log_every=2), workdir)  # harmless


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_with_names_and_saves_nothing(tmp_path):
    broken = in_stage(TINY, optim=OptimConfig(learning_rate=1e38, clip_norm=1e30))
    config = dataclasses.replace(broken, save_every=1)
    with pytest.raises(NonFiniteLoss) as error:
        fit(config, tmp_path)
    message = str(error.value)
    assert "is not finite: " in message
    assert "reference_intensity" in message
    assert "day_" in message
    assert "night_" in message
    saved = Checkpoints(tmp_path / "checkpoints", keep_newest=1, best_metric="SSIM")
    finite = saved.latest_step
    saved.close()
    assert finite is None or f"The last checkpoint is step {finite}" in message
    assert not (tmp_path / "weights.safetensors").exists()


def test_newest_and_best_checkpoints_are_kept(tmp_path):
    kept = Checkpoints(tmp_path / "c", keep_newest=2, best_metric="SSIM")
    state = first_state({"w": jnp.ones(3)}, by_module=False, averaged=False)
    for step, score in [(1, 0.2), (2, 0.9), (3, None), (4, 0.5), (5, None)]:
        kept.save(state, step=step, config={}, data={}, scores=None if score is None else {"SSIM": score})
    kept.close()
    again = Checkpoints(tmp_path / "c", keep_newest=2, best_metric="SSIM")
    assert again.steps == [2, 4, 5]
    assert (again.best_step, again.latest_step) == (2, 5)
    again.close()


@pytest.mark.slow
def test_validation_scores_and_panels_are_written(tmp_path):
    write_synthetic_folder(tmp_path / "data" / "val", count=2, size=(48, 48))
    data = dataclasses.replace(TINY.data, root=str(tmp_path / "data"), validation=("val",), tfds=(), folders=("val",))
    config = dataclasses.replace(in_stage(TINY, steps=1), data=dataclasses.replace(data, synthetic=8))
    fit(config, tmp_path / "run", validate=Validation.of(config))
    scores = next(line for line in log_lines(tmp_path / "run") if line["kind"] == "validation")
    assert {"EN", "SD", "SF", "AG", "SSIM"} <= scores.keys()
    assert len(list((tmp_path / "run" / "panels").glob("*_0000001.png"))) == 2 + 1  # the training crops


def smooth_objective(patch):
    def squares(fused_y, ir, vi_y):
        return jnp.square(fused_y - jnp.maximum(ir, vi_y)).mean(axis=(1, 2, 3))

    patch.setitem(TERMS, "squares", squares)
    return ObjectiveConfig((TermConfig("squares"),))


@pytest.mark.slow
def test_a_trace_is_written_and_one_that_cannot_be_costs_no_run(unbroken, tmp_path, monkeypatch, capsys):
    fit(TINY, tmp_path / "traced", profile_steps=range(2, 4))
    assert f"trace of steps 2 to 3 in {tmp_path / 'traced' / 'profile'}" in capsys.readouterr().out
    assert [path.stat().st_size > 0 for path in (tmp_path / "traced").rglob("*.xplane.pb")] == [True]
    write = jax.profiler.stop_trace

    def fail():
        write()
        raise jax.errors.JaxRuntimeError("no room")

    monkeypatch.setattr("jax.profiler.stop_trace", fail)
    state = fit(TINY, tmp_path / "failed", profile_steps=range(2, 3))
    assert "trace of steps 2 to 2 could not be written: no room" in capsys.readouterr().out
    jax.tree.map(np.testing.assert_array_equal, state, unbroken[1])


@pytest.mark.slow
def test_micro_batches_give_the_same_step(monkeypatch):
    patch = monkeypatch
    model = build(TINY.model)
    pair = jnp.zeros((1, 8, 8, 1))
    params = jax.jit(model.init)(jax.random.key(0), pair, pair)["params"]
    rng = np.random.default_rng(0)
    batch = {k: rng.random((4, 8, 8, 1), dtype=np.float32) for k in ("ir", "vi_y", "ir_input", "vi_input")}
    stage = plan_stages(TINY, 8)[0]
    # Smooth, because at the kink of an L1 term rounding alone can flip a gradient.
    stage = dataclasses.replace(stage, config=dataclasses.replace(stage.config, objective=smooth_objective(patch)))

    def outputs(params, ir, vi_y):
        return model.apply({"params": params}, ir, vi_y, method="outputs")

    def step(parts):
        options = {"outputs_fn": outputs, "stage": stage, "micro_batches": parts}
        state = first_state(params, by_module=False, averaged=False)
        return jax.jit(functools.partial(train_step, **options))(state, batch, jax.random.key(0))

    whole, whole_logs = step(1)
    halves, halves_logs = step(2)
    # float32 means over 4, or over 2 of 2, differ by rounding only
    for a, b in ((moments(whole), moments(halves)), (whole_logs, halves_logs)):
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-6), a, b)


@pytest.mark.slow
def test_a_run_starts_from_weights_and_refuses_those_of_another_network(unbroken):
    workdir, trained = unbroken
    config = dataclasses.replace(TINY, start_from=str(workdir), average_decay=0.9)
    program = Program(config, make_mesh(config.mesh))
    state = program.create()
    for params in (state.params, state.average):
        jax.tree.map(np.testing.assert_array_equal, params, trained.scored)
    assert int(state.step) == 0
    assert jax.tree.map(lambda x: x.sharding, state) == jax.tree.map(lambda x: x.sharding, program.target)
    with pytest.raises(ValueError, match="start_from fusionnet_small has FusionNetConfig"):
        Program(dataclasses.replace(config, start_from="fusionnet_small"), make_mesh(config.mesh)).create()


def test_batches_that_devices_do_not_divide_are_refused():
    check_batch_size(8, 4)
    with pytest.raises(ValueError, match=r"batch_size 10 does not split over 8 parts .*; use 8 or 16\."):
        check_batch_size(10, 8)
    with pytest.raises(ValueError, match="3 training pairs do not fill a batch of 8"):
        plan_stages(in_stage(TINY, steps=None), 3)
    assert plan_stages(in_stage(TINY, steps=None, epochs=3), 20)[0].end == 6


def moments(state):
    """Adam's first moments: the clipped gradient, which Adam's division would amplify where it is
    near zero.
    """
    return state.opt_state["all"].mu


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("nosuch", "nosuch is neither a file nor a shipped configuration"),
        ("angularfuse", "has no infrared and visible folders"),
    ],
)
def test_mistakes_on_the_command_line_end_with_a_message(config, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["train", config, "--workdir", str(tmp_path / "run"), "--data.root", str(tmp_path)])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
