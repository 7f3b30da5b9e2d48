"""Checkpoints of whole runs: a full disk, other numbers of devices, kills."""

import contextlib
import dataclasses
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import jax
import numpy as np
import pytest
from devices import environment
from disk_damage import flip, no_room

from fusejax.config import load_config
from fusejax.models import LightConfig
from fusejax.training.checkpoint import Checkpoints, DamagedCheckpoint
from fusejax.training.logs import RunLog
from fusejax.training.loop import fit

# Orbax leaves its own tasks unfinished if reading or writing fails.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.mark.slow
def test_a_run_outlives_a_full_disk_and_goes_back_before_damage_when_asked(tmp_path, monkeypatch, capsys, caplog):
    config = load_config(str(Path(__file__).parents[1] / "configs" / "tiny.py"))
    config = dataclasses.replace(config, model=LightConfig(width=24, blocks=1))  # so that a save needs more than 20 kB
    folder = tmp_path / "checkpoints"
    message, look, close = RunLog.message, Checkpoints.check, Checkpoints.close

    def late(self):
        """Closes after a thread of the failed save has written once more."""
        (folder / "2.orbax-checkpoint-tmp" / "state").mkdir(parents=True, exist_ok=True)
        close(self)

    with contextlib.ExitStack() as stack, monkeypatch.context() as patch:
        patch.setattr(RunLog, "advance", lambda self, step: step == 2 and stack.enter_context(no_room()))
        patch.setattr(Checkpoints, "close", late)
        patch.setattr(RunLog, "message", lambda self, text: (message(self, text), "tries" in text and stack.close()))
        patch.setattr(Checkpoints, "check", lambda self, wait=True: look(self, wait=True))  # else 3 may come too early
        expected = fit(config, tmp_path)
    said = capsys.readouterr().out
    assert re.search(r"saving step 2 in .* failed \(1 of 3 tries\).*there is no checkpoint yet; trying again", said)
    assert not [record for record in caplog.records if record.name == "asyncio"]  # a traceback for each array
    assert sorted(os.listdir(folder)) == ["3", "4"]
    for file in (folder / "4" / "state").rglob("d/*"):  # of small arrays, several share a file
        flip(file)
    with pytest.raises(DamagedCheckpoint, match="checkpoints/4 is damaged"):
        fit(config, tmp_path)
    again = fit(config, tmp_path, allow_older=True)
    assert "It is now 4.damaged; the run goes back to step 3" in capsys.readouterr().out
    jax.tree.map(np.testing.assert_array_equal, again, expected)


TOPOLOGIES = """
import jax, jax.numpy as jnp, numpy as np, sys
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
from fusejax.training.checkpoint import Checkpoints
from fusejax.weights.fingerprint import fingerprints
from fusejax.training.state import TrainState

def tree(devices, data, fsdp):
    mesh = jax.make_mesh((data, fsdp), ("data", "fsdp"), axis_types=(AxisType.Auto,) * 2, devices=devices)
    def put(spec, x): return jax.device_put(x, NamedSharding(mesh, spec))
    w = jax.random.normal(jax.random.key(1), (16, 24))
    params = {"w": put(P("fsdp"), w), "v": put(P(None, ("data", "fsdp")), w), "b": put(P(), w[0])}
    moments = {"mu": put(P(None, "fsdp"), w.astype(jnp.bfloat16))}
    return TrainState(put(P(), jnp.int32(5)), params, moments, {}, put(P(), jnp.int32(0)))

def shapes(state):
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), state)

devices = jax.devices()
assert len(devices) == 8
saved = tree(devices, 2, 4)
checkpoints = Checkpoints(sys.argv[1], keep_newest=1, best_metric="SSIM")
checkpoints.save(saved, step=5, config={}, data={}, scores=None)
checkpoints.close()
for count, data, fsdp in ((1, 1, 1), (4, 1, 4), (4, 4, 1), (8, 1, 8)):
    expected = tree(devices[:count], data, fsdp)
    assert fingerprints(expected) == fingerprints(saved)
    checkpoints = Checkpoints(sys.argv[1], keep_newest=1, best_metric="SSIM")
    state = checkpoints.restore(shapes(expected), config={}).state
    checkpoints.close()
    jax.tree.map(np.testing.assert_array_equal, state, expected)
    assert jax.tree.all(jax.tree.map(lambda a, b: a.sharding == b.sharding, state, expected))
    print("restored on", count)
"""


def run(arguments, env=None):
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_another_number_of_devices_restores_and_verifies(tmp_path):
    result = run(["-c", textwrap.dedent(TOPOLOGIES), tmp_path / "c"], environment(devices=8))
    assert result.stdout.split("\n")[:-1] == [f"restored on {n}" for n in (1, 4, 4, 8)], result.stderr


@pytest.mark.slow
def test_killed_runs_go_on_and_end_bit_equal():
    result = run([Path(__file__).parents[2] / "scripts" / "soak.py", "--kills", 2, "--minutes", 15])
    last = result.stdout.strip().splitlines()[-1]
    assert last == "2 kills, 2 restarts, 0 checkpoints lost, parameters bit-equal: yes", result.stdout + result.stderr
    assert result.returncode == 0
