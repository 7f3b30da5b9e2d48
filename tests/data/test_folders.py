"""Pairing by stem for the field's folder layouts, and one message for each kind of invalid folder.
"""

import re

import cv2
import numpy as np
import pytest

from fusejax.data.config import DataConfig
from fusejax.data.folders import JoinedSource, PairFolder
from fusejax.data.layouts import find_pair_folders
from fusejax.io.images import write_image
from fusejax.io.pair_finding import find_pairs
from fusejax.io.pairing import PairError, list_images

LAYOUTS = [
    ("ir", "vi"),
    ("Ir", "Vis"),
    ("infrared", "visible"),
    ("Inf", "Vis"),
    ("INFRARED", "VISIBLE"),
    ("thermal", "rgb"),
    ("cropinfrared", "crop_LR_visible"),
]


def gray(level, size=(6, 8)):
    return np.full((*size, 1), level, np.uint8)


def rgb(level, size=(6, 8)):
    return np.full((*size, 3), level, np.uint8)


def write_pairs(folder, stems, *, ir="ir", vi="vi", size=(6, 8), suffix=".png"):
    """Pairs whose gray level is their index, with infrared 100 above visible."""
    for level, stem in enumerate(stems):
        write_image(folder / ir / f"{stem}{suffix}", gray(level + 100, size))
        write_image(folder / vi / f"{stem}.png", rgb(level, size))
    return folder


@pytest.mark.parametrize(("ir", "vi"), LAYOUTS)
@pytest.mark.parametrize("above", ["", "train"])
def test_the_fields_folder_names_are_found(tmp_path, ir, vi, above):
    write_pairs(tmp_path / above, ["a", "b"], ir=ir, vi=vi)
    source = PairFolder(tmp_path, split="train")
    assert [p["id"] for p in source] == ["a", "b"]
    assert source[1]["ir"].shape == (6, 8, 1)
    assert source[1]["vi"].shape == (6, 8, 3)


def test_images_are_paired_by_stem_not_by_order(tmp_path):
    for level, stem in enumerate(["x", "a", "m"]):
        write_image(tmp_path / "ir" / f"{stem}{('.png', '.bmp', '.TIF')[level]}", gray(level + 100))
        write_image(tmp_path / "vi" / f"{stem}.png", rgb(level))
    source = PairFolder(tmp_path)
    assert [p["id"] for p in source] == ["a", "m", "x"]
    for pair in source:
        assert pair["ir"][0, 0, 0] == pair["vi"][0, 0, 0] + 100


def test_pixels_come_as_stored(tmp_path):
    write_image(tmp_path / "ir" / "a.png", np.repeat(gray(200), 3, axis=-1))
    write_image(tmp_path / "vi" / "a.png", gray(7).astype(np.uint16))
    pair = PairFolder(tmp_path)[0]
    assert (pair["ir"].shape, pair["ir"].dtype, pair["ir"].max()) == ((6, 8, 1), np.uint8, 200)
    assert (pair["vi"].shape, pair["vi"].dtype, pair["vi"].max()) == ((6, 8, 3), np.uint16, 7)


@pytest.mark.parametrize("above", ["", "train"])
def test_sequences_give_their_name_to_the_pairs(tmp_path, above):
    for sequence in ("0111_1753", "0114_1609"):
        write_pairs(tmp_path / above / sequence, ["0000", "0001"])
    (tmp_path / above / "annotations").mkdir()
    source = PairFolder(tmp_path, split="train")
    assert [p["id"] for p in source] == ["0111_1753/0000", "0111_1753/0001", "0114_1609/0000", "0114_1609/0001"]


def test_a_split_inside_the_modalities(tmp_path):
    write_pairs(tmp_path, ["a"], ir="infrared/train", vi="visible/train")
    write_pairs(tmp_path, ["b"], ir="infrared/test", vi="visible/test")
    assert [p["id"] for p in PairFolder(tmp_path, split="test")] == ["b"]


def test_splits_are_never_taken_for_sequences(tmp_path):
    write_pairs(tmp_path / "train", ["a"])
    write_pairs(tmp_path / "test", ["b"])
    assert [p["id"] for p in PairFolder(tmp_path, split="test")] == ["b"]
    with pytest.raises(PairError, match=r"contains splits \(test, train\), but no split was given; name one"):
        PairFolder(tmp_path)
    with pytest.raises(PairError, match="none is called 'val'"):
        PairFolder(tmp_path, split="val")


