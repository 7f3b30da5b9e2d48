"""Scripts that no other test runs still fit the library; what only they print, they print."""

import importlib
import re
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module


@pytest.mark.parametrize("name", sorted(path.stem for path in SCRIPTS.glob("*.py")))
def test_every_script_finds_what_it_imports(load, name):
    assert load(name).__doc__


def test_feeding_is_measured_from_both_kinds_of_storage(load, capsys):
    feeding = load("bench_feeding")
    feeding.speeds(feeding.FeedingOptions(count=8, batches=1, workers=(0,), crop=16))
    pattern = r"^{}, 0 workers +[\d.]+ pairs/s, +[\d.]+ MB/s decoded, +[\d.]+ MB/s stored, .*; waits \d+% of a loop"
    said = capsys.readouterr().out
    for kind in ("folder", "ArrayRecord"):
        assert re.search(pattern.format(kind), said, re.MULTILINE), said


def test_cost_by_number_of_pairs_is_printed(load, capsys):
    load("bench_feeding").epochs((200, 400), repeats=1)
    assert re.search(r"a pair at 400 pairs costs [\d.]+ times one at 200", capsys.readouterr().out)
