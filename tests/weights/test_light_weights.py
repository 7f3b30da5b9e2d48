"""The released light network: its metadata, its stored scores, no seams between cells, the
default.
"""

import numpy as np
import pytest
from scipy import ndimage

import fusejax
from fusejax.data.folders import PairFolder
from fusejax.data.synthetic import synthetic_pair
from fusejax.inference.fuser import Fuser
from fusejax.io.images import to_float
from fusejax.metrics import evaluate
from fusejax.models import LightConfig
from fusejax.ops.color import rgb_to_luma
from fusejax.weights.files import load_weights, shipped_weights

# VIF, Qabf and SSIM of pairs 0 and 4 of msrs/test_dev, convention `cddfuse`.
STORED = {
    0: {"VIF": 1.0968, "Qabf": 0.6045, "SSIM": 0.9105},
    4: {"VIF": 0.9682, "Qabf": 0.5297, "SSIM": 0.8987},
}


@pytest.fixture(scope="module")
def fuser():
    return Fuser.load("light")


def test_weights_are_the_documented_network(fuser):
    params, config, metadata = load_weights("light")
    assert config == LightConfig()
    assert sum(x.size for part in params.values() for x in _leaves(part)) == 40_997
    assert metadata["steps"] == 3_851  # of five runs, see the card
    assert metadata["config"]["start_from"] == "light_metrics"
    assert metadata["config"]["data"]["root"] == ""
    assert "light" in shipped_weights()


def test_the_weights_for_the_metrics_are_still_there(fuser):
    """Under a name of their own, with a gray veil over a night that the default leaves dark."""
    assert "light_metrics" in shipped_weights()
    rng = np.random.default_rng(0)
    night = (0.06 + 0.02 * rng.random((1, 96, 96, 1))).astype(np.float32)
    ir = (0.4 + 0.01 * rng.random((1, 96, 96, 1))).astype(np.float32)
    ir[:, 40:60, 40:50] = 0.7
    now, before = (f.fuse_luma(ir, night) for f in (fuser, Fuser.load("light_metrics")))
    dark = np.s_[:, :24]
    assert (now - night)[dark].mean() < 10 / 255 < (before - night)[dark].mean()
    assert now[:, 44:56, 43:47].mean() - now[:, 44:56, 24:32].mean() > 0.24  # the person: 0.3 in infrared


def test_a_person_in_front_of_headlights_is_seen():
    """The visible image is blown out there: it has no contrast at all."""
    rows, columns = np.mgrid[:128, :160]
    vi = np.clip(0.1 + 1.5 * np.exp(-((rows - 64) ** 2 + (columns - 80) ** 2) / (2 * 24**2)), 0, 1)
    person = ndimage.gaussian_filter(((abs(columns - 80) < 5) & (abs(rows - 64) < 14)).astype(float), 1.0)
    ir = 0.4 + 0.25 * person
    pair = [x[None, ..., None].astype(np.float32) for x in (ir, vi)]
    inside = person > 0.9
    around = (abs(columns - 80) < 14) & (abs(rows - 64) < 20) & (person < 0.02) & (vi > 0.95)
    shown, before = (Fuser.load(name).fuse_luma(*pair)[0, ..., 0].clip(0, 1) for name in ("light", "light_metrics"))
    assert (shown[inside].mean() - shown[around].mean()) > 0.15
    assert (shown[inside].mean() - shown[around].mean()) > 2 * (before[inside].mean() - before[around].mean())


def _leaves(tree):
    return [x for v in tree.values() for x in _leaves(v)] if isinstance(tree, dict) else [tree]


def test_they_are_the_default(fuser):
    pair = synthetic_pair(2, size=(64, 96))
    np.testing.assert_array_equal(fusejax.fuse(pair["ir"], pair["vi"]), fuser.fuse(pair["ir"], pair["vi"]))


@pytest.mark.slow
def test_stored_scores_are_reproduced(fuser, data_root):
    source = PairFolder(data_root / "msrs" / "test_dev")
    for index, stored in STORED.items():
        pair = source[index]
        ir, vi_y = to_float(pair["ir"])[None], rgb_to_luma(to_float(pair["vi"]))[None]
        scores = evaluate(fuser.fuse_luma(ir, vi_y), ir, vi_y, convention="cddfuse", metrics=tuple(stored))
        for name, value in stored.items():
            assert scores[name][0] == pytest.approx(value, abs=1e-3), f"{pair['id']}: {name}"


def luma_pair(size):
    pair = synthetic_pair(3, size=size)
    return to_float(pair["ir"])[None], rgb_to_luma(to_float(pair["vi"]))[None]


@pytest.mark.parametrize("shift", [1, 2, 3])
def test_the_grid_of_cells_does_not_show(fuser, shift, say):
    """What a shift of the pair by less than a cell changes, against the same pixels; in levels of
    255.
    """
    ir, vi_y = luma_pair((160, 192))
    here = fuser.fuse_luma(ir[:, :-4, :-4], vi_y[:, :-4, :-4])
    window = np.s_[:, shift : shift - 4 or None, shift : shift - 4 or None]
    shifted = fuser.fuse_luma(ir[window], vi_y[window])
    inner = 24
    same = here[:, inner + shift : -inner, inner + shift : -inner]
    change = 255 * (shifted[:, inner : -inner - shift, inner : -inner - shift] - same)
    # Brightness follows the means over the image, which the shift changes: 1.8 levels for a shift
    # by a whole cell. That is smooth, and not the grid.
    change = np.abs(change - ndimage.gaussian_filter(change, (0, 8, 8, 0)))
    say(f"light, shifted by {shift}: mean {change.mean():.2f}, 99.9 % {np.quantile(change, 0.999):.2f} levels")
    assert change.mean() < 1.4
    # A seam would show as a change that is larger in some columns of a cell than in others.
    columns = np.array([change[:, :, n::4].mean() for n in range(4)])
    assert columns.max() < 1.5 * columns.min() + 0.05
