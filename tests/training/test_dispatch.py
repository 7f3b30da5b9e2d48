"""Several steps per dispatch: the same run, in fewer calls."""

import dataclasses
import json
import signal
from pathlib import Path

import chex
import pytest

from fusejax.config import load_config
from fusejax.training.feed import steps_per_dispatch
from fusejax.training.logs import RunLog
from fusejax.training.loop import Interrupted, NonFiniteLoss, fit
from fusejax.training.stages import plan_stages

# A smooth objective, because the two programs round differently, which a steep one would amplify.
# Seven steps: two dispatches of three, and a single step.
SEVEN = load_config(str(Path(__file__).parents[1] / "configs" / "tiny_smooth.py"))
THREES = dataclasses.replace(SEVEN, steps_per_dispatch=3)


def losses(workdir):
    lines = [json.loads(line) for line in (workdir / "log.jsonl").read_text().splitlines()]
    return {line["step"]: line["loss"] for line in lines if line["kind"] == "train"}


@pytest.fixture(scope="module")
def single_steps(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("single")
    return workdir, fit(SEVEN, workdir)


@pytest.mark.slow
def test_state_and_logs_are_those_of_single_steps(single_steps, tmp_path):
    workdir, expected = single_steps
    chex.assert_trees_all_close(fit(THREES, tmp_path), expected, atol=1e-5, rtol=1e-4)
    assert losses(tmp_path) == pytest.approx(losses(workdir), rel=1e-5)
    assert list(losses(tmp_path)) == [3, 6, 7]


@pytest.mark.slow
def test_a_run_stopped_between_two_dispatches_goes_on_with_single_steps(single_steps, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(RunLog, "advance", lambda self, step: step == 1 and signal.raise_signal(signal.SIGTERM))
        with pytest.raises(Interrupted):
            fit(SEVEN, tmp_path)
    chex.assert_trees_all_close(fit(THREES, tmp_path), single_steps[1], atol=1e-5, rtol=1e-4)


@pytest.mark.slow
def test_a_step_that_is_not_finite_is_named_by_its_own_number(tmp_path):
    optim = dataclasses.replace(THREES.stages[0].optim, learning_rate=1e15, clip_norm=1e30)
    broken = dataclasses.replace(THREES, stages=(dataclasses.replace(THREES.stages[0], optim=optim),))
    with pytest.raises(NonFiniteLoss, match=r"step 2 is not finite: .*Images of that batch: [\w/, -]+\. The last"):
        fit(broken, tmp_path)


def test_chunks_end_with_the_stage_and_start_at_multiples():
    (stage,) = plan_stages(SEVEN, 8)
    steps = [(step, steps_per_dispatch(step, stage, 3)) for step in range(7)]
    assert [count for _, count in steps] == [3, 1, 1, 3, 1, 1, 1]
    whole = dataclasses.replace(stage, steps=6)
    assert steps_per_dispatch(3, whole, 3) == 3


def test_logs_saves_and_scores_fall_on_the_end_of_a_dispatch():
    with pytest.raises(ValueError, match="save_every is 4; with steps_per_dispatch 3 it must be a multiple"):
        dataclasses.replace(THREES, save_every=4)