def test_names_without_partner(tmp_path):
    write_pairs(tmp_path, ["a", "b"])
    write_image(tmp_path / "ir" / "only_ir.png", gray(0))
    write_image(tmp_path / "vi" / "only_vi.png", rgb(0))
    with pytest.raises(PairError) as caught:
        find_pairs(tmp_path / "ir", tmp_path / "vi")
    message = str(caught.value)
    assert "2 of 4 pairs cannot be used" in message
    assert re.search(r"only_ir\.png has no visible partner", message)
    assert re.search(r"only_vi\.png has no infrared partner", message)
    assert "--skip-bad" in message


def bad_sizes(root):
    write_image(root / "vi" / "bad.png", rgb(0, (6, 9)))
    write_image(root / "ir" / "bad.png", gray(0))
    return r"ir.bad\.png is 8x6 but .*vi.bad\.png is 9x6; register or resize the pair first"


def bad_cut(root):
    write_pairs(root, ["bad"], size=(64, 64))
    data = (root / "vi" / "bad.png").read_bytes()
    (root / "vi" / "bad.png").write_bytes(data[:-20])
    return r"vi.bad\.png: the file is truncated; copy or download it again"


def bad_text(root):
    write_pairs(root, ["bad"])
    (root / "ir" / "bad.png").write_text("moved")
    return r"ir.bad\.png: not a readable image"


def bad_twice(root):
    write_pairs(root, ["bad"])
    write_image(root / "vi" / "bad.jpg", rgb(3))
    return r"bad\.jpg and .*bad\.png share the stem 'bad'; keep one of them"


def bad_partner(root):
    write_image(root / "vi" / "bad.png", rgb(0))
    return r"vi.bad\.png has no infrared partner"


@pytest.mark.parametrize("spoil", [bad_sizes, bad_cut, bad_text, bad_twice, bad_partner])
def test_bad_pairs_are_named_before_any_work_or_left_out(tmp_path, spoil):
    write_pairs(tmp_path, ["a", "c"])
    message = spoil(tmp_path)
    with pytest.raises(PairError, match=rf"(?s)1 of 3 pairs cannot be used.*{message}.*Fix them"):
        PairFolder(tmp_path)
    source = PairFolder(tmp_path, skip_bad=True)
    assert [p["id"] for p in source] == ["a", "c"]
    assert len(source.skipped) == 1
    assert re.search(message, source.skipped[0])


def test_problems_of_all_sequences_are_reported_at_once(tmp_path):
    for sequence in ("one", "two"):
        write_pairs(tmp_path / sequence, ["a"])
        bad_sizes(tmp_path / sequence)
    with pytest.raises(PairError, match=r"(?s)2 of 4 pairs.*one.ir.bad.*two.ir.bad"):
        PairFolder(tmp_path)


def test_images_smaller_than_the_crop(tmp_path):
    write_pairs(tmp_path, ["large"], size=(32, 40))
    write_pairs(tmp_path, ["small"], size=(32, 15))
    with pytest.raises(PairError, match=r"small\.png is 15x32, smaller than the crop of 16 pixels; lower data\.crop"):
        PairFolder(tmp_path, min_side=16)
    assert [p["id"] for p in PairFolder(tmp_path, min_side=16, skip_bad=True)] == ["large"]


def test_long_lists_are_shortened(tmp_path):
    write_pairs(tmp_path, ["a"])
    for n in range(30):
        write_image(tmp_path / "ir" / f"extra_{n:02d}.png", gray(0))
    with pytest.raises(PairError, match="30 of 31 pairs") as caught:
        PairFolder(tmp_path)
    assert "and 22 more" in str(caught.value)
    assert "extra_20" not in str(caught.value)


def test_nothing_usable_is_an_error_even_when_skipping(tmp_path):
    bad_sizes(tmp_path)
    with pytest.raises(PairError, match=r"(?s)bad\.png is 8x6.*No usable pair is left"):
        PairFolder(tmp_path, skip_bad=True)


def test_folders_without_pairs(tmp_path):
    with pytest.raises(PairError, match=r"nowhere does not exist"):
        PairFolder(tmp_path / "nowhere")
    (tmp_path / "images").mkdir()
    with pytest.raises(PairError, match=r"has no infrared and visible folders .*found: images"):
        PairFolder(tmp_path)
    (tmp_path / "ir").mkdir()
    with pytest.raises(PairError, match=r"ir has no partner: .* needs one of the folders vi, vis, visible"):
        PairFolder(tmp_path)
    (tmp_path / "vi").mkdir()
    with pytest.raises(PairError, match=r"ir has no images \(\.png"):
        PairFolder(tmp_path)


