"""Fusing files and folders.

Which files are written where, which are kept, and every input that is rejected.
"""

import os
import shutil
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from fusejax.data.synthetic import synthetic_pair, write_synthetic_folder
from fusejax.inference import folder, folder_ranges, fuse_folder, pair_arrays
from fusejax.inference.fuser import Fuser
from fusejax.io import image_headers, images, pair_images
from fusejax.io.images import ImageWarning, read_image, write_image
from fusejax.ops import color


@pytest.fixture
def pairs(tmp_path):
    write_synthetic_folder(tmp_path / "set", count=2, size=(40, 48))
    return tmp_path / "set"


def stored(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.slow
def test_existing_images_are_kept_and_the_rest_is_fused(pairs, weights, tmp_path):
    out, sources = tmp_path / "out", (pairs / "ir", pairs / "vi")
    whole = stored((fuse_folder(*sources, tmp_path / "whole", weights=weights).written)[0].parent)
    fuse_folder(*sources, out, weights=weights)
    (out / "night_000001.png").unlink()
    (out / "day_000000.png").write_bytes(b"mine")
    result = fuse_folder(*sources, out, weights=weights, skip_existing=True)
    assert [p.name for p in result.written] == ["night_000001.png"]
    assert [p.name for p in result.existing] == ["day_000000.png"]
    assert (out / "day_000000.png").read_bytes() == b"mine"
    fuse_folder(*sources, out, weights=weights, overwrite=True)
    assert stored(out) == whole
    with pytest.raises(ValueError, match="give only one of the two"):
        fuse_folder(*sources, out, weights=weights, overwrite=True, skip_existing=True)


def test_sub_folders_are_kept(pairs, weights, tmp_path):
    for kind in ("ir", "vi"):
        deep = tmp_path / "tree" / kind / "monday" / "a"
        deep.mkdir(parents=True)
        for path in (pairs / kind).iterdir():
            (deep / path.name).write_bytes(path.read_bytes())
    sources = (tmp_path / "tree" / "ir", tmp_path / "tree" / "vi")
    with pytest.raises(ValueError, match=r"has no images .*; it contains the folder monday.*--recursive"):
        fuse_folder(*sources, tmp_path / "out", weights=weights)
    fuse_folder(*sources, tmp_path / "out", weights=weights, recursive=True, panel=True)
    names = {p.as_posix() for p in stored(tmp_path / "out")}
    assert names == {f"{d}monday/a/{s}.png" for d in ("", "panels/") for s in ("day_000000", "night_000001")}


def test_resampled_infrared_can_be_kept(pairs, weights, tmp_path):
    for path in (pairs / "ir").iterdir():
        write_image(path, read_image(path)[::2, ::2])
    fuse_folder(pairs / "ir", pairs / "vi", tmp_path / "out", weights=weights, resize="ir", keep_ir=True)
    kept = read_image(tmp_path / "out" / "ir" / "day_000000.png")
    assert kept.shape == (40, 48, 1)
    again = Fuser.load(weights).fuse(kept, read_image(pairs / "vi" / "day_000000.png"))
    np.testing.assert_array_equal(again, read_image(tmp_path / "out" / "day_000000.png"))


def test_another_aspect_ratio_is_not_squeezed(pairs, weights, tmp_path):
    for path in (pairs / "ir").iterdir():
        write_image(path, read_image(path).swapaxes(0, 1))
    with pytest.raises(ValueError, match=r"is 40x48 but .* is 48x40; the aspect ratios differ"):
        fuse_folder(pairs / "ir", pairs / "vi", tmp_path / "out", weights=weights, resize="ir")


def test_one_pair_to_a_named_file_and_to_16_bits(pairs, weights, tmp_path):
    one = (pairs / "ir" / "day_000000.png", pairs / "vi" / "day_000000.png")
    (path,) = fuse_folder(*one, tmp_path / "o" / "result.png", weights=weights).written
    assert path == tmp_path / "o" / "result.png"
    assert path.is_file()
    (deep,) = fuse_folder(*one, tmp_path / "o" / "deep.tif", weights=weights, bits=16).written
    assert read_image(deep).dtype == np.uint16
    assert np.abs(read_image(deep) / 257 - read_image(path)).max() <= 0.5
    with pytest.raises(ValueError, match=r"\.jpg supports 8 bits only"):
        fuse_folder(*one, tmp_path / "o" / "deep.jpg", weights=weights, bits=16)
    with pytest.raises(ValueError, match="has the suffix of an image, but folders are fused"):
        fuse_folder(pairs / "ir", pairs / "vi", tmp_path / "o.png", weights=weights)


def test_sources_are_never_written_over(pairs, weights):
    before = stored(pairs)
    for out in (pairs / "vi", pairs / "ir", pairs / "ir" / ".." / "vi"):
        with pytest.raises(ValueError, match="one of the sources, which are never overwritten"):
            fuse_folder(pairs / "ir", pairs / "vi", out, weights=weights, overwrite=True)
    one = (pairs / "ir" / "day_000000.png", pairs / "vi" / "day_000000.png")
    for out in (one[1], pairs / "vi"):
        with pytest.raises(ValueError, match="never overwritten"):
            fuse_folder(*one, out, weights=weights, overwrite=True)
    assert stored(pairs) == before


def test_sources_that_cannot_be_meant_are_refused(pairs, weights, tmp_path):
    ir, vi, out = pairs / "ir", pairs / "vi", tmp_path / "out"
    one = ir / "day_000000.png"
    cases = [
        ((ir, ir), "are the same folder"),
        ((one, one), "are the same file"),
        ((ir, tmp_path / "nope"), "nope: no such file or folder"),
        ((ir, vi / "day_000000.png"), "is a folder but .* is not; give two files, or two folders"),
    ]
    for sources, message in cases:
        with pytest.raises(ValueError, match=message):
            fuse_folder(*sources, out, weights=weights)
    assert not out.exists()


@pytest.mark.parametrize("make", ["file", "below"])
def test_an_out_that_cannot_be_a_folder_is_refused_first(pairs, tmp_path, make):
    (tmp_path / "taken").write_text("x")
    out = tmp_path / "taken" if make == "file" else tmp_path / "taken" / "below"
    with pytest.raises(NotADirectoryError, match="taken is a file"):
        fuse_folder(pairs / "ir", pairs / "vi", out, weights="no weights are loaded before")


def test_a_folder_a_pipe_and_a_link_loop_are_named(pairs, weights, tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    (tmp_path / "folder.png").mkdir()
    vi = pairs / "vi" / "day_000000.png"
    for name, message in (("pipe", "is a pipe or device"), ("loop", "no such file|cannot be opened|link")):
        with pytest.raises((ValueError, OSError), match=message):
            fuse_folder(tmp_path / f"{name}.png", vi, tmp_path / "out", weights=weights)


def test_a_full_disk_is_named(pairs, weights, tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    original = os.replace

    def fail(*_):
        raise OSError(28, "No space left on device")

    os.replace = fail
    try:
        with pytest.raises(OSError, match=r"No space left on device; finished .*--skip-existing: '.*day_000000\.png'"):
            fuse_folder(pairs / "ir", pairs / "vi", tmp_path / "out", weights=weights)
    finally:
        os.replace = original
    assert not list((tmp_path / "out").iterdir())


def test_memory_that_runs_out_is_named_with_a_remedy(pairs, weights, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 26717000960 bytes.")

    monkeypatch.setattr(Fuser, "fuse_sources", fail)
    with pytest.raises(ValueError, match=r"day_000000\.png: 48x40 pixels need more memory .*--memory"):
        fuse_folder(pairs / "ir", pairs / "vi", tmp_path / "out", weights=weights)


def test_a_disk_that_is_full_or_too_small_is_named_first(pairs, weights, tmp_path, monkeypatch):
    sources = pairs / "ir", pairs / "vi"
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**6, 10**6, 2000))
    with pytest.warns(ImageWarning, match=r"out has 0 MiB left; 2 fused images may need"):
        fuse_folder(*sources, tmp_path / "out", weights=weights)

    def full(**_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(OSError, match=r"No space left on device; free space or choose another --out: '.*other'"):
        fuse_folder(*sources, tmp_path / "other", weights=weights)


@pytest.mark.slow
def test_many_pairs_of_one_size_get_a_program_of_their_own(pairs, weights, tmp_path, monkeypatch, capsys):
    sources = pairs / "ir", pairs / "vi"
    shared = stored(fuse_folder(*sources, tmp_path / "a", weights=weights).written[0].parent)
    assert "images of up to 48x48" in capsys.readouterr().err
    monkeypatch.setattr(folder, "_OWN_PROGRAM", 2)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "day_000000.png").write_bytes(shared[Path("day_000000.png")])
    fuse_folder(*sources, tmp_path / "b", weights=weights, skip_existing=True)  # the choice counts all pairs
    assert "images of 48x40" in capsys.readouterr().err
    one, other = (read_image(tmp_path / name / "night_000001.png").astype(int) for name in "ab")
    assert np.abs(one - other).max() <= 1


@pytest.mark.parametrize("ahead", [0, 1, 8])
def test_pairs_stay_in_order_however_many_are_read_ahead(ahead):
    with ThreadPoolExecutor(2) as pool:
        assert list(folder_ranges.map_ahead(pool, lambda x: x * x, range(5), ahead=ahead)) == [0, 1, 4, 9, 16]


@pytest.mark.slow
def test_large_images_are_fused_one_after_the_other(pairs, weights, tmp_path, monkeypatch):
    for module in (folder, folder_ranges):
        monkeypatch.setattr(module, "PIXELS_IN_FLIGHT", 100)
    result = fuse_folder(pairs / "ir", pairs / "vi", tmp_path / "out", weights=weights, tile="16")
    for path in result.written:
        alone = Fuser.load(weights, tile=16).fuse(*(read_image(pairs / kind / path.name) for kind in ("ir", "vi")))
        np.testing.assert_array_equal(read_image(path), alone)


def test_a_pair_that_breaks_while_it_is_read_can_be_left_out(pairs, weights, tmp_path):
    data = bytearray((pairs / "vi" / "day_000000.png").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 40] = bytes(40)
    (pairs / "vi" / "day_000000.png").write_bytes(data)
    with pytest.raises(ValueError, match=r"day_000000\.png: the image cannot be decoded"):
        fuse_folder(pairs / "ir", pairs / "vi", tmp_path / "out", weights=weights)
    result = fuse_folder(pairs / "ir", pairs / "vi", tmp_path / "out", weights=weights, skip_bad=True, overwrite=True)
    assert [p.name for p in result.written] == ["night_000001.png"]
    assert "day_000000.png" in result.skipped[0]


def test_exchanged_and_false_color_sources_are_pointed_out(pairs, weights, tmp_path):
    with pytest.warns(ImageWarning, match="are --ir and --vi swapped"):
        fuse_folder(pairs / "vi", pairs / "ir", tmp_path / "a", weights=weights)
    for path in (pairs / "ir").iterdir():
        write_image(
            path, np.dstack([read_image(path)[..., 0], 255 - read_image(path)[..., 0], read_image(path)[..., 0]])
        )
    with pytest.warns(ImageWarning, match="is in color; its luma is used"):
        fuse_folder(pairs / "ir", pairs / "vi", tmp_path / "b", weights=weights)


def test_float_tiff_and_one_range_for_a_folder(weights, tmp_path):
    for n, offset in enumerate((290.0, 300.0)):
        pair = synthetic_pair(0, size=(40, 48))
        kelvin = offset + pair["ir"][..., 0].astype(np.float32) / 20
        (tmp_path / "ir").mkdir(exist_ok=True)
        Image.fromarray(kelvin).save(tmp_path / "ir" / f"{n}.tif")
        write_image(tmp_path / "vi" / f"{n}.png", pair["vi"])
    with pytest.warns(ImageWarning, match=r"infrared values 29\d.* to 31\d.* are mapped to black and white"):
        fuse_folder(tmp_path / "ir", tmp_path / "vi", tmp_path / "out", weights=weights, keep_ir=True)
    cold, warm = (read_image(tmp_path / "out" / "ir" / f"{n}.png") for n in range(2))
    assert cold.dtype == np.uint16
    assert cold.astype(float).mean() + 10_000 < warm.mean()


@pytest.mark.slow
def test_a_pair_without_contrast_is_not_stretched(weights):
    fuser = Fuser.load(weights)
    black = np.zeros((24, 24), np.uint8)
    np.testing.assert_array_equal(fuser.fuse(black, black, stretch=True), fuser.fuse(black, black))
    one = black.copy()
    one[0, 0] = 1  # one level of noise
    np.testing.assert_array_equal(fuser.fuse(one, black, stretch=True), fuser.fuse(one, black))


def test_headers_are_read_once_before_the_pixels_and_luma_is_computed_once(pairs, weights, tmp_path, monkeypatch):
    read, lumas = Counter(), Counter()

    def counted(counter, function, key):
        def wrapped(*args, **kwargs):
            counter[key(*args)] += 1
            return function(*args, **kwargs)

        return wrapped

    for module in (image_headers, images, pair_images):
        monkeypatch.setattr(module, "read_header", counted(read, module.read_header, Path))
    for module in (pair_arrays, color):
        monkeypatch.setattr(module, "rgb_to_luma", counted(lumas, module.rgb_to_luma, lambda rgb: rgb.shape))
    fuse_folder(pairs / "ir", pairs / "vi", tmp_path / "out", weights=weights, keep_ir=True)
    assert set(read.values()) == {2}, "once for all checks, and once with the pixels"
    assert sum(lumas.values()) == 2, "once per visible image"
