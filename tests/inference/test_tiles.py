"""Tiles give the result of the whole image for every network, and stay within memory."""

import itertools
import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from fusing import network_and_params
from test_extent import small

from fusejax.data.synthetic import synthetic_pair
from fusejax.inference import memory, tiles
from fusejax.inference.fuser import Fuser
from fusejax.inference.memory import choose_core, held_bytes
from fusejax.inference.options import check_tile, parse_memory
from fusejax.inference.pair_arrays import Sources
from fusejax.inference.tiles import Tiling, cuts, fuse_in_tiles
from fusejax.io.images import write_image
from fusejax.models import NETWORKS
from fusejax.weights.files import save_weights

CONFIGS = {kind.__name__.removesuffix("Config").lower(): small(kind) for kind in NETWORKS}


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


def whole_and_sources(name, size=(75, 101)):
    """A network with its parameters, a pair, and the network's result on the whole pair."""
    model, params = network_and_params(CONFIGS[name])
    ir, vi_y = np.random.default_rng(1).random((2, 1, *size, 1), dtype=np.float32)
    whole = np.clip(jax.jit(model.apply)({"params": params}, ir, vi_y), 0, 1)
    return model, params, Sources(ir, vi_y), whole


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
def test_tiles_smaller_than_their_halo_give_the_whole_image(name):
    model, params, sources, whole = whole_and_sources(name)
    tiled = fuse_in_tiles(model, params, sources, core=8)
    assert 255 * np.abs(tiled - whole).max() < 0.5


@pytest.mark.slow
def test_passes_bring_the_sums_to_those_of_the_whole_image():
    model, params, sources, whole = whole_and_sources("crossfuse")
    tiling, fused, differences = Tiling(model, params, core=8), np.zeros_like(whole), []
    sums = tiling.estimate(sources)
    for _ in range(len(sums) + 1):
        change, sums = tiling.correct(sources, sums, fused)
        differences.append(np.abs(fused - whole).max())
    assert differences[-1] < 1e-5
    assert differences[0] > 1e-3
    assert change < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(("settled", "passes"), [(1.0, 2), (0.0, 5)])
def test_passes_end_when_the_result_settles_or_all_sums_are_exact(monkeypatch, settled, passes):
    model, params, sources, _ = whole_and_sources("crossfuse")
    correct, changes = Tiling.correct, []
    monkeypatch.setattr(tiles, "SETTLED", settled)
    monkeypatch.setattr(Tiling, "correct", lambda *args, **more: changes.append(0) or correct(*args, **more))
    told = []
    fuse_in_tiles(model, params, sources, core=8, on_tile=lambda *numbers: told.append(numbers))
    assert len(changes) == passes  # the network has four attentions: encoder, base, fusion, decoder
    assert told == [(n + 1, done, 10) for n in range(passes) for done in range(1, 11)]


@pytest.mark.slow
@pytest.mark.parametrize(("ir_type", "vi_type"), [(np.uint8, np.uint8), (np.uint16, np.uint8), (np.float32, np.uint16)])
def test_color_and_raw_values_in_tiles(ir_type, vi_type):
    _, params = network_and_params(CONFIGS["light"])
    rng = np.random.default_rng(3)
    raw = rng.random((75, 101))
    ir = (7000 + 2000 * raw).astype(ir_type) if ir_type != np.uint8 else (255 * raw).astype(np.uint8)
    vi = rng.integers(0, np.iinfo(vi_type).max, (75, 101, 3), dtype=vi_type)
    images = [Fuser(params, CONFIGS["light"], tile=tile).fuse(ir, vi, ir_range=(7000, 9000)) for tile in ("off", 16)]
    levels = [x.astype(float) * 255 / np.iinfo(vi_type).max for x in images]
    assert np.abs(levels[0] - levels[1]).max() <= 1


