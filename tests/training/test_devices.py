"""Eight devices from the command line, against one."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from devices import environment
from safetensors.numpy import load_file

from fusejax.config import load_config
from fusejax.training.loop import fit

CONFIGS = Path(__file__).parents[1] / "configs"


def run_cli(*arguments):
    """The command with eight devices."""
    command = [sys.executable, "-c", "from fusejax.cli.main import main; main()", *map(str, arguments)]
    return subprocess.run(command, env=environment(8), capture_output=True, text=True, check=True)


@pytest.mark.slow
def test_eight_devices_equal_one_from_the_command_line(tmp_path):
    """Of AngularFuse; FusionNet: test_processes.py, light: below."""
    file = CONFIGS / "tiny_angularfuse.py"
    fit(load_config(str(file)), tmp_path / "1")
    result = run_cli("train", file, "--workdir", tmp_path / "8")
    assert "on 8 device(s)" in result.stdout
    one, eight = (load_file(tmp_path / name / "weights.safetensors") for name in ("1", "8"))
    assert one.keys() == eight.keys()
    # Sums in another order turn the sign of gradients near zero, which Adam shows in single
    # entries: as a whole, then (1.4e-6).
    difference, size = (
        np.sqrt(sum(np.sum(np.square(x)) for x in xs)) for xs in ([eight[k] - one[k] for k in one], one.values())
    )
    assert difference / size < 1e-5


@pytest.mark.slow
def test_a_step_of_light_on_eight_devices_has_the_loss_and_gradient_of_one(tmp_path):
    """Its objective is too steep to compare weights: Adam uses signs of gradients near zero."""
    file = CONFIGS / "tiny_light.py"
    fit(load_config(str(file)), tmp_path / "1")
    run_cli("train", file, "--workdir", tmp_path / "8")
    logs = {n: map(json.loads, (tmp_path / str(n) / "log.jsonl").read_text().splitlines()) for n in (1, 8)}
    first = {n: next(line for line in lines if line["kind"] == "train") for n, lines in logs.items()}
    for name in ("loss", "grad_norm", "qabf", "scd", "vif", "reference_magnitude", "reference_direction"):
        assert first[8][name] == pytest.approx(first[1][name], rel=1e-4), name
