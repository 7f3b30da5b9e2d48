"""Whoever reads a file while it is written anew sees all of the old one or all of the new one."""

import ast
import contextlib
import os
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from etils import epath
from fusing import TINY, tiny_params

import fusejax
from fusejax.data.alignment import AlignConfig
from fusejax.data.alignment_plan import AlignPlan, save_plan
from fusejax.evaluation.results import Scores
from fusejax.evaluation.score_files import write_scores
from fusejax.io.images import write_image
from fusejax.io.maps import write_maps
from fusejax.io.outputs import write_complete
from fusejax.io.temperatures import write_temperatures
from fusejax.io.video_writing import VideoWriter
from fusejax.registration.rig import Rig, write_rig
from fusejax.report.files import write_tables
from fusejax.report.plots import plot_distributions
from fusejax.report.tables import score_table
from fusejax.training.workdir_lock import _Lock
from fusejax.web.runtime import _BINARIES, _SCRIPTS, copy_runtime
from fusejax.weights.files import save_weights

_WRITES = os.O_WRONLY | os.O_RDWR
_readers, _installed = [], []


def _look(event, arguments):
    for reader in _readers:
        reader(event, arguments)


def _state(path):
    """What a reader would open: which file, how long, when changed."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


@contextlib.contextmanager
def watched(folder):
    """Looks at the files of a folder whenever Python opens, renames or deletes any file.

    Yields a list of the files that have been replaced; fails if one was opened for writing, or was
    ever another than the first and the last.
    """
    if not _installed:
        sys.addaudithook(_look)  # cannot be removed
        _installed.append(True)
    files = [path for path in folder.rglob("*") if path.is_file()]
    seen, opened, replaced = {path: [_state(path)] for path in files}, [], []

    def reader(event, arguments):
        if event == "open" and isinstance(arguments[0], (str, os.PathLike)) and (arguments[2] or 0) & _WRITES:
            opened.append(Path(arguments[0]))
        for path, states in seen.items():
            if (state := _state(path)) != states[-1]:
                states.append(state)

    _readers.append(reader)
    try:
        yield replaced
    finally:
        _readers.remove(reader)
    assert not {path.resolve() for path in opened} & {path.resolve() for path in files}, "opened for writing"
    for path, states in seen.items():
        last = _state(path)
        assert set(states) <= {states[0], last}, f"{path.name} was seen in between"
        assert last is not None, f"{path.name} has gone"
        if last != states[0]:
            replaced.append(path.relative_to(folder).as_posix())


def scores(n):
    return Scores(("a", "b"), ("x", "y"), ("EN",), np.full((2, 1, 2, 1), float(n)), "exact")


def image(n):
    return np.full((16, 16, 3), 50 * n, np.uint8)


def runtime(folder, n):
    source = folder / "source"
    source.mkdir(exist_ok=True)
    for name in (*_SCRIPTS, *_BINARIES):
        write_complete(source / name, str(n) * 100)
    copy_runtime(folder / "page", source)


def video(folder, n):
    with VideoWriter(folder / "a.mkv", codec="ffv1", rate=Fraction(25)) as writer:
        for _ in range(3):
            writer.write(image(n))


def lock(folder, n):
    held = _Lock(epath.Path(folder / "train.lock"))
    held._content["beats"] = n
    held._write()


def maps(folder, n):
    shown = (image(n) / 255).astype(np.float32)
    write_maps(folder, "a", {"alpha": shown[..., :1]}, ir=shown, vi=shown, fused=shown)


WRITERS = {
    "png": lambda folder, n: write_image(folder / "a.png", image(n)),
    "jpg": lambda folder, n: write_image(folder / "a.jpg", image(n)),
    "tif": lambda folder, n: write_image(folder / "a.tif", image(n)),
    "temperatures": lambda folder, n: write_temperatures(folder / "a.tif", np.full((4, 4, 1), n, np.float32), "c"),
    "maps": maps,
    "video": video,
    "scores": lambda folder, n: write_scores(folder, [scores(n)]),
    "tables": lambda folder, n: write_tables(folder, [scores(n)], [score_table(scores(n))]),
    "figure": lambda folder, n: plot_distributions(folder / "a.png", scores(n)),
    "weights": lambda folder, n: save_weights(folder / "a.safetensors", tiny_params(), TINY, {"n": n}),
    "rig": lambda folder, n: write_rig(
        folder / "rig.json", Rig(np.eye(3) * n, (8, 8), (8, 8), "homography", 0.1, n, n)
    ),
    "plan": lambda folder, n: save_plan(
        folder / "plan.json", AlignPlan(AlignConfig(), *[(1.0, 1.0, 1.0)] * 4, 0.0, n, (), {}, ())
    ),
    "runtime": runtime,
    "lock": lock,
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_reader_never_sees_a_part(tmp_path, name):
    WRITERS[name](tmp_path, 1)
    with watched(tmp_path) as replaced:
        WRITERS[name](tmp_path, 2)
    made = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert made and set(replaced) == made, "all are written anew, and nothing else is left"


@pytest.mark.parametrize("write", [lambda p: p.write_text("new"), lambda p: (p.unlink(), write_complete(p, "new"))])
def test_writing_in_place_is_seen(tmp_path, write):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(AssertionError, match=r"opened for writing|in between"), watched(tmp_path):
        write(path)


# Who opens files for writing beside `write_complete` and `writing`, and why no reader sees a part.
DIRECT = {
    "io/outputs.py": "is the one function",
    "io/run_log.py": "a log is appended line by line; remote objects appear as a whole",
    "training/workdir_lock.py": "a new lock is created exclusively; remote objects appear as a whole",
    "training/checks.py": "a probe, which is deleted",
    "export/exporting.py": "in a hidden folder until it is compared",
    "inference/standalone.py": "uses nothing of this package; its output is the temporary file of the caller",
    "serve/app.py": "an upload, in a temporary folder of its own",
    "io/remote.py": "a copy of a remote file, in a temporary folder of its own",
    "inference/remote.py": "a list of such copies, likewise",
    "web/page.py": "in a hidden folder until it is complete",
    "io/video_writing.py": "FFmpeg writes the hidden file, frame by frame, until it is complete",
    "cli/streams.py": "the null device",
}
_WRITING_CALLS = ("write_text", "write_bytes", "savez", "imwrite", "copyfile", "copytree", "copy2")


def test_files_are_written_by_one_function():
    root = Path(fusejax.__file__).parent
    found = {path.relative_to(root).as_posix() for path in root.rglob("*.py") if any(_writes(path))}
    assert found == set(DIRECT)


def _writes(path):
    """The calls in a module that write to a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        words = [a.value for a in (*node.args, *(k.value for k in node.keywords)) if isinstance(a, ast.Constant)]
        modes = [word for word in words if isinstance(word, str) and word.strip("bt+") in ("w", "a", "x")]
        if name in _WRITING_CALLS or (name == "open" and modes):
            yield node
