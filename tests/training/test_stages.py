"""Stages of a run: trained modules, learning rates, and resuming within and between stages."""

import dataclasses
import json
import signal
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from fusejax.config import OptimConfig, StageConfig, load_config
from fusejax.losses import ObjectiveConfig, TermConfig, check_objective
from fusejax.models import AngularFuseConfig
from fusejax.training.logs import RunLog
from fusejax.training.loop import Interrupted, fit
from fusejax.training.optim import learning_rate
from fusejax.training.stages import plan_stages, stage_at

TINY = load_config(str(Path(__file__).parents[1] / "configs" / "tiny_crossfuse.py"))
RATE = TINY.stages[0].optim.learning_rate


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("unbroken")
    return workdir, fit(TINY, workdir)


def log_lines(workdir):
    lines = [json.loads(line) for line in (workdir / "log.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] != "start"]


def stop_after(patch, last):
    patch.setattr(RunLog, "advance", lambda self, step: step == last and signal.raise_signal(signal.SIGTERM))


def saved_state(workdir, step, item):
    folder = (workdir / "checkpoints" / str(step) / item).absolute()
    return (
        ocp.StandardCheckpointer().restore(folder) if item == "state" else json.loads((folder / "metadata").read_text())
    )


@pytest.mark.slow
def test_going_on_within_and_exactly_between_stages_equals_the_unbroken_run(unbroken, tmp_path, monkeypatch, capsys):
    _, expected = unbroken
    for last in (1, 2):
        with monkeypatch.context() as patch:
            stop_after(patch, last)
            with pytest.raises(Interrupted):
                fit(TINY, tmp_path)
    between = saved_state(tmp_path, 2, "state")
    assert saved_state(tmp_path, 1, "data")["samples_seen"] == 8
    resumed = fit(TINY, tmp_path)
    jax.tree.map(np.testing.assert_array_equal, resumed, expected)  # bit-equal on one CPU device
    assert saved_state(tmp_path, 4, "data")["samples_seen"] == 32
    assert "stage 'fuse': steps 3 to 4" in capsys.readouterr().out
    # The first stage leaves the fusion layers and their optimizers alone.
    counts = {name: int(group["count"]) for name, group in between["opt_state"].items()}
    assert counts == {"encoder": 2, "decoder": 2, "base_fusion": 0, "detail_fusion": 0}
    assert all(not np.any(x) for x in jax.tree.leaves(between["opt_state"]["base_fusion"]["mu"]))
    assert {name: int(group.count) for name, group in expected.opt_state.items()} == {
        "encoder": 4, "decoder": 4, "base_fusion": 2, "detail_fusion": 2,
    }  # fmt: skip


@pytest.mark.slow
def test_each_stage_logs_its_terms_and_rates(unbroken):
    lines = log_lines(unbroken[0])
    for line in lines[:2]:
        assert {"reconstruction", "decomposition"} <= line.keys() and "maximum_intensity" not in line
        assert line["loss"] == pytest.approx(line["reconstruction"] + 2 * line["decomposition"], rel=1e-4)
        assert "learning_rate_base_fusion" not in line
    # Rates are halved every epoch, one step here, of a module's own training.
    assert [line["learning_rate_encoder"] for line in lines] == pytest.approx([RATE / 2**n for n in range(4)], rel=1e-3)
    assert [line["learning_rate_base_fusion"] for line in lines[2:]] == pytest.approx([RATE, RATE / 2], rel=1e-3)
    for epoch, line in enumerate(lines[2:]):
        weight = 0.1 * 0.5 * (1 + np.cos(np.pi * epoch / 2))
        total = line["maximum_intensity"] + 10 * line["joint_gradient"] + 2 * line["decomposition"]
        assert line["loss"] == pytest.approx(total + weight * line["consistency"], rel=1e-4)


def test_lengths_follow_epochs_and_pairs():
    full = load_config("crossfuse")
    first, second = plan_stages(full, 100)
    assert (first.start, first.end, second.start, second.end) == (0, 40 * 12, 40 * 12, 160 * 12)
    assert [stage_at((first, second), step).config.name for step in (0, 479, 480, 1919, 1920)] == [
        "reconstruct", "reconstruct", "fuse", "fuse", "fuse",
    ]  # fmt: skip
    assert not first.scored and second.scored


def test_step_schedule_halves_down_to_its_floor():
    rate = learning_rate(load_config("crossfuse").stages[0].optim, steps=1920, steps_per_epoch=12)
    values = [float(rate(0, epoch * 12)) for epoch in (0, 19, 20, 40, 139, 140)]
    assert values == pytest.approx([1e-4, 1e-4, 5e-5, 2.5e-5, 1e-4 / 2**6, 1e-6])


def test_cosine_schedule_warms_up_and_ends_where_it_should():
    config = OptimConfig(learning_rate=1e-3, final_learning_rate=1e-5, warmup_steps=10)
    rate = learning_rate(config, steps=100, steps_per_epoch=1)
    expected = [0.0, 5e-4, 1e-3, (1e-3 + 1e-5) / 2, 1e-5]  # in the middle of the decay, the mean of its ends
    assert [float(rate(step, 0)) for step in (0, 5, 10, 55, 100)] == pytest.approx(expected, abs=1e-9)


def test_stages_that_do_not_fit_are_refused_before_anything_is_written(tmp_path):
    fuse = TINY.stages[1]
    unknown = dataclasses.replace(TINY, stages=(dataclasses.replace(fuse, trains=("encoders",)),))
    with pytest.raises(ValueError, match=r"Stage 'fuse' trains encoders; the network has .*encoder"):
        fit(unknown, tmp_path / "run")
    with pytest.raises(ValueError, match="Stage 'fuse' trains some modules only; set optimize_by_module"):
        dataclasses.replace(unknown, optimize_by_module=False)
    with pytest.raises(ValueError, match="stages of different names; got fuse, fuse"):
        dataclasses.replace(TINY, stages=(fuse, fuse))
    other = dataclasses.replace(TINY, model=AngularFuseConfig(), optimize_by_module=False, stages=(fuse,))
    message = (
        r"The loss term 'decomposition' needs 'features', which AngularFuse does not provide\. "
        "Models that do: CrossFuse; terms that fit AngularFuse: .*joint_gradient"
    )
    with pytest.raises(ValueError, match=message):
        fit(other, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_objectives_refuse_what_they_do_not_know():
    def check(term):
        check_objective(ObjectiveConfig((term,)), model="any", provides=("fused_y",), boxes=False)

    with pytest.raises(ValueError, match="There is no loss term 'join_gradient'; did you mean 'joint_gradient'"):
        check(TermConfig("join_gradient"))
    with pytest.raises(ValueError, match="'angle_direction' has no option 'weights'; it has weighting"):
        check(TermConfig("angle_direction", options={"weights": 1}))
    with pytest.raises(
        ValueError, match="'angle_direction': weighting is 'weighted'; expected one of 'magnitude', 'none'"
    ):
        check(TermConfig("angle_direction", options={"weighting": "weighted"}))
    with pytest.raises(ValueError, match="weight of 'consistency' is -1"):
        TermConfig("consistency", -1.0)
    with pytest.raises(ValueError, match="terms of different names; got none"):
        StageConfig(ObjectiveConfig(()))
