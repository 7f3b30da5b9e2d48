"""Kills a small training run, or commands, with SIGKILL at random moments; nothing may be lost.

    python scripts/soak.py --kills 50
    python scripts/soak.py --what commands --kills 100

The script first makes an uninterrupted run. Then it starts the same run again and kills it: during
startup, between steps, and while a checkpoint is being written. Each restart must resume from the
newest checkpoint that was complete at the kill. In the end, parameters, optimizer state and the
loss of every step must be bit-equal to those of the uninterrupted run. The last line is the result;
the exit status is 0 only if nothing was lost and all kills were made. With `--what commands`, fuse
(images and videos), live, evaluate, compare, export, align and ablate are killed; after each kill,
every file with a final name must be whole, and the same command must end the work
(`fuzzing/kills.py`).
"""

import contextlib
import dataclasses
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Literal

import tyro

sys.path.insert(0, str(Path(__file__).parent))

from fuzzing.kills import soak_commands

SAVE_EVERY = 3


def train(workdir: Path, steps: int) -> None:
    """The work of the killed process: the network that compiles fastest, on synthetic pairs."""
    from fusejax.config import OptimConfig, StageConfig, TrainConfig
    from fusejax.data.config import ComMaskConfig, DataConfig
    from fusejax.losses import ObjectiveConfig, TermConfig
    from fusejax.models import LightConfig
    from fusejax.training.loop import fit

    terms = (TermConfig("reference_intensity"), TermConfig("angle_magnitude"), TermConfig("angle_direction"))
    stage = StageConfig(ObjectiveConfig(terms), optim=OptimConfig(learning_rate=1e-3), steps=steps)
    config = TrainConfig(
        name="soak",
        model=LightConfig(width=4, blocks=1),
        data=DataConfig(synthetic=8, crop=16, com_mask=ComMaskConfig(patch_sizes=(4, 8))),
        stages=(stage,),
        batch_size=2,
        log_every=1,
        save_every=SAVE_EVERY,
    )
    fit(config, workdir)


def start(workdir: Path, steps: int) -> subprocess.Popen:
    env = os.environ | {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "PYTHONUNBUFFERED": "1"}
    env.setdefault("JAX_COMPILATION_CACHE_DIR", str(workdir.parent / "compiled"))
    command = [sys.executable, __file__, "--child", str(workdir), "--steps", str(steps)]
    return subprocess.Popen(command, env=env, stdout=(workdir.parent / "said").open("w"), stderr=subprocess.STDOUT)


def logged(workdir: Path) -> list[dict]:
    """Lines about training steps; a kill may have truncated one."""
    file, found = workdir / "log.jsonl", []
    for line in file.read_text().splitlines() if file.exists() else []:
        with contextlib.suppress(json.JSONDecodeError):
            found.append(json.loads(line))
    return [line for line in found if line["kind"] == "train"]


def lines_logged(workdir: Path) -> int:
    file = workdir / "log.jsonl"
    return file.read_bytes().count(b"\n") if file.exists() else 0


def committed(workdir: Path) -> int:
    """The newest complete checkpoint; 0 if there is none."""
    return max((int(p.name) for p in workdir.glob("checkpoints/*") if p.name.isdigit()), default=0)


def half_written(workdir: Path) -> bool:
    return any(workdir.glob("checkpoints/*.orbax-checkpoint-tmp"))


def resumed_at(workdir: Path) -> int | None:
    """The step from which the running process resumed; None if it has not resumed yet."""
    found = re.search(r"soak (?:continues|starts) at step (\d+)", (workdir.parent / "said").read_text())
    return int(found[1]) if found else None


def kill_at_random(process: subprocess.Popen, workdir: Path, rng: random.Random, until: float) -> bool:
    """Kills the process during startup, between steps or during a save; False if it had ended."""
    moment = rng.choices(("start", "step", "save"), (1, 3, 6))[0]
    if moment == "start":
        until = min(until, time.time() + rng.uniform(0.0, 4.0))
    before, ahead = lines_logged(workdir), rng.randint(1, 3 * SAVE_EVERY)
    while process.poll() is None and time.time() < until:
        come = moment != "start" and lines_logged(workdir) - before >= ahead
        if come and (moment == "step" or half_written(workdir)):
            time.sleep(rng.uniform(0.0, 0.02))
            break
        time.sleep(0.001)
    killed = process.poll() is None
    process.kill()
    process.wait()
    return killed


