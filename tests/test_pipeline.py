"""The grain pipeline: what a batch holds, and that it follows from (seed, index) alone."""

import numpy as np
import pytest

from fusejax.data.masking import ComMaskConfig
from fusejax.data.pipeline import DataConfig, open_sources, open_validation, training_batches
from fusejax.data.synthetic import SyntheticPairs, synthetic_pair, write_synthetic_folder

CONFIG = DataConfig(synthetic=6, crop=24, com_mask=ComMaskConfig(probability=0.5, patch_sizes=(4, 8)))


@pytest.fixture(scope="module")
def sources():
    return open_sources(CONFIG)


def take(sources, count, *, config=CONFIG, batch_size=4, seed=0, **shard):
    batches = iter(training_batches(sources, config, batch_size=batch_size, seed=seed, **shard))
    return [next(batches) for _ in range(count)]


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def test_batches_hold_the_clean_pair_and_the_masked_inputs(sources):
    masked = 0
    for batch in take(sources, 4):
        assert batch["id"].shape == (4,)
        for key in ("ir", "vi_y", "ir_input", "vi_input"):
            assert batch[key].shape == (4, 24, 24, 1)
            assert batch[key].dtype == np.float32
            assert batch[key].min() >= 0
            assert batch[key].max() <= 1
        hidden_ir, hidden_vi = batch["ir_input"] != batch["ir"], batch["vi_input"] != batch["vi_y"]
        assert not (hidden_ir & hidden_vi).any()
        masked += (hidden_ir | hidden_vi).any(axis=(1, 2, 3)).sum()
    assert 2 <= masked <= 14  # of 16 pairs, each with probability 1/2


def test_crop_and_flips_treat_both_pictures_alike(sources):
    class Twins(SyntheticPairs):
        def __getitem__(self, index):
            pair = super().__getitem__(index)
            return pair | {"vi": np.repeat(pair["ir"], 3, axis=-1)}

    config = DataConfig(synthetic=4, crop=16, com_mask=None)
    for batch in take([Twins(4, size=(32, 40))], 3, config=config):
        np.testing.assert_allclose(batch["ir"], batch["vi_y"], atol=1e-6)
        assert np.array_equal(batch["ir"], batch["ir_input"])


def test_same_seed_same_batches_other_seed_others(sources):
    first, again, other = take(sources, 3), take(sources, 3), take(sources, 3, seed=1)
    assert all(same(a, b) for a, b in zip(first, again, strict=True))
    assert not any(same(a, b) for a, b in zip(first, other, strict=True))


def test_epochs_see_every_pair_once_and_draw_anew(sources):
    batches = take(sources, 4, batch_size=6)
    for batch in batches:
        assert len(set(batch["id"])) == 6
    order = [tuple(b["id"]) for b in batches]
    assert len(set(order)) > 1
    by_id = [{i: x.tobytes() for i, x in zip(b["id"], b["ir"], strict=True)} for b in batches]
    assert any(by_id[0][i] != by_id[1][i] for i in by_id[0])


@pytest.mark.parametrize("workers", [1, 2])
def test_worker_processes_change_nothing(sources, workers):
    config = DataConfig(synthetic=6, crop=24, com_mask=CONFIG.com_mask, workers=workers)
    assert all(same(a, b) for a, b in zip(take(sources, 3), take(sources, 3, config=config), strict=True))


def test_processes_share_one_sequence(sources):
    whole = take(sources, 3)
    shards = [take(sources, 3, batch_size=2, shard_index=n, shard_count=2) for n in range(2)]
    for n, batch in enumerate(whole):
        for key, value in batch.items():
            np.testing.assert_array_equal(value[0::2], shards[0][n][key])
            np.testing.assert_array_equal(value[1::2], shards[1][n][key])


def test_state_is_saved_and_restored(sources):
    unbroken = take(sources, 5)
    batches = iter(training_batches(sources, CONFIG, batch_size=4, seed=0))
    for _ in range(2):
        next(batches)
    state = batches.get_state()
    resumed = iter(training_batches(sources, CONFIG, batch_size=4, seed=0))
    resumed.set_state(state)
    for expected in unbroken[2:]:
        assert same(next(resumed), expected)


def test_shares_set_how_often_each_source_comes():
    class Named(SyntheticPairs):
        def __getitem__(self, index):
            return super().__getitem__(index) | {"id": f"set{self.seed}"}

    config = DataConfig(crop=8, com_mask=None, shares=(3.0, 1.0))
    sources = [Named(4, (16, 16), seed=0), Named(4, (16, 16), seed=1)]
    names = np.concatenate([b["id"] for b in take(sources, 10, config=config)])
    assert (names == "set0").sum() == 30


def test_wrong_configurations_say_so(sources, tmp_path):
    with pytest.raises(ValueError, match=r"names no data: set data\.root"):
        open_sources(DataConfig())
    with pytest.raises(ValueError, match="2 shares but there are 1 sources"):
        open_sources(DataConfig(synthetic=2, shares=(1.0, 2.0)))
    with pytest.raises(Exception, match=r"48x48 is smaller than the crop 64; lower data\.crop"):
        take(sources, 1, config=DataConfig(crop=64, com_mask=None))


def test_validation_pairs_come_in_fixed_order(tmp_path):
    write_synthetic_folder(tmp_path / "val", count=3, size=(16, 20))
    pairs = open_validation(DataConfig(root=str(tmp_path), validation=("val",)))
    assert [pairs[n]["id"] for n in range(len(pairs))] == ["day_000000", "day_000002", "night_000001"]
    assert open_validation(DataConfig(root=str(tmp_path))) is None


def test_made_up_pairs_follow_from_the_seed_and_hide_targets_at_night():
    night, again = synthetic_pair(5, size=(96, 128)), synthetic_pair(5, size=(96, 128))
    assert all(np.array_equal(night[k], again[k]) for k in night)
    assert night["ir"].shape == (96, 128, 1) and night["vi"].shape == (96, 128, 3)
    contrast = {"ir": [], "vi": []}
    for seed in range(1, 20, 2):
        pair = synthetic_pair(seed, size=(96, 128))
        for x1, y1, x2, y2 in pair["boxes"].astype(int):
            assert 0 <= x1 < x2 <= 128 and 0 <= y1 < y2 <= 96
            for key, values in contrast.items():
                values.append(pair[key][y1:y2, x1:x2].mean() - np.median(pair[key]))
    assert np.mean(contrast["ir"]) > 30 > np.mean(np.abs(contrast["vi"]))
