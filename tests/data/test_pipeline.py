"""The input pipeline.

The content of a batch, and that it depends only on (configuration, seed, index).
"""

import dataclasses
import itertools
import zipfile
from collections import Counter

import numpy as np
import pytest

from fusejax.cli.align import AlignOptions, align_command
from fusejax.data.alignment import AlignConfig
from fusejax.data.config import ComMaskConfig, DataConfig
from fusejax.data.folders import PairError, PairFolder
from fusejax.data.pipeline import open_sources, open_validation, training_batches
from fusejax.data.synthetic import write_synthetic_folder
from fusejax.data.tfds import prepare
from fusejax.data.transforms import MaskInputs, RandomPairedCrop, RandomPairedFlip, ToLuma
from fusejax.io.images import write_image
from fusejax.ops.color import rgb_to_luma

CROP = 16
PAIRS = 7
MASKED = ComMaskConfig(probability=0.6, patch_sizes=(4,))


def positions(h, w):
    """A pair whose pixels encode their position: infrared has the row, visible the column."""
    rows, columns = np.mgrid[:h, :w].astype(np.uint8)
    return rows[..., None], np.repeat(columns[..., None], 3, axis=-1)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Pairs of several sizes in two folders."""
    root = tmp_path_factory.mktemp("pairs")
    for n in range(PAIRS):
        ir, vi = positions(20 + 3 * n, 44 - 3 * n)
        folder = root / ("one" if n < 3 else "two")
        write_image(folder / "ir" / f"p{n}.png", ir)
        write_image(folder / "vi" / f"p{n}.png", vi)
    return root


@pytest.fixture
def config(root):
    return DataConfig(root=str(root), folders=("one", "two"), crop=CROP, com_mask=MASKED)


def batches(config, count, *, batch_size=3, seed=5, **options):
    made = iter(training_batches(open_sources(config), config, batch_size=batch_size, seed=seed, **options))
    return list(itertools.islice(made, count))


def assert_same(a, b):
    assert len(a) == len(b)
    for left, right in zip(a, b, strict=True):
        assert left.keys() == right.keys()
        for name in left:
            np.testing.assert_array_equal(left[name], right[name], err_msg=name)


def test_a_batch_is_what_training_needs(config):
    (batch,) = batches(config, 1)
    assert batch.keys() == {"id", "ir", "vi_y", "ir_input", "vi_input"}
    assert batch["id"].shape == (3,)
    assert all(str(name).startswith("p") for name in batch["id"])
    for name in ("ir", "vi_y", "ir_input", "vi_input"):
        assert batch[name].shape == (3, CROP, CROP, 1)
        assert batch[name].dtype == np.float32
        assert 0 <= batch[name].min() <= batch[name].max() <= 1


def test_both_images_get_the_same_window_and_mirror():
    crop, flip, luma = RandomPairedCrop(CROP), RandomPairedFlip(), ToLuma()
    rng = np.random.default_rng(0)
    ir, vi = positions(40, 60)
    corners, mirrors = set(), set()
    for _ in range(200):
        pair = luma.map(flip.random_map(crop.random_map({"id": "p", "ir": ir, "vi": vi}, rng), rng))
        rows, columns = np.round(pair["ir"][..., 0] * 255), np.round(pair["vi_y"][..., 0] * 255)
        down, right = rows[1, 0] - rows[0, 0], columns[0, 1] - columns[0, 0]
        assert (np.abs([down, right]) == 1).all()
        np.testing.assert_array_equal(rows, rows[0, 0] + down * np.mgrid[:CROP, :CROP][0])
        np.testing.assert_array_equal(columns, columns[0, 0] + right * np.mgrid[:CROP, :CROP][1])
        mirrors.add((down, right))
        corners.add((rows.min(), columns.min()))
    assert len(mirrors) == 4
    tops, lefts = zip(*corners, strict=True)
    assert (min(tops), max(tops), min(lefts), max(lefts)) == (0, 40 - CROP, 0, 60 - CROP)  # borders included


def test_a_crop_that_does_not_fit_names_the_image():
    ir, vi = positions(15, 40)
    with pytest.raises(ValueError, match=r"FLIR_07: image 40x15 is smaller than the crop 16; lower data\.crop"):
        RandomPairedCrop(CROP).random_map({"id": "FLIR_07", "ir": ir, "vi": vi}, np.random.default_rng(0))


def test_luma_and_range_of_mixed_depths():
    rgb = np.random.default_rng(0).integers(0, 65536, (4, 5, 3), np.uint16)
    pair = ToLuma().map({"id": "p", "ir": np.full((4, 5, 1), 255, np.uint8), "vi": rgb})
    np.testing.assert_array_equal(pair["ir"], 1.0)
    np.testing.assert_allclose(pair["vi_y"], rgb_to_luma(rgb / 65535.0), atol=1e-6)  # float32 rounding


def test_masks_touch_the_inputs_only(config):
    plain = DataConfig(**{**vars(config), "com_mask": None})
    masked, clean = batches(config, 8), batches(plain, 8)
    hidden = 0
    for a, b in zip(masked, clean, strict=True):
        np.testing.assert_array_equal(b["ir"], b["ir_input"])
        np.testing.assert_array_equal(b["vi_y"], b["vi_input"])
        for name in ("id", "ir", "vi_y"):  # the mask's draws change neither order nor crop
            np.testing.assert_array_equal(a[name], b[name])
        sees_ir, sees_vi = a["ir_input"] == a["ir"], a["vi_input"] == a["vi_y"]
        assert (sees_ir | sees_vi).all()
        assert (a["ir_input"][~sees_ir] == 0).all()
        hidden += (~(sees_ir & sees_vi)).any(axis=(1, 2, 3)).sum()
    assert 0 < hidden < 24  # some pairs are masked, some are not


def test_mask_inputs_without_configuration_pass_the_pair_on():
    pair = {"id": "p", "ir": np.ones((4, 4, 1), np.float32), "vi_y": np.zeros((4, 4, 1), np.float32)}
    out = MaskInputs(None).random_map(pair, np.random.default_rng(0))
    assert out["ir_input"] is pair["ir"]
    assert out["vi_input"] is pair["vi_y"]


def test_an_epoch_holds_every_pair_once_and_epochs_differ_in_order(config):
    names = [str(n) for b in batches(config, 3 * PAIRS, batch_size=1) for n in b["id"]]
    epochs = [names[i : i + PAIRS] for i in range(0, 3 * PAIRS, PAIRS)]
    assert all(sorted(e) == [f"p{n}" for n in range(PAIRS)] for e in epochs)
    assert len({tuple(e) for e in epochs}) == 3
    assert names != [str(n) for b in batches(config, 3 * PAIRS, batch_size=1, seed=6) for n in b["id"]]


def test_a_pair_is_cut_anew_in_every_epoch(config):
    seen = [b for b in batches(config, 5 * PAIRS, batch_size=1) if b["id"][0] == "p4"]
    assert len({b["ir"].tobytes() + b["vi_y"].tobytes() for b in seen}) > 1


def test_the_same_seed_gives_the_same_batches(config):
    assert_same(batches(config, 4), batches(config, 4))


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_worker_processes_change_nothing_and_a_saved_state_goes_on_exactly(config, workers):
    expected = batches(config, 6)
    config = DataConfig(**{**vars(config), "workers": workers})
    first, second = (iter(training_batches(open_sources(config), config, batch_size=3, seed=5)) for _ in range(2))
    assert_same([next(first) for _ in range(3)], expected[:3])
    second.set_state(first.get_state())
    assert_same([next(first) for _ in range(3)], expected[3:])
    assert_same([next(second) for _ in range(3)], expected[3:])


@pytest.mark.slow
def test_one_worker_process_changes_nothing(config):
    assert_same(batches(DataConfig(**{**vars(config), "workers": 1}), 3, samples_seen=6), batches(config, 5)[2:])


@pytest.mark.parametrize("shards", [1, 2, 3])
def test_all_processes_together_see_one_sequence(config, shards):
    whole = batches(config, 4, batch_size=6)
    parts = [batches(config, 4, batch_size=6 // shards, shard_index=i, shard_count=shards) for i in range(shards)]
    for step in range(4):
        for name, expected in whole[step].items():
            joined = np.concatenate([part[step][name] for part in parts])  # process after process, as JAX joins them
            np.testing.assert_array_equal(joined, expected, err_msg=name)


def test_the_number_of_samples_is_a_position_for_any_number_of_processes(config):
    whole = batches(config, 5, batch_size=6)
    assert_same(batches(config, 2, batch_size=6, samples_seen=18), whole[3:])
    half = batches(config, 2, batch_size=3, samples_seen=18, shard_index=1, shard_count=2)
    np.testing.assert_array_equal(half[0]["vi_input"], whole[3]["vi_input"][3:])
    with pytest.raises(ValueError, match="shard 2 of 2: the index must be 0 to 1"):
        batches(config, 1, shard_index=2, shard_count=2)


def test_shares_set_how_much_each_source_gives(config):
    shared = DataConfig(**{**vars(config), "shares": (3.0, 1.0)})
    counts = Counter(str(n) for b in batches(shared, 10, batch_size=6) for n in b["id"])
    first = sum(counts[f"p{n}"] for n in range(3))
    assert (first, sum(counts.values())) == (45, 60)
    assert set(counts) == {f"p{n}" for n in range(PAIRS)}
    assert max(counts[f"p{n}"] for n in range(3)) == 15  # every epoch of a source holds each of its pairs once


def test_made_up_pairs_need_no_folder():
    config = DataConfig(synthetic=4, crop=32)
    (batch,) = batches(config, 1, batch_size=4)
    assert len(set(batch["id"].tolist())) == 4
    assert batch["ir"].std() > 0.02


def test_folders_prepared_sets_and_made_up_pairs_go_together(root, tmp_path):
    """Records with and without boxes result in the same batches."""
    for kind, pixels in zip(("Ir", "Vis"), positions(20, 24), strict=True):
        write_image(tmp_path / kind / "m3fd_0.png", pixels)
    (tmp_path / "manual").mkdir()
    with zipfile.ZipFile(tmp_path / "manual" / "M3FD_Fusion.zip", "w") as archive:
        for kind in ("Ir", "Vis"):
            archive.write(tmp_path / kind / "m3fd_0.png", f"{kind}/m3fd_0.png")
    prepare("m3fd/fusion", data_dir=str(tmp_path), manual_dir=str(tmp_path / "manual"))
    config = DataConfig(
        root=str(tmp_path), folders=(str(root / "one"),), tfds=("m3fd/fusion",), synthetic=2, crop=CROP, com_mask=None
    )
    assert [len(s) for s in open_sources(config)] == [3, 1, 2]
    (batch,) = batches(config, 1, batch_size=6)
    assert {str(n) for n in batch["id"]} == {"p0", "p1", "p2", "m3fd_0", "day_000000", "night_000001"}


def test_validation_pairs_are_whole_and_in_order(config):
    assert open_validation(config) is None
    pairs = open_validation(DataConfig(root=config.root, validation=("two", "one")))
    assert [p["id"] for p in pairs] == ["p3", "p4", "p5", "p6", "p0", "p1", "p2"]
    assert pairs[4]["vi"].shape == (20, 44, 3)


def test_validation_never_falls_back_to_the_training_split(tmp_path):
    for split in ("train", "test"):
        write_image(tmp_path / split / "ir" / "a.png", positions(8, 8)[0])
        write_image(tmp_path / split / "vi" / "a.png", positions(8, 8)[1])
    config = DataConfig(root=str(tmp_path), validation=("",), crop=8)
    assert len(open_sources(config)[0]) == 1
    with pytest.raises(PairError, match=r"contains splits \(test, train\)"):
        open_validation(config)


def test_unusable_configurations_say_what_to_set(config):
    with pytest.raises(ValueError, match=r"has no data: set data\.root"):
        open_sources(DataConfig())
    with pytest.raises(ValueError, match=r"1 values, but there are 2 sources"):
        open_sources(DataConfig(**{**vars(config), "shares": (1.0,)}))
    with pytest.raises(ValueError, match=r"data\.crop is 0; it must be at least 1"):
        DataConfig(crop=0)
    with pytest.raises(ValueError, match=r"data\.shares is \(1\.0, 0\.0\); every share must be above 0"):
        DataConfig(shares=(1.0, 0.0))


def test_images_smaller_than_the_crop_are_reported_before_training(config):
    large = DataConfig(**{**vars(config), "crop": 22})
    with pytest.raises(PairError, match=r"p0\.png is 44x20, smaller than the crop of 22 pixels"):
        open_sources(large)
    sources = open_sources(DataConfig(**{**vars(large), "skip_bad": True}))
    assert [len(s.skipped) for s in sources] == [1, 0]


@pytest.mark.slow
def test_real_pairs_of_many_sizes(data_root):
    config = DataConfig(root=str(data_root), folders=("roadscene/train", "msrs128/train"), com_mask=None)
    assert isinstance(open_sources(config)[0], PairFolder)
    for batch in batches(config, 3, batch_size=4):
        assert batch["vi_y"].shape == (4, 128, 128, 1)
        assert (batch["vi_y"].max(axis=(1, 2, 3)) > 0.1).all()


def test_auxiliary_pairs_join_with_and_without_a_plan(tmp_path):
    write_synthetic_folder(tmp_path / "own", count=3, size=(40, 40))
    write_synthetic_folder(tmp_path / "foreign", count=2, size=(48, 32), seed=7)
    config = DataConfig(root=str(tmp_path), folders=("own",), auxiliary="foreign", crop=16, com_mask=None)
    assert [len(s) for s in open_sources(config)] == [3, 2]
    options = {"config": AlignConfig(patch=16, stride=16, k=4), "target_split": None}
    align_command(AlignOptions(tmp_path / "own", tmp_path / "foreign", tmp_path / "plan.json", **options))
    aligned = dataclasses.replace(config, alignment=str(tmp_path / "plan.json"))
    own, patches = open_sources(aligned)
    assert (len(own), len(patches), patches[0]["vi"].shape) == (3, 4, (16, 16, 3))
    batch = next(iter(training_batches([own, patches], aligned, batch_size=7, seed=0)))
    assert sum(name in {patches[n]["id"] for n in range(4)} for name in map(str, batch["id"])) == 4
    with pytest.raises(ValueError, match=r"cuts patches of 16, smaller than data\.crop 24"):
        open_sources(dataclasses.replace(aligned, crop=24))
    with pytest.raises(ValueError, match=r"set data\.auxiliary to the folder from which its patches are cut"):
        dataclasses.replace(aligned, auxiliary="")
    with pytest.raises(ValueError, match="made from different auxiliary images"):
        open_sources(dataclasses.replace(aligned, auxiliary="own"))
