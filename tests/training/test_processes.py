"""Real processes on loopback: the same run on any arrangement of devices, and resuming it on
another one.
"""

import dataclasses
import json
import signal
import socket
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from devices import COMMAND, environment
from safetensors.numpy import load_file

from fusejax.config import load_config
from fusejax.data.synthetic import write_synthetic_folder
from fusejax.evaluation.validation import Validation
from fusejax.training.loop import RETRY, fit
from fusejax.training.processes import Processes, join_processes, launched_processes

CONFIG_FILE = Path(__file__).parents[1] / "configs" / "tiny_mesh.py"
STEPS = load_config(str(CONFIG_FILE)).stages[0].steps


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Pairs for training and, an odd number, for scoring by two processes together."""
    root = tmp_path_factory.mktemp("pairs")
    write_synthetic_folder(root / "train", count=24, size=(32, 32))
    write_synthetic_folder(root / "val", count=3, size=(32, 40))
    return root


def launch(workdir, pairs, *arguments, processes=1, devices=1):
    """Starts `fusejax train` in one or more processes with the given number of virtual devices
    each.
    """
    command = [*COMMAND, "train", str(CONFIG_FILE), "--workdir", str(workdir), "--data.root", str(pairs)]
    command += ["--data.folders", "train", "--data.synthetic", "0", *arguments]
    join = ["--distributed", "--coordinator", f"127.0.0.1:{free_port()}", "--num-processes", str(processes)]
    return [
        subprocess.Popen(
            command + ([*join, "--process-id", str(n)] if processes > 1 else []),
            env=environment(devices),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for n in range(processes)
    ]


def finish(running, code=0):
    """The outputs of processes that must end with `code`, within minutes."""
    try:
        outputs = [process.communicate(timeout=300) for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [code] * len(running), outputs
    return outputs


def logged(workdir, kind="train"):
    path = workdir / "log.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [line for line in lines if line["kind"] == kind]


def stop_after(running, workdir, step, which=0):
    """Sends SIGTERM to one of the processes once `step` is logged, like a launcher or a preemption
    notice.
    """
    until = time.time() + 300
    while not any(line["step"] >= step for line in logged(workdir)):
        if time.time() > until or any(process.poll() is not None for process in running):
            for process in running:
                process.kill()
            raise AssertionError([process.communicate() for process in running])
        time.sleep(0.002)
    running[which].send_signal(signal.SIGTERM)


@pytest.fixture(scope="module")
def unbroken(pairs, tmp_path_factory):
    """The run by one process on one device."""
    workdir, config = tmp_path_factory.mktemp("unbroken"), load_config(str(CONFIG_FILE))
    options = {"root": str(pairs), "folders": ("train",), "validation": ("val",), "synthetic": 0}
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, **options))
    fit(config, workdir, validate=Validation.of(config))
    return workdir


def difference(workdir, other):
    """Relative distance of all weights together."""
    a, b = (load_file(w / "weights.safetensors") for w in (workdir, other))
    assert a.keys() == b.keys()
    distance, size = (
        np.sqrt(sum(np.sum(np.square(x, dtype=np.float64)) for x in xs))
        for xs in ([a[k] - b[k] for k in a], a.values())
    )
    return distance / size


@pytest.mark.slow
def test_a_run_that_goes_on_with_other_processes_and_devices_equals_one_device(unbroken, pairs, tmp_path, say):
    """Every leg restores a state that was spread over another mesh, and is stopped by a signal."""
    score = ["--data.validation", "val"]
    running = launch(tmp_path, pairs, *score, "--mesh.fsdp", "2", processes=2, devices=2)
    stop_after(running, tmp_path, 3, which=1)
    (first, second) = finish(running, RETRY)
    assert (
        "on 4 device(s) (2 data x 2 fsdp), process 0 of 2" in first[0]
        and "; repeat the command to resume the run" in first[0]
    )
    assert "train" not in second[0]  # one process speaks for all
    assert 3 <= logged(tmp_path)[-1]["step"] < STEPS

    for devices, mesh in ((8, ("--mesh.data", "2", "--mesh.fsdp", "4")), (1, ()), (4, ())):
        running = launch(tmp_path, pairs, *score, *mesh, devices=devices)
        stop_after(running, tmp_path, logged(tmp_path)[-1]["step"] + 1)
        finish(running, RETRY)
    finish(launch(tmp_path, pairs, *score, "--mesh.fsdp", "-1", "--mesh.data", "1", processes=2, devices=2))

    assert [line["step"] for line in logged(tmp_path)] == list(range(1, STEPS + 1))
    legs = [(line["processes"], line["devices"]) for line in logged(tmp_path, "start")]
    assert legs == [(2, 4), (1, 8), (1, 1), (1, 4), (2, 4)]
    for line, expected in zip(logged(tmp_path), logged(unbroken), strict=True):
        assert line["loss"] == pytest.approx(expected["loss"], rel=1e-5)  # of the same images
    (scores,), (expected,) = logged(tmp_path, "validation"), logged(unbroken, "validation")
    for name in ("EN", "SSIM", "Qabf"):  # each process has fused some of the pairs, with the averaged weights
        assert scores[name] == pytest.approx(expected[name], rel=1e-3)
    drawn = [path.name for path in (tmp_path / "panels").iterdir()]  # pairs of the first process, and crops
    assert len(drawn) == 3 and f"training_crops_{STEPS:07}.png" in drawn
    say(f"2 x 2, 8 (2 x 4 fsdp), 1, 4 and 2 x 2 devices, against 1: {difference(unbroken, tmp_path):.1e}")
    assert difference(unbroken, tmp_path) < 1e-5


@pytest.mark.slow
def test_eight_devices_equal_one(unbroken, pairs, tmp_path, say):
    finish(launch(tmp_path, pairs, devices=8))
    say(f"8 devices, data, against 1: {difference(unbroken, tmp_path):.1e}")
    assert difference(unbroken, tmp_path) < 1e-5


def test_several_processes_that_would_each_train_alone_are_refused(monkeypatch):
    assert launched_processes({}) == (1, "")
    assert launched_processes({"SLURM_STEP_NUM_TASKS": "1", "TPU_WORKER_HOSTNAMES": "a"}) == (1, "")
    assert launched_processes({"TPU_WORKER_HOSTNAMES": "a,b,c"}) == (3, "the TPU slice")
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    with pytest.raises(ValueError, match="Slurm started 4 processes, and each would train a separate run"):
        join_processes(Processes())
    with pytest.raises(ValueError, match="with all of --coordinator"):
        Processes(distributed=True, coordinator="host:1")
    with pytest.raises(ValueError, match="with all of --coordinator"):
        Processes(coordinator="host:1", num_processes=2, process_id=0)
