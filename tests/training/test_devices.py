"""Eight devices from the command line, against one."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from devices import WITHOUT_TORCH, environment
from safetensors.numpy import load_file

from fusejax.config import load_config
from fusejax.training.loop import fit

CONFIGS = Path(__file__).parents[1] / "configs"
NETWORKS = ("angularfuse", "light")  # FusionNet: test_processes.py


@pytest.fixture(scope="module")
def eight(tmp_path_factory):
    """Folder of the runs on eight devices, by name, all made by one process."""
    folder = tmp_path_factory.mktemp("eight")
    words = [
        ["train", str(CONFIGS / f"tiny_{name}.py"), "--workdir", str(folder / name), "--save-every", "4"]
        for name in NETWORKS
    ]
    code = f"{WITHOUT_TORCH}[main(command) for command in {words!r}]"
    done = subprocess.run([sys.executable, "-c", code], env=environment(8), capture_output=True, text=True, check=True)
    assert done.stdout.count("on 8 device(s)") == len(NETWORKS)
    return folder


@pytest.mark.slow
def test_eight_devices_equal_one_from_the_command_line(eight, tmp_path):
    fit(load_config(str(CONFIGS / "tiny_angularfuse.py")), tmp_path)
    one, eight = (load_file(folder / "weights.safetensors") for folder in (tmp_path, eight / "angularfuse"))
    assert one.keys() == eight.keys()
    # Sums in another order turn the sign of gradients near zero, which Adam shows in single
    # entries: as a whole, then (1.4e-6).
    difference, size = (
        np.sqrt(sum(np.sum(np.square(x)) for x in xs)) for xs in ([eight[k] - one[k] for k in one], one.values())
    )
    assert difference / size < 1e-5


@pytest.mark.slow
def test_a_step_of_light_on_eight_devices_has_the_loss_and_gradient_of_one(eight, tmp_path):
    """Its objective is too steep to compare weights: Adam uses signs of gradients near zero."""
    fit(load_config(str(CONFIGS / "tiny_light.py")), tmp_path)
    folders = {1: tmp_path, 8: eight / "light"}
    logs = {n: map(json.loads, (folder / "log.jsonl").read_text().splitlines()) for n, folder in folders.items()}
    first = {n: next(line for line in lines if line["kind"] == "train") for n, lines in logs.items()}
    for name in ("loss", "grad_norm", "qabf", "scd", "vif", "reference_magnitude", "reference_direction"):
        assert first[8][name] == pytest.approx(first[1][name], rel=1e-4), name
