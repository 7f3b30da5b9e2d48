"""Kills of commands at random moments.

Nothing half may have a final name, and the same command must end the work. Commands run in forks of
a process that has imported them, because imports take longer than most of the work.
"""

import dataclasses
import hashlib
import json
import multiprocessing
import os
import random
import shutil
import time
import uuid
from collections.abc import Mapping, Sequence
from fractions import Fraction
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np

_FORKS = multiprocessing.get_context("forkserver")
_IMPORTED = ("fuse", "live", "evaluate", "compare", "export", "align", "ablate")
_ABLATION = """
import dataclasses
from fusejax.config import OptimConfig, StageConfig, TrainConfig
from fusejax.data.config import ComMaskConfig, DataConfig
from fusejax.evaluation.ablation import Ablation
from fusejax.losses import ObjectiveConfig, TermConfig
from fusejax.models import AngularFuseConfig

def get_ablation(data_root, out, full_size):
    stage = StageConfig(ObjectiveConfig((TermConfig("reference_intensity"),)), 
                        optim=OptimConfig(learning_rate=1e-3), steps=6)
    one = TrainConfig(name="one", model=AngularFuseConfig(widths=(2, 4), heads=None, residual_blocks=1),
                      data=DataConfig(synthetic=4, crop=16, com_mask=ComMaskConfig(patch_sizes=(4,))),
                      stages=(stage,), batch_size=2, log_every=1, save_every=3)
    return Ablation("kills", {"one": one, "two": dataclasses.replace(one, name="two")}, {"pairs": "made up"})
"""
# Kills of 100 that each command gets.
SHARES = {"fuse": 16, "video": 12, "live": 10, "evaluate": 14, "compare": 14, "export": 12, "align": 10, "ablate": 12}


@dataclasses.dataclass
class Tally:
    """What happened to one command."""

    kills: int = 0
    completed: int = 0
    faults: list[str] = dataclasses.field(default_factory=list)


def make_sources(root: Path) -> None:
    """Pairs of images, two videos with the same content, and the configuration of an ablation."""
    from fusejax.data.synthetic import write_synthetic_folder
    from fusejax.io.images import read_image
    from fusejax.io.video_writing import VideoWriter, from_pixels

    write_synthetic_folder(root / "pairs", count=6, size=(192, 256))
    write_synthetic_folder(root / "other", count=4, size=(192, 256), seed=9)
    for kind in ("ir", "vi"):
        frames = [read_image(path) for path in sorted((root / "pairs" / kind).iterdir())]
        with VideoWriter(root / f"{kind}.mkv", codec="ffv1", rate=Fraction(10)) as video:
            for n in range(24):
                pixels = np.broadcast_to(frames[n % len(frames)], (*frames[0].shape[:2], 3))
                video.write(from_pixels(pixels.copy()), index=n)
    (root / "small.py").write_text(_ABLATION)


def commands(root: Path) -> dict[str, list[str]]:
    """Words of each command by name, to which the folder of the results is appended."""
    pairs = ["--ir", f"{root}/pairs/ir", "--vi", f"{root}/pairs/vi"]
    videos = ["--ir", f"{root}/ir.mkv", "--vi", f"{root}/vi.mkv"]
    compared = ["--data-root", str(root), "--sets", "pairs", "--weights", "average", "--metrics", "MI", "SSIM"]
    exported = ["--weights", "light", "--format", "stablehlo", "--size", "64x48"]
    aligned = ["--target", f"{root}/pairs", "--auxiliary", f"{root}/other"]
    return {
        "fuse": ["fuse", *pairs, "--weights", "average", "--panel", "--keep-ir", "--skip-existing", "--out", "{out}"],
        "video": ["fuse", *videos, "--weights", "average", "--preview", "--out", "{out}/fused.mkv"],
        "live": ["live", *videos, "--weights", "average", "--http", "off", "--out", "{out}/fused.mkv"],
        "evaluate": ["evaluate", *pairs, "--weights", "average", "--metrics", "MI", "SSIM", "--out", "{out}"],
        "compare": ["compare", *compared, "--rules", "maximum", "--out", "{out}"],
        "export": ["export", *exported, "--out", "{out}/light.stablehlo"],
        "align": ["align", *aligned, "--stride", "64", "--out", "{out}"],
        "ablate": ["ablate", f"{root}/small.py", "--data-root", str(root), "--seeds", "1", "--out", "{out}"],
    }


def run_here(words: list[str], said: Path) -> None:
    """Runs a command in this process, in a session of its own; what it says goes to a file."""
    os.setsid()
    with said.open("w") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    from fusejax.cli.main import main

    main(words)


def start(words: list[str], out: Path) -> BaseProcess:
    """The command in a process of its own, which writes what it says to OUT.txt."""
    out.mkdir(parents=True, exist_ok=True)
    words = [word.replace("{out}", str(out)) for word in words]
    process = _FORKS.Process(target=run_here, args=(words, out.with_suffix(".txt")))
    process.start()
    return process


