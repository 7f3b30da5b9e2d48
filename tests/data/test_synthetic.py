"""Synthetic pairs.

They depend only on the seed, and each modality contains information that the other lacks.
"""

import pickle

import numpy as np
import pytest

from fusejax.data.folders import PairFolder
from fusejax.data.synthetic import SyntheticPairs, synthetic_pair, write_synthetic_folder
from fusejax.io.images import to_float
from fusejax.ops.color import rgb_to_luma

DAYS, NIGHTS = range(0, 16, 2), range(1, 17, 2)


def pair(seed, size=(128, 160)):
    return synthetic_pair(seed, size=size)


def contrast(plane, box):
    """|mean inside - mean of the ring around| of a box, in gray levels of 0..1."""
    x1, y1, x2, y2 = (round(float(v)) for v in box)
    margin = 6
    inside = plane[y1:y2, x1:x2]
    outer = plane[max(0, y1 - margin) : y2 + margin, max(0, x1 - margin) : x2 + margin]
    ring = (outer.sum() - inside.sum()) / max(1, outer.size - inside.size)
    return abs(inside.mean() - ring)


def contrasts(seeds):
    """(infrared, visible) contrast of every target, [n, 2]."""
    found = []
    for seed in seeds:
        p = pair(seed)
        ir, vi_y = to_float(p["ir"])[..., 0], rgb_to_luma(to_float(p["vi"]))[..., 0]
        found += [(contrast(ir, box), contrast(vi_y, box)) for box in p["boxes"]]
    return np.array(found)


@pytest.mark.parametrize("size", [(16, 16), (97, 131), (131, 97), (64, 256)])
def test_types_sizes_and_boxes(size):
    for seed in range(6):
        p = pair(seed, size)
        assert p["ir"].shape == (*size, 1)
        assert p["vi"].shape == (*size, 3)
        assert p["ir"].dtype == p["vi"].dtype == np.uint8
        assert p["boxes"].dtype == np.float32
        x1, y1, x2, y2 = p["boxes"].T
        assert ((x1 >= 0) & (y1 >= 0) & (x2 <= size[1]) & (y2 <= size[0])).all()
        assert ((x2 > x1) & (y2 > y1)).all()


def test_every_draw_follows_from_the_seed():
    first, again, other = pair(4), pair(4), pair(6)
    for name in ("ir", "vi", "boxes"):
        np.testing.assert_array_equal(first[name], again[name])
    assert np.abs(first["vi"].astype(float) - other["vi"]).mean() > 10
    assert first["id"] == "day_000004"


def test_days_are_bright_and_nights_dark_while_warmth_stays():
    day, night = ([pair(s) for s in seeds] for seeds in (DAYS, NIGHTS))
    assert min(p["vi"].mean() for p in day) > 80
    assert max(p["vi"].mean() for p in night) < 40
    assert abs(np.mean([p["ir"] for p in day]) - np.mean([p["ir"] for p in night])) < 10
    assert {p["id"].split("_")[0] for p in day} == {"day"}


def test_targets_are_warm_and_hardly_visible_at_night():
    day, night = contrasts(DAYS), contrasts(NIGHTS)
    assert len(night) >= 16
    # Medians, because single boxes are dominated by other targets within the ring, or by a street
    # lamp.
    assert min(np.median(day[:, 0]), np.median(night[:, 0])) > 0.12
    assert np.median(night[:, 1]) < 0.035  # 9 of 255 levels
    assert np.median(day[:, 1]) > 2.5 * np.median(night[:, 1])


def test_some_edges_are_known_to_one_modality_only():
    for seed in (0, 1, 2, 3):
        p = pair(seed)
        ir, vi_y = to_float(p["ir"])[..., 0], rgb_to_luma(to_float(p["vi"]))[..., 0]
        edges_ir, edges_vi = (np.hypot(*np.gradient(x)) for x in (ir, vi_y))
        assert ((edges_ir > 0.05) & (edges_vi < 0.02)).sum() > 20
        assert ((edges_vi > 0.05) & (edges_ir < 0.02)).sum() > 20


def test_the_visible_image_is_colored():
    for seed in (0, 1):
        vi = to_float(pair(seed)["vi"])
        blue_and_red = (vi - rgb_to_luma(vi))[..., [2, 0]] / (1.772, 1.402)  # BT.601 chroma
        assert np.abs(blue_and_red).max() > 0.1


def test_the_source_is_random_access_and_travels_to_workers():
    source = pickle.loads(pickle.dumps(SyntheticPairs(5, size=(32, 40), seed=3)))
    assert len(source) == 5
    assert len({p["id"] for p in source}) == 5
    np.testing.assert_array_equal(source[2]["vi"], list(source)[2]["vi"])
    with pytest.raises(IndexError, match="Index 5 is out of range for 5"):
        source[5]


def test_the_written_folder_holds_the_same_pairs(tmp_path):
    write_synthetic_folder(tmp_path, count=3, size=(32, 40), seed=1)
    drawn = {p["id"]: p for p in SyntheticPairs(3, size=(32, 40), seed=1)}
    source = PairFolder(tmp_path)
    assert {p["id"] for p in source} == drawn.keys()
    for p in source:
        np.testing.assert_array_equal(p["ir"], drawn[p["id"]]["ir"])
        np.testing.assert_array_equal(p["vi"], drawn[p["id"]]["vi"])


def test_too_small_a_street_is_refused():
    with pytest.raises(ValueError, match=r"size is \(8, 64\); each side must have at least 16 pixels"):
        synthetic_pair(0, size=(8, 64))