def test_auto_takes_tiles_where_the_image_does_not_fit(monkeypatch):
    model, params = network_and_params(CONFIGS["light"])
    monkeypatch.setattr(memory, "_bytes_per_pixel", lambda *_: 1000)
    monkeypatch.setattr(memory, "_free", lambda limit: limit)
    reserve = memory._RESERVE
    limits = [n * 10**6 + reserve for n in (1021, 1019, 700, 400, 20)]
    sides = [choose_core(model, params, (1000, 1000), memory=n) for n in limits]
    assert sides == [None, 768, 768, 512, 64]
    assert choose_core(model, params, (1000, 1000), memory=limits[0], images=2) == 768
    assert choose_core(model, params, (1000, 1000), memory=limits[0], held=700 * 10**6) == 384
    assert choose_core(model, params, (1000, 1000)) is None
    assert choose_core(model, params, (1000, 1000), tile=96) == 96
    assert choose_core(model, params, (10**5, 10**5), tile="off", memory=1) is None
    with pytest.raises(ValueError, match=r"A 1000x1000 pair needs .* more"):
        choose_core(model, params, (1000, 1000), memory=10**6)
    with pytest.raises(ValueError, match="tile is 'some'; expected auto, off or a side"):
        choose_core(model, params, (8, 8), tile="some")


def test_the_fuser_takes_tiles_for_batches_too():
    config = CONFIGS["light"]
    _, params = network_and_params(config)
    ir, vi_y = np.random.default_rng(2).random((2, 2, 30, 90, 1), dtype=np.float32)
    whole, tiled = (Fuser(params, config, tile=tile).fuse_luma(ir, vi_y) for tile in ("off", 16))
    np.testing.assert_allclose(tiled, whole, atol=2e-3)


def test_only_what_is_still_to_come_is_held_back():
    """The decoded images count in what the process uses already."""
    assert held_bytes(np.zeros((2, 10, 20, 3), np.uint8)) == 2 * 10 * 20 * (3 + 4)  # results and fused luma


def test_memory_is_read_with_its_unit():
    assert [parse_memory(text) for text in ("2G", "1.5 M".replace(" ", ""), "800kB", "7")] == [
        2**31,
        3 * 2**19,
        819200,
        7,
    ]
    for text, unit in itertools.product(("", "-1", "two"), ("", "G")):
        with pytest.raises(ValueError, match="expected a number with K, M or G"):
            parse_memory(text + unit)


# The system's figure for a child includes this process, from which it was forked. Python, JAX and
# the library need more memory on some machines than on others, so the limit is added to theirs.
FUSE = """
import sys
from pathlib import Path

import jax

from fusejax.cli.main import main


def mebibytes(name):
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name + ":")]
    return int(line.split()[1]) // 1024


jax.block_until_ready(jax.jit(jax.numpy.sin)(jax.numpy.ones(3)))
limit = mebibytes("VmRSS") + int(sys.argv[1])
main(["fuse", *sys.argv[2:], "--memory", f"{limit}M"])
print("MiB below the limit:", limit - mebibytes("VmHWM"))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_named_memory_is_kept(tmp_path):
    _, params = network_and_params(CONFIGS["crossfuse"])
    save_weights(tmp_path / "w.safetensors", params, CONFIGS["crossfuse"], {})
    pair = synthetic_pair(0, size=(300, 400))
    for kind in ("ir", "vi"):
        write_image(tmp_path / f"{kind}.png", np.tile(pair[kind], (4, 4, 1)))
    paths = ["--ir", str(tmp_path / "ir.png"), "--vi", str(tmp_path / "vi.png"), "--out", str(tmp_path / "out")]
    # Compiling takes some 300 MiB without a cache; the network on the whole image some 600 more.
    command = [sys.executable, "-c", FUSE, "500", "--weights", str(tmp_path / "w.safetensors"), *paths]
    # Compiled as for users: what XLA's passes leave decides how much memory a program takes.
    env = os.environ | {"XLA_FLAGS": "", "JAX_DISABLE_MOST_OPTIMIZATIONS": "0"}
    said = subprocess.run(command, env=env, check=False, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert int(said.stdout.split("MiB below the limit:")[1]) > 0, said.stdout


@pytest.mark.parametrize("text", ["0", "0G", "0.0001K", "99999999999999G"])
def test_a_memory_of_nothing_or_beyond_all_machines_is_refused(text):
    with pytest.raises(ValueError, match=r"memory is '.*'; it must be above 0"):
        parse_memory(text)


def test_absurd_tiles_are_refused():
    with pytest.raises(ValueError, match="tile is '99999999999999999999'; expected auto, off or a side of up to 65536"):
        check_tile("99999999999999999999")
