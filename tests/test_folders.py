"""Pairing by stem, the field's folder layouts, and every way a folder can be wrong."""

import numpy as np
import pytest

from fusejax.data.folders import JoinedSource, PairError, PairFolder, find_pair_folders, match_pairs
from fusejax.data.images import write_image


def fill(folder, names, size=(8, 9), channels=1, suffix=".png"):
    for value, name in enumerate(names):
        write_image(folder / f"{name}{suffix}", np.full((*size, channels), value, np.uint8))


@pytest.mark.parametrize(
    ("ir", "vi"),
    [
        ("ir", "vi"),
        ("Ir", "Vis"),
        ("infrared", "visible"),
        ("Inf", "Vis"),
        ("cropinfrared", "crop_LR_visible"),
        ("THERMAL", "RGB"),
        ("train/ir", "train/vi"),
        ("Train/IR", "Train/VI"),
    ],
)
def test_known_layouts(tmp_path, ir, vi):
    fill(tmp_path / ir, ["a", "b"])
    fill(tmp_path / vi, ["a", "b"], channels=3, suffix=".bmp")
    source = PairFolder(tmp_path, split="train")
    assert [source[n]["id"] for n in range(len(source))] == ["a", "b"]
    assert source[1]["ir"].shape == (8, 9, 1)
    assert source[1]["vi"].shape == (8, 9, 3)


def test_sequences_keep_their_names(tmp_path):
    for sequence in ("s1", "s2"):
        fill(tmp_path / "train" / sequence / "ir", ["0000", "0001"])
        fill(tmp_path / "train" / sequence / "vi", ["0000", "0001"])
    source = PairFolder(tmp_path, split="train")
    assert [p.id for p in source.pairs] == ["s1/0000", "s1/0001", "s2/0000", "s2/0001"]
    assert len(PairFolder(tmp_path / "train")) == 4


def test_pairs_are_matched_by_stem_not_by_order(tmp_path):
    fill(tmp_path / "ir", ["b", "a", "c"])  # b holds 0, a holds 1
    fill(tmp_path / "vi", ["a", "b", "c"], channels=3)  # a holds 0, b holds 1
    source = PairFolder(tmp_path)
    assert [(p["id"], p["ir"].max(), p["vi"].max()) for p in (source[0], source[1])] == [("a", 1, 0), ("b", 0, 1)]


def test_each_problem_is_named_and_can_be_skipped(tmp_path):
    fill(tmp_path / "ir", ["good", "alone_ir", "small", "cut"])
    fill(tmp_path / "vi", ["good", "alone_vi", "small", "cut"], channels=3)
    write_image(tmp_path / "ir" / "small.png", np.zeros((4, 4), np.uint8))
    whole = (tmp_path / "vi" / "cut.png").read_bytes()
    (tmp_path / "vi" / "cut.png").write_bytes(whole[:40])
    with pytest.raises(PairError) as error:
        PairFolder(tmp_path)
    message = str(error.value)
    for part in ("4 of 5 pairs", "alone_ir.png has no visible", "alone_vi.png has no infrared", "small.png is 4x4 but"):
        assert part in message
    assert "cut.png" in message
    assert "--skip-bad" in message
    source = PairFolder(tmp_path, skip_bad=True)
    assert [p.id for p in source.pairs] == ["good"]
    assert len(source.skipped) == 4


def test_same_stem_twice_empty_and_missing_folders(tmp_path):
    fill(tmp_path / "ir", ["a"])
    fill(tmp_path / "ir", ["a"], suffix=".jpg")
    fill(tmp_path / "vi", ["a"])
    with pytest.raises(PairError, match="share the stem 'a'; keep one"):
        match_pairs(tmp_path / "ir", tmp_path / "vi")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PairError, match="empty holds no pictures"):
        match_pairs(tmp_path / "empty", tmp_path / "vi")
    with pytest.raises(PairError, match="nowhere is not a folder"):
        match_pairs(tmp_path / "nowhere", tmp_path / "vi")


def test_a_root_without_pairs_says_what_it_found(tmp_path):
    (tmp_path / "pictures").mkdir()
    with pytest.raises(PairError, match=r"holds no infrared and visible folder.*found: pictures"):
        find_pair_folders(tmp_path)
    with pytest.raises(PairError, match="is not a folder"):
        find_pair_folders(tmp_path / "absent")


def test_joined_sources_run_one_after_the_other():
    joined = JoinedSource([["a", "b"], ["c"], ["d", "e"]])
    assert [joined[n] for n in range(len(joined))] == ["a", "b", "c", "d", "e"]


def test_real_sets_are_found(data_root):
    assert len(PairFolder(data_root / "roadscene" / "train")) == 169
    assert len(PairFolder(data_root / "m3svd" / "train")) == 28
    pair = PairFolder(data_root / "roadscene", split="val")[0]
    assert pair["ir"].shape[:2] == pair["vi"].shape[:2]
    assert pair["ir"].shape[2] == 1