def test_folders_that_share_no_name(tmp_path):
    write_image(tmp_path / "ir" / "0001_a.png", gray(0))
    write_image(tmp_path / "vi" / "0001_b.png", rgb(0))
    with pytest.raises(PairError, match=r"have no file stem in common \(examples: 0001_a\.png and 0001_b\.png\)"):
        PairFolder(tmp_path, skip_bad=True)


def test_hidden_files_and_other_kinds_are_no_images(tmp_path):
    write_pairs(tmp_path, ["a"])
    for name in ("._a.png", ".DS_Store", "Thumbs.db", "a.json"):
        (tmp_path / "ir" / name).write_text("x")
    assert list(list_images(tmp_path / "ir")) == ["a"]


def test_joined_sources_keep_their_order(tmp_path):
    joined = JoinedSource([PairFolder(write_pairs(tmp_path / n, stems)) for n, stems in [("1", "ab"), ("2", "cde")]])
    assert len(joined) == 5
    assert [p["id"] for p in joined] == list("abcde")
    for index in (-1, 5):
        with pytest.raises(IndexError, match="for 5 pairs"):
            joined[index]


@pytest.mark.slow
def test_every_real_set_opens(data_root):
    counts = {"roadscene/train": 169, "msrs128/train": 1062, "m3svd/train": 28, "llvip/test_dev": 6, "tno/test_dev": 22}
    assert {name: len(PairFolder(data_root / name)) for name in counts} == counts
    assert len(find_pair_folders(data_root / "m3svd", split="train")) == 2
    assert {p["vi"].shape[2] for p in PairFolder(data_root / "vifb" / "test_dev")} == {3}


def test_names_with_composed_and_decomposed_accents_match(tmp_path):
    write_image(tmp_path / "ir" / "ne\u0301.png", gray(0))
    write_image(tmp_path / "vi" / "n\u00e9.png", rgb(0))
    assert [p["id"] for p in PairFolder(tmp_path)] == ["n\u00e9"]


def test_folders_without_images_say_what_they_hold(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(PairError, match="it is empty"):
        list_images(tmp_path / "a")
    (tmp_path / "a" / "x.webp").touch()
    (tmp_path / "a" / "y.webp").touch()
    (tmp_path / "a" / "below").mkdir()
    with pytest.raises(PairError, match=r"it contains 2 files with \.webp and the folder below\. Convert the files"):
        list_images(tmp_path / "a")
    for suffix in (".pgm", ".jp2", ".npy"):
        (tmp_path / suffix).mkdir()
        (tmp_path / suffix / f"x{suffix}").touch()
        with pytest.raises(PairError, match=rf"1 file with \{suffix}\. Convert the file"):
            list_images(tmp_path / suffix)
    with pytest.raises(PairError, match=r"x\.webp is a file; expected a folder"):
        list_images(tmp_path / "a" / "x.webp")


def test_raw_thermal_is_read_with_a_given_range(tmp_path):
    """Counts and degrees of one scene become the same image, in steps of 1 / 65535."""
    scene = np.random.default_rng(0).random((8, 9))
    write_image(tmp_path / "vi" / "a.png", np.zeros((8, 9, 3), np.uint8))
    write_image(tmp_path / "vi" / "b.png", np.zeros((8, 9, 3), np.uint8))
    counts = np.round(7000 + 1000 * scene).astype(np.uint16)
    write_image(tmp_path / "ir" / "a.png", counts)
    cv2.imwrite(str(tmp_path / "ir" / "b.tif"), (counts / 10).astype(np.float32))
    found = PairFolder(tmp_path, ir_range=(7200, 7800))[0]["ir"]
    assert found.dtype == np.uint16
    np.testing.assert_allclose(found[..., 0] / 65535, np.clip((counts - 7200.0) / 600, 0, 1), atol=1e-5)
    degrees = PairFolder(tmp_path, ir_range=(720, 780))[1]["ir"]
    np.testing.assert_allclose(degrees.astype(int), found.astype(int), atol=2)
    with pytest.raises(ValueError, match=r"data\.ir_range is \(2\.0, 1\.0\); give two numbers LOW HIGH"):
        DataConfig(ir_range=(2.0, 1.0))
