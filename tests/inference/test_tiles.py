"""Tiles give the result of the whole image for every network, and stay within memory."""

import itertools

import numpy as np
import pytest
from test_extent import CONFIGS, network_and_params

from fusejax.inference import memory
from fusejax.inference.fuser import Fuser
from fusejax.inference.memory import choose_core, parse_memory
from fusejax.inference.tiles import Tiling, cuts, fuse_in_tiles


@pytest.mark.parametrize(("side", "core", "halo"), [(100, 36, 32), (100, 4, 8), (24, 8, 8), (200, 64, 8)])
def test_cores_cover_the_side_once_and_keep_their_halo(side, core, halo):
    found = cuts(side, core, halo)
    assert [cut.core_start for cut in found] == [0, *(cut.core_stop for cut in found[:-1])]
    assert found[-1].core_stop == side
    for start, core_start, core_stop in found:
        end = start + core + 2 * halo
        assert 0 <= start <= core_start < core_stop <= end <= side
        assert start == 0 or core_start - start >= halo
        assert end == side or end - core_stop >= halo


@pytest.mark.parametrize("name", CONFIGS)
def test_tiles_smaller_than_their_halo_give_the_whole_image(name):
    model, params = network_and_params(CONFIGS[name])
    ir, vi_y = np.random.default_rng(1).random((2, 1, 75, 101, 1), dtype=np.float32)
    whole = np.clip(model.apply({"params": params}, ir, vi_y), 0, 1)
    tiled = fuse_in_tiles(model, params, ir, vi_y, core=8)
    assert 255 * np.abs(tiled - whole).max() < 1


def test_passes_bring_the_sums_to_those_of_the_whole_image():
    model, params = network_and_params(CONFIGS["crossfuse"])
    ir, vi_y = np.random.default_rng(1).random((2, 1, 75, 101, 1), dtype=np.float32)
    whole = np.clip(model.apply({"params": params}, ir, vi_y), 0, 1)[0]
    tiling, differences = Tiling(model, core=8), []
    for passes in (0, 5):
        tiled = np.empty_like(whole)
        read = lambda rows, columns: [x[:, rows][:, :, columns] for x in (ir, vi_y)]  # noqa: E731
        reduced = lambda h, w: [x[:, :h, :w] for x in (ir, vi_y)]  # noqa: E731
        for rows, columns, luma in tiling.fuse(params, whole.shape[:2], read, reduced, passes=passes):
            tiled[rows, columns] = luma
        differences.append(np.abs(tiled - whole).max())
    assert differences[1] < 1e-5 < differences[0]


def test_auto_takes_tiles_where_the_image_does_not_fit(monkeypatch):
    model, params = network_and_params(CONFIGS["light"])
    monkeypatch.setattr(memory, "_bytes_per_pixel", lambda *_: 1000)
    monkeypatch.setattr(memory, "_free", lambda limit: limit)
    sides = [choose_core(model, params, (1000, 1000), memory=n * 10**6) for n in (2001, 1999, 1000, 40)]
    assert sides == [None, 768, 512, 64]
    assert choose_core(model, params, (1000, 1000)) is None
    assert choose_core(model, params, (1000, 1000), tile=96) == 96
    assert choose_core(model, params, (10**5, 10**5), tile="off", memory=1) is None
    with pytest.raises(ValueError, match="The smallest tiles need"):
        choose_core(model, params, (1000, 1000), memory=10**6)
    with pytest.raises(ValueError, match="tile is 'some'; expected auto, off or a side"):
        choose_core(model, params, (8, 8), tile="some")


def test_the_fuser_takes_tiles_for_batches_too():
    config = CONFIGS["light"]
    _, params = network_and_params(config)
    ir, vi_y = np.random.default_rng(2).random((2, 2, 30, 90, 1), dtype=np.float32)
    whole, tiled = (Fuser(params, config, tile=tile).fuse_luma(ir, vi_y) for tile in ("off", 16))
    np.testing.assert_allclose(tiled, whole, atol=2e-3)


def test_memory_is_read_with_its_unit():
    assert [parse_memory(text) for text in ("2G", "1.5 M".replace(" ", ""), "800kB", "7")] == [
        2**31,
        3 * 2**19,
        819200,
        7,
    ]
    for text, unit in itertools.product(("", "-1", "two"), ("", "G")):
        with pytest.raises(ValueError, match="give a number with K, M or G"):
            parse_memory(text + unit)