def state_fingerprints(workdir: Path, steps: int) -> dict:
    """Bit-exact fingerprints of parameters, optimizer state and step
    (`fusejax.weights.fingerprint`).
    """
    return json.loads((workdir / "checkpoints" / str(steps) / "meta" / "metadata").read_text())["leaves"]


def weights(workdir: Path) -> dict[str, bytes]:
    from safetensors.numpy import load_file  # the order of the metadata in the file's header varies

    return {name: array.tobytes() for name, array in load_file(workdir / "weights.safetensors").items()}


def soak(root: Path, kills: int, seed: int, until: float) -> bool:
    """Runs everything, prints the result and returns whether nothing was lost."""
    steps, rng = 12 * kills, random.Random(seed)
    unbroken, broken = root / "unbroken", root / "broken"
    unbroken.mkdir()
    broken.mkdir()
    started = time.time()
    if start(unbroken, steps).wait():
        sys.exit(f"the unbroken run failed:\n{(root / 'said').read_text()}")
    print(f"unbroken run: {steps} steps in {time.time() - started:.1f} s", flush=True)
    made = restarts = lost = during_save = most_repeated = 0
    complete = reached = 0
    started = time.time()
    while time.time() < until:
        process = start(broken, steps)
        killed = kill_at_random(process, broken, rng, until) if made < kills else process.wait() != 0
        resumed = resumed_at(broken)
        if made:
            restarts += 1
            if resumed is not None:
                most_repeated = max(most_repeated, reached - resumed)
                lost += resumed < complete
        if process.returncode >= 0:  # ended by itself
            if process.returncode:
                print((root / "said").read_text())
                lost += 1
            break
        made += killed
        complete, during_save = committed(broken), during_save + half_written(broken)
        reached = max((line["step"] for line in logged(broken)), default=0)
        print(f"kill {made}: step {reached}, newest checkpoint {complete}, resumed from {resumed}", flush=True)
    seconds = time.time() - started
    finished = (broken / "weights.safetensors").exists()
    losses = {line["step"]: line["loss"] for line in logged(unbroken)}
    same_log = {line["step"] for line in logged(broken)} == losses.keys()
    same_log &= all(line["loss"] == losses[line["step"]] for line in logged(broken))
    equal = finished and state_fingerprints(broken, steps) == state_fingerprints(unbroken, steps)
    equal = equal and weights(broken) == weights(unbroken)
    print(f"{during_save} kills left a half-written checkpoint; at most {most_repeated} steps were done again")
    print(f"{seconds:.0f} s, {seconds / max(made, 1):.1f} s per kill; every step logged with the same loss: {same_log}")
    print(
        f"{made} kills, {restarts} restarts, {lost} checkpoints lost, "
        f"parameters bit-equal: {'yes' if equal else 'no' if finished else 'run not finished'}"
    )
    return made == kills and not lost and equal and same_log


@dataclasses.dataclass(frozen=True)
class SoakOptions:
    """How often and how long.

    Attributes:
        what: what is killed.
        kills: number of kills.
        only: names of the commands to kill; by default all.
        seed: seed of the random kill times.
        minutes: stop after this time, with exit status 1 if not all kills were made.
        out: new folder for the run, which is kept; by default a temporary one.
        child: folder of a run to train in this process; set by the script itself.
        steps: length of that run.
    """

    what: Literal["training", "commands"] = "training"
    kills: int = 50
    only: tuple[str, ...] = ()
    seed: int = 0
    minutes: float = 60.0
    out: Path | None = None
    child: Path | None = None
    steps: int = 0


def main(options: SoakOptions) -> None:
    """Exits with 0 only if nothing was lost and all kills were made."""
    if options.child:
        train(options.child, options.steps)
        return
    root = options.out or Path(tempfile.mkdtemp(prefix="soak-"))
    root.mkdir(parents=True, exist_ok=options.out is None)
    try:
        given = root.absolute(), options.kills, options.seed, time.time() + 60 * options.minutes
        good = soak(*given) if options.what == "training" else soak_commands(*given, options.only)
    finally:
        if options.out is None:
            shutil.rmtree(root)
    sys.exit(not good)


if __name__ == "__main__":
    main(tyro.cli(SoakOptions))
