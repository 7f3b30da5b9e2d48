"""Temperatures of the files of cameras: ranges in degrees, maps beside the fused image, limits."""

import contextlib

import numpy as np
import pytest
from camera_files import camera_record, dji_jpeg, flir_jpeg
from PIL import Image
from test_camera_files import counts_of, fuse, rgb_of, square

from fusejax.inference import fuse_folder
from fusejax.io.images import ImageWarning, read_image, write_image
from fusejax.io.infrared import read_infrared


def _scene_files(folder):
    """One scene as counts, kelvin, hundredths of a kelvin and degrees Celsius."""
    rng = np.random.default_rng(0)
    celsius = 15 + 10 * np.kron(rng.random((8, 10)), np.ones((8, 8))) + 30 * square(64, 80, side=0.2)
    kelvin = np.round((celsius + 273.15) * 100) / 100
    folder.mkdir()
    write_image(folder / "counts.png", np.round((kelvin - 250) * 100).astype(np.uint16))
    write_image(folder / "ck.png", np.round(kelvin * 100).astype(np.uint16))
    Image.fromarray(kelvin.astype(np.float32)).save(folder / "kelvin.tif")
    Image.fromarray((kelvin - 273.15).astype(np.float32)).save(folder / "celsius.tif")
    write_image(folder / "vi.png", rgb_of(square(64, 80, side=0.6)))
    return kelvin


@pytest.mark.slow
def test_one_scene_in_any_unit_gives_one_image(tmp_path, weights):
    _scene_files(tmp_path / "in")
    fused = {}
    for name in ("counts.png", "ck.png", "kelvin.tif", "celsius.tif"):
        sources = (tmp_path / "in" / name, tmp_path / "in" / "vi.png")
        with pytest.warns(ImageWarning, match="are mapped to black and white"):
            result = fuse_folder(*sources, tmp_path / f"{name}.png", weights=weights)
        fused[name] = read_image(result.written[0]).astype(int)
    for name, image in fused.items():
        assert np.abs(image - fused["kelvin.tif"]).max() <= 1, name


@pytest.mark.slow
def test_a_range_in_degrees_means_the_same_in_every_file(tmp_path, weights):
    _scene_files(tmp_path / "in")
    vi, fused = tmp_path / "in" / "vi.png", []
    for name, more in (("ck.png", ["--ir-unit", "ck"]), ("kelvin.tif", []), ("celsius.tif", ["--ir-unit", "c"])):
        for units, span in (("c", (15, 40)), ("f", (59, 104)), ("k", (288.15, 313.15))):
            words = ["--ir", tmp_path / "in" / name, "--vi", vi, "--out", tmp_path / f"{units}_{name}.png", *more]
            with pytest.warns() if name == "kelvin.tif" else contextlib.nullcontext():
                (path,) = fuse(*words, "--units", units, "--ir-range", *span, weights=weights)
            fused.append(read_image(path).astype(int))
    assert max(np.abs(image - fused[0]).max() for image in fused) <= 1


@pytest.mark.slow
def test_temperatures_are_written_in_the_frame_of_the_fused_image(tmp_path, weights):
    path = tmp_path / "FLIR1.jpg"
    path.write_bytes(flir_jpeg(counts_of(square(60, 80)), rgb_of(square(120, 160)), alignment=(1.0, 0, 0)))
    for units in ("c", "k"):
        words = ["--ir", path, "--out", tmp_path / units, "--temperature", "--units", units]
        with pytest.warns(ImageWarning):
            (fused,) = fuse(*words, weights=weights)
        stored = read_infrared(tmp_path / units / "temperature" / "FLIR1.tif")
        assert stored.unit == units and stored.values.dtype == np.float32
        assert stored.values.shape[:2] == read_image(fused).shape[:2]
        own = read_infrared(path, wanted=units).values
        np.testing.assert_allclose(stored.values[60, 80], own[30, 40], atol=0.01)
        np.testing.assert_allclose(stored.values[2, 2], own[1, 1], atol=0.01)


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("a.png", ["--temperature"], r"holds integers and does not state their unit; say what they are with --ir-unit"),
        ("a.png", ["--units", "c"], "holds integers and does not state their unit"),
        ("dji.jpg", ["--units", "c"], r"DJI publishes no formula .* 32-bit TIFF with DJI's Thermal SDK"),
        ("flir.jpg", ["--units", "c", "--ir-unit", "counts"], "leave out --ir-unit counts"),
        ("wide.tif", ["--units", "c"], r"values from -20 to 400 and does not state their unit; .* --ir-unit c, k or f"),
        ("planck.jpg", [], r"temperatures cannot be computed.*--ir-unit counts"),
    ],
)
def test_degrees_that_nobody_knows_are_refused(tmp_path, weights, name, words, message):
    counts = counts_of(square(128, 160))
    write_image(tmp_path / "a.png", counts)
    (tmp_path / "dji.jpg").write_bytes(dji_jpeg(counts))
    (tmp_path / "flir.jpg").write_bytes(flir_jpeg(counts))
    broken = camera_record(planck={"r1": 0.0, "r2": 1.0, "b": 1400.0, "f": 1.0, "o": 0})
    (tmp_path / "planck.jpg").write_bytes(flir_jpeg(counts, camera=broken))
    Image.fromarray((-20 + 420 * square(128, 160)).astype(np.float32)).save(tmp_path / "wide.tif")
    write_image(tmp_path / "vi.png", rgb_of(square(128, 160)))
    with pytest.raises(ValueError, match=message):
        fuse("--ir", tmp_path / name, "--vi", tmp_path / "vi.png", "--out", tmp_path / "o", *words, weights=weights)


@pytest.mark.slow
def test_what_is_above_the_limit_is_marked(tmp_path, weights):
    path = tmp_path / "FLIR1.jpg"
    path.write_bytes(flir_jpeg(counts_of(square(60, 80)), rgb_of(square(60, 80)), alignment=(1.0, 0, 0)))
    hot = read_infrared(path).values[..., 0]
    limit = float(hot.min() + hot.max()) / 2
    with pytest.warns(ImageWarning):
        (plain,) = fuse("--ir", path, "--out", tmp_path / "plain.png", weights=weights)
    with pytest.warns(ImageWarning):
        (marked,) = fuse("--ir", path, "--out", tmp_path / "marked.png", "--above", limit, weights=weights)
    changed = (read_image(plain) != read_image(marked)).any(axis=-1)
    np.testing.assert_array_equal(changed, hot > limit)
    red, _, blue = read_image(marked)[30, 40].astype(int)
    assert red > blue + 80


def test_files_of_unknown_unit_are_not_mixed_with_temperatures(tmp_path, weights):
    for name in ("ir", "vi"):
        (tmp_path / name).mkdir()
        for stem in "ab":
            write_image(tmp_path / name / f"{stem}.png", rgb_of(square(60, 80)))
    (tmp_path / "ir" / "a.png").unlink()
    (tmp_path / "ir" / "b.png").unlink()
    (tmp_path / "ir" / "a.jpg").write_bytes(flir_jpeg(counts_of(square(60, 80))))
    Image.fromarray(np.full((60, 80), 300, np.float32)).save(tmp_path / "ir" / "b.tif")
    with pytest.raises(ValueError, match=r"holds temperatures and .*b\.tif holds floats.* give --units"):
        fuse("--ir", tmp_path / "ir", "--vi", tmp_path / "vi", "--out", tmp_path / "o", weights=weights)
