"""A short run of `scripts/fuzz.py`; its docstring says what counts as a fault."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "fuzz.py"


def fuzz(*words):
    return subprocess.run([sys.executable, str(SCRIPT), *words], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_damaged_files_are_refused_by_name():
    pytest.importorskip("av")
    done = fuzz("--images", "200", "--texts", "150", "--videos", "40", "--weights", "0", "--commands", "0")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count(" 0 at fault") == 3
    assert "images: 200 cases" in done.stdout


@pytest.mark.slow
def test_faults_are_found(tmp_path):
    """The harness sees wrong errors, crashes, hangs and images that another decoder refuses."""
    code = """
import os, sys, time
sys.path.insert(0, {folder!r})
import fuzz, fuzzing
from fuzzing.cases import Cases
class Broken(Cases):
    def prepare(self, number, rng):
        acts = [lambda: None, lambda: 1 / 0, os.abort, lambda: time.sleep(60), lambda: "odd", lambda: int("x")]
        return None, acts[number]
fuzzing.KINDS["texts"] = fuzz.KINDS["texts"] = Broken
if __name__ == "__main__":
    sys.exit(fuzz.main(fuzz.Options(images=0, weights=0, commands=0, texts=6, limit=2)))
"""
    path = tmp_path / "broken.py"
    path.write_text(code.format(folder=str(SCRIPT.parent)))
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    for line in (
        "texts:1 ZeroDivisionError",
        "texts:2 crashed with status -6",
        "texts:3 takes more than 2 s",
        "texts:4 odd",
    ):
        assert line in done.stdout
    assert "1 accepted, 1 refused by name, 4 at fault" in done.stdout
