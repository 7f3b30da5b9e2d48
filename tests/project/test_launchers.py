"""The launchers for TPU slices and Slurm; other programs stand in for gcloud, srun and training."""

import os
import subprocess
import time
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
# Runs the command as the worker would, in the folder of the test.
GCLOUD = '#!/usr/bin/env bash\nwhile [ "$1" != --command ]; do shift; done\ncd "$HOME" && exec bash -c "$2"\n'
# Exits with 75 at its first start, then works until it is told to stop.
TRAINING = """#!/usr/bin/env bash
echo "start $*" >>starts
[ "$(wc -l <starts)" -gt 1 ] || exit 75
trap 'echo saved >>starts; exit 75' TERM
for n in $(seq 600); do echo "step $n"; sleep 0.1; done
"""


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def launch(tmp_path):
    write(tmp_path / "bin" / "gcloud", GCLOUD)
    write(tmp_path / "fusejax" / ".venv" / "bin" / "fusejax", TRAINING)
    environment = os.environ | {"HOME": str(tmp_path), "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    environment |= {"TPU": "slice", "ZONE": "zone"}

    def launch(*words, check=True, **changes):
        command = ["bash", str(SCRIPTS / "run_tpu.sh"), *words]
        return subprocess.run(
            command, env=environment | changes, capture_output=True, text=True, check=check, timeout=60
        )

    yield launch
    launch("stop", check=False)


def wait_for(text, file):
    for _ in range(300):
        if file.exists() and text in file.read_text():
            return
        time.sleep(0.1)
    raise AssertionError(f"{file} does not say {text!r}: {file.read_text() if file.exists() else 'missing'}")


def test_a_run_on_a_tpu_goes_on_without_the_connection(tmp_path, launch):
    launch("light", "--workdir", "gs://bucket/a run")  # returns at once; nothing of it lives on
    work = tmp_path / "fusejax"
    wait_for("step 3", work / "tpu.log")
    starts = (work / "starts").read_text().splitlines()
    assert starts == ["start train light --workdir gs://bucket/a run --distributed"] * 2, "resumed after status 75"
    again = launch("light", check=False)
    assert again.returncode == 3 and "already running" in again.stderr
    launch("stop")
    wait_for("saved", work / "starts")
    number = int((work / "tpu.pid").read_text())
    for _ in range(100):
        if not Path(f"/proc/{number}").exists() or Path(f"/proc/{number}/stat").read_text().split()[2] == "Z":
            break
        time.sleep(0.1)
    else:
        raise AssertionError("the loop started training again")
    assert (work / "starts").read_text().splitlines()[2:] == ["saved"]


def test_a_launcher_without_its_settings_shows_how_it_is_used(launch):
    for words, changes in (((), {}), (("light",), {"TPU": ""})):
        found = launch(*words, check=False, **changes)
        assert found.returncode == 2 and "TPU=my-slice" in found.stderr


@pytest.mark.parametrize(("status", "requeued"), [(0, False), (75, True), (3, False)])
def test_slurm_requeues_what_was_asked_to_stop_and_gives_every_task_its_cores(tmp_path, status, requeued):
    write(tmp_path / "srun", f'#!/usr/bin/env bash\necho "srun $*" >>calls\nexit {status}\n')
    write(tmp_path / "scontrol", '#!/usr/bin/env bash\necho "scontrol $*" >>calls\n')
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "7"}
    environment |= {"SLURM_CPUS_ON_NODE": "96"}
    command = ["bash", str(SCRIPTS / "run_slurm.sh"), "light", "--workdir", "run"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    calls = (tmp_path / "calls").read_text()
    assert done.returncode == status and "--cpus-per-task 96" in calls
    assert ("scontrol requeue 7" in calls) == requeued
