"""Real videos with the released light network: flicker decreases, and nothing else gets worse."""

import numpy as np
import pytest

from fusejax.inference.fuser import Fuser
from fusejax.inference.temporal import initial_state, settle
from fusejax.io.images import as_infrared, read_image, to_float
from fusejax.metrics import evaluate, evaluate_video
from fusejax.ops.color import rgb_to_luma

_PART = np.s_[112:368, 160:480]  # people, a lit facade; trees and a lawn
_SPATIAL = ("SD", "AG", "SCD", "Qabf", "SSIM")


@pytest.fixture(scope="module")
def rows(data_root):
    """For both sequences, scores of independently fused frames and of settled frames."""
    fuser, rows = Fuser.load("light"), []
    for folder in sorted((data_root / "m3svd" / "test_dev").iterdir()):
        names = sorted(path.name for path in (folder / "vi").iterdir())
        ir = [to_float(as_infrared(read_image(folder / "ir" / name)))[_PART] for name in names]
        vi_y = [rgb_to_luma(to_float(read_image(folder / "vi" / name)))[_PART] for name in names]
        alone = [fuser.fuse_luma(i[None], v[None]) for i, v in zip(ir, vi_y, strict=True)]
        state, settled = initial_state(256, 320), []
        for i, v, f in zip(ir, vi_y, alone, strict=True):
            state, fused = settle(state, i[None], v[None], f, 1 / 30, 0.5)
            settled.append(np.asarray(fused))
        rows.append([_scores([f[0] for f in fused], ir, vi_y) for fused in (alone, settled)])
    return rows


def _scores(fused, ir, vi_y):
    found = {k: np.nanmean(v) for k, v in evaluate_video(zip(fused, ir, vi_y, strict=True)).items()}
    spatial = [
        evaluate(f[None], i[None], v[None], metrics=_SPATIAL)
        for f, i, v in list(zip(fused, ir, vi_y, strict=True))[::4]
    ]
    return found | {name: np.mean([x[name] for x in spatial]) for name in _SPATIAL}


@pytest.mark.slow
def test_flicker_of_static_regions_goes_down_by_two_fifths(rows, say):
    for before, after in rows:
        say(f"m3svd flicker with light: {before['flicker']:.4f} to {after['flicker']:.4f} levels")
        assert after["flicker"] < 0.6 * before["flicker"]


@pytest.mark.slow
def test_warping_error_is_no_worse(rows, say):
    for before, after in rows:
        say(f"m3svd warping error with light: {before['WE']:.4f} to {after['WE']:.4f} levels")
        assert after["WE"] <= 1.001 * before["WE"]


@pytest.mark.slow
def test_image_metrics_stay_within_a_hundredth(rows):
    for before, after in rows:
        for name in _SPATIAL:
            np.testing.assert_allclose(after[name], before[name], rtol=0.01, err_msg=name)
