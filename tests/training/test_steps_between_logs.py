"""What a log line says: means over the finite steps, and shares of the time that passed."""

import dataclasses
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from fusejax.config import load_config
from fusejax.training import meter as meter_module
from fusejax.training.meter import Meter
from fusejax.training.step_logs import NonFiniteLoss, StepLogs

TINY = load_config(str(Path(__file__).parents[1] / "configs" / "tiny.py"))
SKIPPING = dataclasses.replace(TINY, non_finite="skip")


def logs_of(config, *losses):
    logs = StepLogs(config)
    for step, loss in enumerate(losses, start=1):
        skipped = sum(not np.isfinite(x) for x in losses[:step])
        logs.add(step, [[f"pair {step}"]], {"loss": jnp.float32(loss), "skipped": jnp.int32(skipped)})
    return logs


def test_means_are_over_the_finite_steps():
    step, means = logs_of(SKIPPING, 1.0, np.nan, 3.0).flush(last_checkpoint=lambda: None)
    assert (step, means["loss"], means["skipped"]) == (3, 2.0, 1.0)


def test_a_window_without_a_finite_step_stops_the_run():
    with pytest.raises(NonFiniteLoss, match=r"step 1 is not finite: loss nan.*pair 1.*checkpoint is step 7"):
        logs_of(SKIPPING, np.nan, np.inf).flush(last_checkpoint=lambda: 7)
    with pytest.raises(NonFiniteLoss, match=r"step 2 is not finite: loss inf"):
        logs_of(TINY, 1.0, np.inf).flush(last_checkpoint=lambda: None)


def test_steps_of_one_dispatch_are_told_apart():
    logs = StepLogs(SKIPPING)
    logs.add(4, [["a"], ["b"]], {"loss": jnp.array([np.nan, 5.0], jnp.float32)})
    logs.add(5, [["c"]], {"loss": jnp.float32(7.0)})
    assert logs.flush(last_checkpoint=lambda: None)[1]["loss"] == 6.0
    assert logs.flush(last_checkpoint=lambda: None) is None


def test_the_meter_reports_shares_of_the_time_that_passed(monkeypatch):
    now = 100.0
    monkeypatch.setattr(meter_module.time, "perf_counter", lambda: now)
    meter = Meter()
    for seconds in (2.0, 4.0):
        now += seconds
        meter.stepped()
    now += 6.0
    meter.exclude(6.0)  # a compilation
    now += 4.0
    meter.stepped(2)
    meter.waited(2.5)
    found = meter.report(batch_size=8)
    assert found["data_wait_share"] == pytest.approx(2.5 / 10)
    assert found["step_seconds"] == pytest.approx(10 / 4)
    assert found["images_per_second"] == pytest.approx(4 * 8 / 10)
    assert found["step_seconds_spread"] == pytest.approx(np.std([2, 4, 2, 2]))
    now += 1.0
    meter.stepped()
    assert meter.report(batch_size=8)["data_wait_share"] == 0  # the window begins anew
