"""Reading the files of FLIR and DJI cameras: made-up ones, real ones, and damaged ones."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from camera_files import (
    PLANCK,
    camera_record,
    container,
    dji_jpeg,
    flir_jpeg,
    flir_picture,
    jpeg,
    make_exif,
    picture_record,
    png,
    raw_record,
    visible_record,
    with_segments,
)
from PIL import Image

from fusejax.io.cameras import convert, read_camera_file, read_camera_layout

FLIR = ("flir_b60.jpg", "flir_c2.jpg", "flir_e60bx_no_visible.jpg", "flir_t420.jpg")
DJI = {"dji_m3t_R.JPG": 3, "dji_m2ea_R.JPG": 3, "dji_h20t_R.JPG": 3, "dji_xts_R.jpg": 4}


def scene(height=60, width=80, *, seed=0, low=14000, high=16000):
    """Counts that rise to the lower right, with noise."""
    rng = np.random.default_rng(seed)
    slope = np.linspace(low, high, height)[:, None] + np.linspace(0, 500, width)
    return (slope + rng.normal(0, 4, (height, width))).astype(np.uint16)


def picture(height=120, width=160, *, seed=1):
    return (
        np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    )


def stored(tmp_path, data, name="a.jpg"):
    (tmp_path / name).write_bytes(data)
    return tmp_path / name


def kelvin(counts, *, emissivity, planck):
    """The formula in the other direction is exact; here by bisection, in float64."""
    low, high = np.full(counts.shape, 150.0), np.full(counts.shape, 2000.0)
    reflected = planck["r1"] / (planck["r2"] * (np.exp(planck["b"] / 293.15) - planck["f"])) - planck["o"]
    for _ in range(60):
        middle = (low + high) / 2
        own = planck["r1"] / (planck["r2"] * (np.exp(planck["b"] / middle) - planck["f"])) - planck["o"]
        above = emissivity * own + (1 - emissivity) * reflected > counts
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return low


@pytest.mark.parametrize("form", ["png", "png right", "raw"])
@pytest.mark.parametrize("order", [">", "<"])
def test_counts_are_read_in_either_byte_order(tmp_path, form, order):
    counts = scene()
    path = stored(tmp_path, flir_jpeg(counts, picture(), form=form, order=order, chunk=3000))
    read = read_camera_file(path, counts=True)
    assert read is not None and read.layout.kind == "FLIR" and read.unit == "counts"
    np.testing.assert_array_equal(read.thermal[..., 0], counts)


def test_temperatures_are_those_of_the_radiation_formula(tmp_path):
    counts = scene()
    read = read_camera_file(stored(tmp_path, flir_jpeg(counts, camera=camera_record(distance=0.0))))
    assert read is not None and read.unit == "k" and read.thermal.dtype == np.float32
    np.testing.assert_allclose(read.thermal[..., 0], kelvin(counts, emissivity=0.95, planck=PLANCK), atol=1e-3)


def test_the_visible_image_and_its_place_are_read(tmp_path):
    path = stored(tmp_path, flir_jpeg(scene(), picture(), alignment=(1.25, -8, 5)))
    read = read_camera_file(path)
    assert read is not None and read.visible is not None and read.layout.alignment is not None
    assert np.abs(read.visible.astype(int) - picture()).mean() < 10  # JPEG
    assert read.layout.alignment.scale == pytest.approx(160 / 80 / 1.25)
    center = read.layout.alignment.matrix((60, 80), (120, 160)) @ [39.5, 29.5, 1]
    np.testing.assert_allclose(center, [79.5 - 8, 59.5 + 5, 1])
    assert (read.layout.camera.model, read.layout.camera.serial) == ("FLIR made up", "007")
    np.testing.assert_allclose(read.layout.camera.span, (-20, 120), atol=1e-4)


@pytest.mark.parametrize("model", ["FLIR T640", "FLIR AX8", "FLIR ONE Pro", "XT2", "", "a phone"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("form", ["png", "png right", "raw"])
def test_no_model_is_needed_where_the_format_says_it(tmp_path, model, order, form):
    """Records in both byte orders, between other segments and in any order of the segments."""
    counts, shown = scene(), picture()
    records = [
        (0x0E, visible_record(shown, order=order)),
        (0x2A, picture_record(1.5, 4, -2)),
        (0x77, bytes(500)),
        (0x20, camera_record(order=order, model=model, distance=0.0)),
        (0x01, raw_record(counts, form=form, order=order)),
    ]

    def turn(named):
        xmp = (1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>")
        return [(5, bytes(999)), named[-1], xmp, *named[1:-1], (13, b"Photoshop 3.0\0"), named[0]]

    data = flir_picture(counts, container(records, order=order), turn=turn, chunk=4000)
    read, kelvins = (read_camera_file(stored(tmp_path, data), counts=counts_only) for counts_only in (True, False))
    assert read is not None and kelvins is not None and read.visible is not None and read.layout.alignment is not None
    np.testing.assert_array_equal(read.thermal[..., 0], counts)
    np.testing.assert_allclose(kelvins.thermal[..., 0], kelvin(counts, emissivity=0.95, planck=PLANCK), atol=1e-3)
    assert read.layout.camera.model == model and read.layout.alignment.offset_y == -2


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (picture_record(1.5, 4, -2)[:3], "a record of 3 bytes ends before byte 0"),
        (bytes(64), r"alignment is absurd \(Real2IR 0"),
        (picture_record(1.0, 3000, 0), "alignment is absurd"),
    ],
)
def test_a_wrong_place_of_the_visible_image_does_not_keep_temperatures_back(tmp_path, record, why):
    records = [(0x01, raw_record(scene())), (0x20, camera_record()), (0x0E, visible_record(picture())), (0x2A, record)]
    read = read_camera_file(stored(tmp_path, flir_picture(scene(), container(records))))
    assert read is not None and read.unit == "k" and read.layout.alignment is None
    assert re.search(why, read.layout.unplaced)


def test_a_png_of_luma_and_chroma_becomes_rgb(tmp_path):
    rgb = np.asarray(Image.fromarray(picture()).resize((160, 120), Image.Resampling.BICUBIC)) // 2 + 60
    rgb = (rgb.mean(axis=-1, keepdims=True) + 0.3 * (rgb - rgb.mean(axis=-1, keepdims=True))).astype(np.uint8)
    for stored_as, atol in ((Image.fromarray(rgb).convert("YCbCr"), 3), (Image.fromarray(rgb), 0)):
        pixels = np.asarray(stored_as)
        data = png(pixels)
        records = [(0x01, raw_record(scene())), (0x20, camera_record()), (0x0E, visible_record(rgb, data=data))]
        chunk = b"FLIR\0\x01\0\0" + container(records)
        parts = [chunk[8:][at : at + 60000] for at in range(0, len(chunk), 60000)]
        named = [(1, b"FLIR\0\x01" + bytes([n, len(parts) - 1]) + part) for n, part in enumerate(parts)]
        read = read_camera_file(stored(tmp_path, with_segments(jpeg(np.zeros((60, 80), np.uint8)), named)))
        assert read is not None and read.visible is not None and read.layout.alignment is None
        np.testing.assert_allclose(read.visible.astype(int), rgb, atol=atol)


@pytest.mark.parametrize("number", [3, 4])
@pytest.mark.parametrize("size", [(128, 160), (120, 160), (256, 336), (512, 640), (1024, 1280)])
def test_dji_counts_are_found_by_their_length(tmp_path, number, size):
    counts = scene(*size)
    others = [(7 - number, bytes(32768)), (5, bytes(2000))]
    read = read_camera_file(stored(tmp_path, dji_jpeg(counts, number=number, others=others)))
    assert read is not None and (read.layout.kind, read.unit) == ("DJI", "counts")
    np.testing.assert_array_equal(read.thermal[..., 0], counts)


def test_dji_counts_of_an_enlarged_picture_keep_the_size_of_the_sensor(tmp_path):
    for factor in (2, 4):
        data = dji_jpeg(scene(128, 160), shown=(128 * factor, 160 * factor))
        read = read_camera_file(stored(tmp_path, data))
        assert read is not None and read.thermal.shape == (128, 160, 1)


def test_a_flir_file_by_dji_is_a_flir_file(tmp_path):
    data = flir_jpeg(scene(), exif=make_exif(make="DJI", model="XT2"))
    read = read_camera_file(stored(tmp_path, data))
    assert read is not None and read.layout.kind == "FLIR" and read.unit == "k"


def test_other_files_are_left_alone(tmp_path):
    plain = jpeg(picture())
    for name, data in {
        "photo.jpg": plain,
        "foreign.jpg": with_segments(plain, [(3, b"Meta\0\0" + bytes(60000))]),
        "photo.png": png(picture()),
        "short.jpg": plain[:3],
    }.items():
        path = stored(tmp_path, data, name)
        assert read_camera_file(path) is None and read_camera_layout(path) is None


def test_absurd_constants_do_not_keep_the_counts_back(tmp_path):
    path = stored(tmp_path, flir_jpeg(scene(), camera=camera_record(planck=PLANCK | {"r1": 0.0})))
    read = read_camera_file(path, counts=True)
    assert read is not None
    np.testing.assert_array_equal(read.thermal[..., 0], scene())


def test_what_is_colder_than_the_formula_can_say_is_the_coldest(tmp_path):
    counts = scene()
    counts[0, :5] = 0
    camera = camera_record(planck=PLANCK | {"o": -4000})  # no radiation is 4000 counts
    read = read_camera_file(stored(tmp_path, flir_jpeg(counts, camera=camera)))
    assert read is not None
    assert (read.thermal[0, :5] == read.thermal[counts > 0].min()).all() and np.ptp(read.thermal) > 1


def test_temperatures_convert_between_scales():
    np.testing.assert_allclose(convert(np.array([273.15, 373.15]), "k", "c"), [0, 100], atol=1e-4)
    np.testing.assert_allclose(convert(np.array([27315, 37315], np.uint16), "ck", "f"), [32, 212], atol=1e-4)
    np.testing.assert_allclose(convert(np.array([32.0, 212.0]), "f", "k"), [273.15, 373.15], atol=1e-4)
    with pytest.raises(ValueError, match="without the camera's formula"):
        convert(np.array([1.0]), "counts", "c")


@pytest.mark.parametrize("name", FLIR)
def test_real_flir_temperatures_equal_flyrs(data_root, name):
    flyr = pytest.importorskip("flyr")
    path = data_root / "cameras" / name
    read = read_camera_file(path)
    assert read is not None
    np.testing.assert_allclose(read.thermal[..., 0], flyr.unpack(str(path)).kelvin, atol=0.1)


@pytest.mark.parametrize("name", FLIR)
def test_real_flir_parameters_equal_exiftools(data_root, name):
    """ExifTool's own reading of the parameters, put into the formula here."""
    if not shutil.which("exiftool"):
        pytest.skip("exiftool is not installed")
    path = data_root / "cameras" / name
    (found,) = json.loads(subprocess.check_output(["exiftool", "-j", "-n", "-FLIR:all", str(path)]))
    found |= {name: float(value) for name, value in found.items() if name.startswith(("Atmospheric", "Planck"))}
    read, counts = read_camera_file(path), read_camera_file(path, counts=True)
    assert read is not None and counts is not None
    assert read.thermal.shape[:2] == (found["RawThermalImageHeight"], found["RawThermalImageWidth"])
    planck = {"r1": "PlanckR1", "r2": "PlanckR2", "b": "PlanckB", "f": "PlanckF", "o": "PlanckO"}
    p = {short: found[long] for short, long in planck.items()}

    def black_body(t):
        return p["r1"] / (p["r2"] * (np.exp(p["b"] / t) - p["f"])) - p["o"]

    e, air = found["Emissivity"], found["AtmosphericTemperature"] + 273.15
    t = found["AtmosphericTemperature"]
    water = found["RelativeHumidity"] * np.exp(1.5587 + 0.06939 * t - 0.00027816 * t**2 + 0.00000068455 * t**3)
    x, way = found["AtmosphericTransX"], -np.sqrt(found["ObjectDistance"] / 2)
    parts = [
        np.exp(way * (found[f"AtmosphericTransAlpha{n}"] + found[f"AtmosphericTransBeta{n}"] * np.sqrt(water)))
        for n in (1, 2)
    ]
    half = x * parts[0] + (1 - x) * parts[1]
    reflected = black_body(found["ReflectedApparentTemperature"] + 273.15)
    # From the object's side: it emits and reflects, then twice half of the air passes and emits.
    own = counts.thermal[..., 0].astype(np.float64)
    for _ in range(2):
        own = (own - (1 - half) * black_body(air)) / half
    own = (own - (1 - e) * reflected) / e
    kelvins = p["b"] / np.log(p["r1"] / (p["r2"] * (own + p["o"])) + p["f"])
    np.testing.assert_allclose(read.thermal[..., 0], kelvins, atol=0.1)
    camera, alignment = read.layout.camera, read.layout.alignment
    assert (camera.model, camera.serial) == (found["CameraModel"], str(found["CameraSerialNumber"]))
    if alignment is not None:
        assert (alignment.offset_x, alignment.offset_y) == (found["OffsetX"], found["OffsetY"])
        assert read.visible is not None
        assert read.visible.shape[:2] == (found["EmbeddedImageHeight"], found["EmbeddedImageWidth"])


@pytest.mark.parametrize("name", DJI)
def test_real_dji_counts_equal_an_independent_join(data_root, name):
    path = data_root / "cameras" / name
    read = read_camera_file(path)
    assert read is not None
    data, at, joined = path.read_bytes(), 2, b""
    while data[at + 1] != 0xDA:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] == 0xE0 + DJI[name]:
            joined += data[at + 4 : at + 2 + length]
        at += 2 + length
    assert read.thermal.shape == (512, 640, 1) and read.thermal.astype("<u2").tobytes() == joined


def test_a_picture_in_picture_is_little_endian_whatever_it_begins_with(tmp_path):
    record = picture_record(2.0, 1, 2)
    assert record[:1] == b"\0"  # as a big-endian record would begin
    read = read_camera_file(stored(tmp_path, flir_jpeg(scene(), picture(), alignment=(2.0, 1, 2))))
    assert read is not None and read.layout.alignment is not None and read.layout.alignment.offset_y == 2
