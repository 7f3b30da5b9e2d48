"""The released weights: always on synthetic pairs, and on real pairs if available."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fusejax
from fusejax.data.folders import PairFolder
from fusejax.data.synthetic import synthetic_pair
from fusejax.inference.fuser import Fuser
from fusejax.io.images import to_float
from fusejax.metrics import evaluate
from fusejax.ops.color import rgb_to_luma
from fusejax.weights.files import load_weights, shipped_weights


@pytest.fixture(scope="module")
def fuser():
    return Fuser.load("angularfuse")


def test_weights_are_the_documented_network():
    assert "angularfuse" in shipped_weights()
    _, config, metadata = load_weights("angularfuse")
    assert config.widths == (8, 16, 32, 32)
    assert metadata["steps"] == 3600
    assert metadata["config"]["data"]["root"] == ""


@pytest.mark.slow
def test_targets_that_the_night_hides_are_in_the_fused_image(fuser):
    """If infrared shows a warm target and the visible image almost nothing, the fused image shows
    the target.
    """
    gains = []
    for seed in (1, 3, 5):
        pair = synthetic_pair(seed, size=(128, 128))
        fused = rgb_to_luma(to_float(fuser.fuse(pair["ir"], pair["vi"])))
        vi_y = rgb_to_luma(to_float(pair["vi"]))
        for x1, y1, x2, y2 in pair["boxes"].astype(int):
            warm = pair["ir"][y1:y2, x1:x2] > np.percentile(pair["ir"], 95)
            if warm.sum() > 20:
                gains.append((fused - vi_y)[y1:y2, x1:x2][warm].mean())
    assert len(gains) >= 3
    assert np.mean(gains) > 0.2


@pytest.mark.slow
def test_the_public_function_keeps_color(fuser):
    pair = synthetic_pair(2, size=(64, 96))
    fused = fusejax.fuse(pair["ir"], pair["vi"], weights="angularfuse")
    assert fused.shape == pair["vi"].shape
    assert np.ptp(fused.astype(int), axis=-1).mean() > 5
    np.testing.assert_array_equal(fused, fuser.fuse(pair["ir"], pair["vi"]))


@pytest.mark.slow
def test_real_pairs_score_above_the_plain_average(fuser, data_root):
    source = PairFolder(data_root / "msrs" / "test_dev")
    for index in (0, 4):
        pair = source[index]
        ir, vi_y = to_float(pair["ir"])[None], rgb_to_luma(to_float(pair["vi"]))[None]
        methods = np.stack([fuser.fuse_luma(ir, vi_y), (ir + vi_y) / 2])
        scores = evaluate(methods, ir, vi_y, convention="cddfuse", metrics=("SD", "AG", "VIF", "Qabf"))
        for name, (ours, average) in scores.items():
            assert ours[0] > average[0], f"{pair['id']}: {name}"


@pytest.mark.slow
def test_the_demo_fuses_scores_and_draws(tmp_path):
    script = Path(__file__).parents[2] / "scripts" / "demo.py"
    command = [sys.executable, str(script), "--out", str(tmp_path), "--pairs", "2"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "convention exact" in result.stdout
    assert len(list((tmp_path / "fused" / "panels").glob("*.png"))) == 2
    assert (tmp_path / "scores" / "metrics.csv").is_file()