def ended(process: BaseProcess) -> int:
    """Waits for the end of a process and returns its status."""
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def contents(folder: Path, *, hidden: bool = False) -> dict[str, str]:
    """SHA-256 of every file by its name; those of unfinished work have hidden names."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        unfinished = any(part.startswith(".") or "orbax-checkpoint-tmp" in part for part in Path(name).parts)
        if path.is_file() and unfinished == hidden:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def listing(folder: Path) -> frozenset[str]:
    """All names, whose changes are the moments to kill at."""
    try:
        return frozenset(path.as_posix() for path in folder.rglob("*"))
    except OSError:  # removed while it was listed
        return frozenset()


def watch(process: BaseProcess, out: Path, changes: int) -> int:
    """Waits until names in a folder have changed so often, or the process has ended.

    Returns:
        How often they did.
    """
    seen, number = listing(out), 0
    while process.is_alive() and number < changes:
        time.sleep(0.002)
        if (now := listing(out)) != seen:
            seen, number = now, number + 1
    return number


def broken(path: Path) -> str | None:
    """Why a file whose bytes may differ from run to run is not whole."""
    try:
        if path.suffix == ".png":
            from fusejax.io.images import read_image

            read_image(path)
        elif path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix in (".mkv", ".mp4"):
            from fusejax.io.video import VideoFile, count_frames

            if not count_frames(VideoFile(path)):
                return "holds no frames"
    except (ValueError, OSError) as error:
        return str(error)
    return None


def wrong(out: Path, whole: Mapping[str, str], varying: frozenset[str]) -> list[str]:
    """What is wrong with the files that have final names."""
    problems = []
    for name, found in contents(out).items():
        if name.startswith("runs/"):  # checkpoints and logs of training have a test of their own
            continue
        if name not in whole:
            problems.append(f"{name} is in no complete result")
        elif name not in varying and found != whole[name]:
            problems.append(f"{name} differs from that of a run without kills")
        elif name in varying and (why := broken(out / name)):
            problems.append(f"{name}: {why}")
    return problems


def living(sessions: Sequence[int]) -> list[int]:
    """Processes that the killed ones have left behind."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if int(fields[3]) in sessions and fields[0] != "Z":
            found.append(int(entry.parent.name))
    return found


def run_until_killed(words: list[str], out: Path, changes: int, rng: random.Random) -> tuple[bool, int]:
    """Starts a command and kills it at a random moment.

    Returns:
        Whether it was killed before it ended, and its number.
    """
    process, moment = start(words, out), rng.randint(0, changes)
    if moment:
        watch(process, out, moment)
        time.sleep(rng.choice((0.0, rng.uniform(0.0, 0.05), rng.uniform(0.0, 0.5))))
    else:
        time.sleep(rng.uniform(0.0, 4.0))
    killed = process.is_alive()
    process.kill()
    process.join()
    return killed, process.pid or 0


def soak_command(name: str, words: list[str], root: Path, kills: int, rng: random.Random, until: float) -> Tally:
    """Kills a command up to four times, checks after each kill, and then lets it end the work."""
    tally, whole, changes, varying = Tally(), {}, 0, frozenset()
    place = root / f"{name}-{uuid.uuid4().hex}"
    for n in range(2):
        process = start(words, out := place / f"whole{n}")
        changes = watch(process, out, 10**9)
        if ended(process):
            tally.faults.append(f"without kills: {out.with_suffix('.txt').read_text()[-500:]}")
            return tally
        found = contents(out)
        lossy = {file for file in found if file.endswith(".mp4")}  # whose encoder's threads may differ
        varying = varying | lossy | {file for file in whole if whole[file] != found.get(file)}
        whole = found
    turn, sessions = 0, []
    while tally.kills < kills and time.time() < until:
        turn += 1
        out = place / f"out{turn}"
        for _ in range(min(rng.randint(2, 4), kills - tally.kills)):
            killed, number = run_until_killed(words, out, changes, rng)
            sessions.append(number)
            if not killed:
                break
            tally.kills += 1
            tally.faults += [f"{name}, kill {tally.kills}: {text}" for text in wrong(out, whole, varying)]
        process = start(words, out)
        status, said = ended(process), out.with_suffix(".txt")
        complete = {file for file in whole if not file.startswith("runs/")} <= contents(out).keys()
        if not complete or (status and "already exist" not in said.read_text()):
            tally.faults.append(f"{name}: the same command does not end the work: {said.read_text()[-500:]}")
        elif problems := wrong(out, whole, varying):
            tally.faults += [f"{name}, in the end: {text}" for text in problems]
        elif not status and (left := [n for n in contents(out, hidden=True) if not n.startswith("runs/")]):
            tally.faults.append(f"{name}: {', '.join(left)} is left")
        else:
            tally.completed += 1
            shutil.rmtree(out)
    time.sleep(5)
    tally.faults += [f"{name}: process {number} lives on" for number in living(sessions)]
    return tally


def soak_commands(root: Path, kills: int, seed: int, until: float, only: Sequence[str] = ()) -> bool:
    """Kills commands and prints a line for each.

    Args:
        root: folder for all files.
        kills: number of kills if all commands are killed.
        seed: where moments are drawn from.
        until: time after which no more are killed.
        only: names of the commands; by default all of `SHARES`.

    Returns:
        Whether nothing was lost and all kills were made.
    """
    make_sources(root / "sources")
    before, rng, made, faults = contents(root / "sources"), random.Random(seed), 0, 0
    _FORKS.set_forkserver_preload([f"fusejax.cli.{name}" for name in _IMPORTED])
    chosen = {name: words for name, words in commands(root / "sources").items() if name in (only or SHARES)}
    for name, words in chosen.items():
        wanted = max(1, kills * SHARES[name] // 100)
        tally = soak_command(name, words, root / "work", wanted, rng, until)
        made, faults = made + tally.kills, faults + len(tally.faults)
        print(f"{name}: {tally.kills} kills, the same command completed {tally.completed} results", flush=True)
        for fault in tally.faults:
            print(f"  {fault}", flush=True)
    lost = contents(root / "sources") != before
    print(f"{made} kills, {faults} faults, sources {'changed' if lost else 'unchanged'}")
    return (
        not faults
        and not lost
        and made >= sum(max(1, kills * share // 100) for share in (SHARES[name] for name in chosen))
    )
