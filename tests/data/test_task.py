"""Pairs other than infrared and visible ones: folders, training, colors, made-up pairs."""

import numpy as np
import pytest

from fusejax.data.config import DataConfig
from fusejax.data.folders import PairFolder
from fusejax.data.layouts import find_pair_folders
from fusejax.data.made_up_pairs import made_up_pair, truth_psnr, write_made_up_pairs
from fusejax.data.pipeline import open_sources, training_batches
from fusejax.inference.loading import load
from fusejax.inference.other_pairs import fuse_pair_of, merged_color
from fusejax.io.images import read_image
from fusejax.io.pairing import PairError
from fusejax.ops.color import rgb_to_luma


@pytest.mark.parametrize(("task", "first", "second"), [("multi-focus", "far", "near"), ("mri-color", "mri", "pet")])
def test_a_task_names_the_folders_and_the_first_source_gives_luma(task, first, second, tmp_path):
    write_made_up_pairs(tmp_path, task, count=2, size=(48, 64), first_seed=3)
    assert list(find_pair_folders(tmp_path, task=task).values()) == [(tmp_path / first, tmp_path / second)]
    with pytest.raises(PairError, match="no infrared and visible folders"):
        find_pair_folders(tmp_path)
    with pytest.raises(PairError, match=r"called over or oe and under or ue \(multi-exposure\)"):
        find_pair_folders(tmp_path, task="multi-exposure")
    pair = PairFolder(tmp_path, task=task)[0]
    pixels = read_image(tmp_path / first / "000003.png")
    np.testing.assert_allclose(pair["ir"], rgb_to_luma(pixels.astype(np.float32)), atol=0.51)
    data = DataConfig(root=str(tmp_path), task=task, crop=32, com_mask=None)
    batch = next(iter(training_batches(open_sources(data), data, batch_size=2, seed=0)))
    assert batch["ir"].shape == batch["vi_y"].shape == (2, 32, 32, 1)


def test_each_side_of_a_focus_pair_is_sharp_somewhere_and_the_truth_everywhere():
    pair = made_up_pair("multi-focus", 1)
    detail = {name: np.abs(np.diff(rgb_to_luma(image)[..., 0], axis=0)) for name, image in pair.items()}
    top, bottom = np.s_[:20], np.s_[-20:]
    for part, sharp, blurred in ((top, "first", "second"), (bottom, "second", "first")):
        assert detail[sharp][part].mean() > 1.3 * detail[blurred][part].mean()
        np.testing.assert_allclose(pair[sharp][part][:-1], pair["truth"][part][:-1], atol=0.02)
    assert truth_psnr(pair["truth"], pair["truth"]) == pytest.approx(100)


def test_exposures_lose_lights_and_shadows():
    pair = made_up_pair("multi-exposure", 2)
    assert (pair["first"] == 1).mean() > 0.1 > (pair["truth"] == 1).mean()
    assert len(np.unique(pair["second"])) <= 64 < len(np.unique(pair["truth"]))
    assert rgb_to_luma(pair["first"]).mean() > rgb_to_luma(pair["truth"]).mean() > rgb_to_luma(pair["second"]).mean()


def test_phantoms_have_fine_anatomy_and_coarse_color():
    pair = made_up_pair("mri-color", 0)
    assert np.ptp(pair["first"], axis=-1).max() == 0 < np.ptp(pair["second"], axis=-1).max()
    detail = [np.abs(np.diff(rgb_to_luma(pair[name]), axis=0)).mean() for name in ("first", "second")]
    assert detail[0] > 2 * detail[1]


def test_color_comes_from_the_second_source_or_from_both():
    rule = load("average")
    gray, colored = np.full((24, 32, 3), 90, np.uint8), np.zeros((24, 32, 3), np.uint8)
    colored[...] = (180, 60, 20)
    second = fuse_pair_of("mri-color", rule, gray, colored).astype(float)
    red, green, blue = second[0, 0]
    assert red > green > blue
    both = fuse_pair_of("multi-focus", rule, colored, gray).astype(float)  # the color is in the first source
    assert both[0, 0, 0] > both[0, 0, 1] > both[0, 0, 2]
    lumas = [rgb_to_luma(x.astype(np.float32))[0, 0, 0] for x in (gray, colored)]
    for fused in (second, both):
        assert rgb_to_luma(fused)[0, 0, 0] == pytest.approx(np.mean(lumas), abs=1)


def test_merged_color_keeps_the_stronger_chroma():
    colored, gray = np.array([[[0.6, 0.3, 0.2]]], np.float32), np.full((1, 1, 3), 0.4, np.float32)
    chroma = colored - rgb_to_luma(colored)
    for pair in ((colored, gray), (gray, colored)):
        merged = merged_color(*pair)
        np.testing.assert_allclose(merged - rgb_to_luma(merged), chroma, atol=1e-3)
