"""Patches on a fixed grid, and samples without flips: CrossFuse's training data."""

import dataclasses
import itertools

import numpy as np
import pytest

from fusejax.cli.align import AlignOptions, align_command
from fusejax.config import load_config
from fusejax.data.alignment import AlignConfig
from fusejax.data.config import DataConfig
from fusejax.data.folders import PairFolder
from fusejax.data.grid import PatchGrid, pair_sizes
from fusejax.data.pipeline import open_sources, training_batches
from fusejax.data.synthetic import SyntheticPairs
from fusejax.io.images import write_image
from fusejax.training.stages import plan_stages

SIZE, STRIDE = 16, 20
SIZES = ((30, 44), (36, 57), (16, 16))  # height, width


def positions(h, w):
    """A pair whose pixels encode their position: infrared has the row, visible the column."""
    rows, columns = np.mgrid[:h, :w].astype(np.uint8)
    return rows[..., None], np.repeat(columns[..., None], 3, axis=-1)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("pairs")
    for n, size in enumerate(SIZES):
        for kind, image in zip(("ir", "vi"), positions(*size), strict=True):
            write_image(root / kind / f"p{n}.png", image)
    return root


@pytest.fixture
def config(root):
    return DataConfig(root=str(root), crop=SIZE, patch_stride=STRIDE, flips=False, com_mask=None)


def corners(source):
    return {source[n]["id"]: (int(source[n]["ir"][0, 0, 0]), int(source[n]["vi"][0, 0, 0])) for n in range(len(source))}


def test_patches_lie_on_the_grid_and_incomplete_ones_are_dropped(config):
    """Counted by hand: widths 44, 57 and 16 have patches at 0 and 20, at 0, 20 and 40, and at 0."""
    (source,) = open_sources(config)
    assert isinstance(source, PatchGrid)
    assert corners(source) == {
        "p0_0_0": (0, 0),
        "p0_0_20": (0, 20),
        "p1_0_0": (0, 0),
        "p1_0_20": (0, 20),
        "p1_0_40": (0, 40),
        "p1_20_0": (20, 0),
        "p1_20_20": (20, 20),
        "p1_20_40": (20, 40),
        "p2_0_0": (0, 0),
    }
    rows, columns = np.mgrid[20 : 20 + SIZE, 40 : 40 + SIZE]
    np.testing.assert_array_equal(source[7]["ir"][..., 0], rows)
    np.testing.assert_array_equal(source[7]["vi"][..., 2], columns)


@pytest.mark.parametrize("keep", [False, True])
def test_an_epoch_holds_every_patch_once_upright_and_always_the_same(config, keep):
    config = dataclasses.replace(config, keep_decoded=keep)
    batches = training_batches(open_sources(config), config, batch_size=1, seed=3)
    seen = list(itertools.islice(batches, 27))
    for epoch in (seen[:9], seen[9:18], seen[18:]):
        assert sorted(str(b["id"][0]) for b in epoch) == sorted(corners(open_sources(config)[0]))
    by_name = {}
    for b in seen:
        pixels = np.round(255 * np.stack([b["ir"], b["vi_y"]])).astype(int)
        assert (np.diff(pixels[0, 0, ..., 0], axis=0) == 1).all()  # not mirrored
        assert (np.diff(pixels[1, 0, ..., 0], axis=1) == 1).all()
        np.testing.assert_array_equal(by_name.setdefault(str(b["id"][0]), pixels), pixels)


def test_by_default_crops_are_drawn_and_flipped_as_before(root):
    plain = DataConfig(root=str(root), crop=SIZE, com_mask=None)
    assert (plain.patch_stride, plain.flips) == (0, True)
    (source,) = open_sources(plain)
    assert isinstance(source, PairFolder)
    batches = training_batches([source], plain, batch_size=1, seed=3)
    rows = [np.round(255 * b["ir"][0, :, 0, 0]).astype(int) for b in itertools.islice(batches, 40)]
    assert {int(r[1] - r[0]) for r in rows} == {-1, 1}


def test_boxes_follow_their_patch():
    source = SyntheticPairs(6, (64, 64), 0)
    grid = PatchGrid(source, pair_sizes(source), size=32, stride=32)
    assert len(grid) == 24
    patches = [grid[n] for n in range(24)]
    assert any(len(p["boxes"]) for p in patches)
    for patch in patches:
        assert patch["boxes"].shape == (len(patch["labels"]), 4)
        assert ((patch["boxes"] >= 0) & (patch["boxes"] <= 32)).all()
    whole = {(p["id"], label) for p in (source[n] for n in range(6)) for label in p["labels"]}
    assert {(p["id"].rsplit("_", 2)[0], label) for p in patches for label in p["labels"]} <= whole


@pytest.mark.slow
def test_aligned_patches_keep_their_number_and_foreign_share(root, tmp_path):
    """All samples in one list without shares, as in the author's training file."""
    plan = tmp_path / "plan.json"
    align_command(AlignOptions(root, root, plan, config=AlignConfig(patch=SIZE, stride=8, k=5)))
    config = DataConfig(
        str(root), crop=SIZE, patch_stride=STRIDE, flips=False, auxiliary=".", alignment=str(plan), com_mask=None
    )
    grid, aligned = open_sources(config)
    assert (len(grid), len(aligned)) == (9, 5)
    names = [
        str(b["id"][0]) for b in itertools.islice(training_batches([grid, aligned], config, batch_size=1, seed=0), 14)
    ]
    assert sum(name in corners(aligned) for name in names) == 5


def test_crossfuse_trains_on_the_authors_patches():
    config = load_config("crossfuse")
    assert (config.data.crop, config.data.patch_stride, config.data.flips) == (64, 200, False)
    # The author's file has 160 epochs of 207 batches of 8.
    assert plan_stages(config, 1656)[-1].end == 33_120


def test_real_pairs_give_the_authors_share(data_root):
    config = dataclasses.replace(load_config("crossfuse").data, root=str(data_root), folders=("roadscene/train",))
    (grid,) = open_sources(config)
    assert len(grid) == 851
    assert 800 / (800 + len(grid)) == pytest.approx(0.48, abs=0.01)


def test_a_negative_stride_is_refused():
    with pytest.raises(ValueError, match=r"data\.patch_stride is -1; it must be at least 0"):
        DataConfig(patch_stride=-1)
