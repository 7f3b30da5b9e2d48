"""The released light network: its metadata, its stored scores, no seams between cells, the
default.
"""

import numpy as np
import pytest

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
    0: {"VIF": 1.4146, "Qabf": 0.7020, "SSIM": 1.0046},
    4: {"VIF": 1.2789, "Qabf": 0.6819, "SSIM": 0.9884},
}


@pytest.fixture(scope="module")
def fuser():
    return Fuser.load("light")


def test_weights_are_the_documented_network(fuser):
    params, config, metadata = load_weights("light")
    assert config == LightConfig()
    assert sum(x.size for part in params.values() for x in _leaves(part)) == 40_997
    assert metadata["steps"] == 4_000  # the last of five parts, see the card
    assert metadata["config"]["data"]["root"] == ""
    assert "light" in shipped_weights()


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
    change = 255 * np.abs(same - shifted[:, inner : -inner - shift, inner : -inner - shift])
    say(f"light, shifted by {shift}: mean {change.mean():.2f}, 99.9 % {np.quantile(change, 0.999):.2f} levels")
    assert change.mean() < 1.0
    # A seam would show as a change that is larger in some columns of a cell than in others.
    columns = np.array([change[:, :, n::4].mean() for n in range(4)])
    assert columns.max() < 1.5 * columns.min() + 0.05
