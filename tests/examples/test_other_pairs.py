"""The example of other pairs: trains, fuses and continues."""

import importlib.util
from pathlib import Path

import pytest

from fusejax.io.images import read_image

FILE = Path(__file__).parents[2] / "examples/other_pairs.py"


@pytest.mark.slow
def test_pairs_are_trained_fused_and_scored_once(tmp_path, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("other_pairs", FILE)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    name = next(iter(example.LOSSES))
    monkeypatch.setattr(example, "LOSSES", {name: example.LOSSES[name]})
    monkeypatch.setattr(example, "TRAINED", 4)
    monkeypatch.setattr(example, "TESTED", 2)
    options = example.OtherPairsOptions(tmp_path, ("multi-focus",), steps=1)
    example.main(options)
    text = (tmp_path / "table.md").read_text()
    assert text in capsys.readouterr().out and "PSNR, dB" in text and f"| trained: {name} |" in text
    assert read_image(tmp_path / "multi-focus.png").shape[1] == 5 * 160 + 4 * 4
    monkeypatch.setattr(example, "write_made_up_pairs", None)
    monkeypatch.setattr(example, "fit", lambda config, run: None)
    example.main(options)
    assert (tmp_path / "table.md").read_text() == text
