"""Files of cameras that are damaged: named with the next step, or only their values change."""

import struct

import numpy as np
import pytest
from camera_files import (
    PLANCK,
    camera_record,
    container,
    dji_jpeg,
    flir_jpeg,
    jpeg,
    raw_record,
    with_segments,
)
from test_cameras import picture, scene, stored

from fusejax.io.cameras import CameraError, read_camera_file


def _without_chunk(data):
    at = data.index(b"FLIR\0\x01\x01") - 4
    length = struct.unpack_from(">H", data, at + 2)[0]
    return data[:at] + data[at + 2 + length :]


def _damaged():
    counts = scene()
    whole = flir_jpeg(counts, picture(), chunk=2000)
    yield "cut off", whole[:9000], "a segment with thermal data is cut off"
    yield "chunk", _without_chunk(whole), r"1 of \d+ chunks of the thermal data are missing"
    yield "twice", whole[:2] + whole[2:2014] + whole[2:], "chunk 0 of the thermal data occurs twice"
    yield "foreign", with_segments(jpeg(picture()), [(1, b"FLIR\0\x01\0\0" + b"AB" * 400)]), "do not begin as FLIR's do"
    yield (
        "larger",
        flir_jpeg(counts, raw=raw_record(counts, form="raw", size=(61, 80))),
        r"stated to be 80x61, which takes 9760 bytes, but it holds 9600",
    )
    yield "png", flir_jpeg(counts, raw=raw_record(counts, size=(80, 60))), "stated to be 60x80 but is 80x60"
    yield "huge", flir_jpeg(counts, raw=raw_record(counts, size=(65535, 65535))), "larger than any camera's"
    yield (
        "no raw",
        with_segments(jpeg(picture()), [(1, b"FLIR\0\x01\0\0" + container([(0x20, camera_record())]))]),
        "holds no thermal image",
    )
    for name, value in {"r1": 0.0, "b": float("nan"), "r2": -1.0, "o": 2**30}.items():
        camera = camera_record(planck=PLANCK | {name: value})
        yield f"planck {name}", flir_jpeg(counts, camera=camera), r"temperatures cannot be computed.*--ir-unit counts"
    hot = camera_record(planck=PLANCK | {"b": 9999.0})
    yield "hot", flir_jpeg(counts, camera=hot), r"\d+ to \d+ degrees Celsius, but the camera measures from -20 to 120"
    yield "emissivity", flir_jpeg(counts, camera=camera_record(emissivity=0)), "emissivity is 0"
    coded = struct.pack("<3H", 2, 80, 60).ljust(32, b"\0") + jpeg(picture())
    yield "coded", flir_jpeg(counts, raw=coded), "its thermal image is coded as JPEG"
    yield (
        "dji",
        dji_jpeg(scene(128, 160), shown=(120, 160)),
        "38400 bytes of counts are expected, but the file holds 40960",
    )


@pytest.mark.parametrize(("data", "message"), [pytest.param(d, m, id=name) for name, d, m in _damaged()])
def test_damaged_files_are_named_with_the_next_step(tmp_path, data, message):
    path = stored(tmp_path, data)
    with pytest.raises(CameraError, match=message) as error:
        read_camera_file(path)
    assert str(error.value).startswith(f"{path}: ") and "--ir" in str(error.value)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("make", [lambda: flir_jpeg(scene(24, 32), picture(24, 32)), lambda: dji_jpeg(scene(128, 160))])
def test_random_damage_is_an_error_by_name_or_changes_values_only(tmp_path, make):
    rng, whole = np.random.default_rng(0), make()
    for _ in range(150):
        data = bytearray(whole)
        for at in rng.integers(2, min(len(data), 4000), 4):
            data[at] = rng.integers(0, 256)
        path = stored(tmp_path, bytes(data[: len(data) if rng.random() < 0.8 else rng.integers(2, len(data))]))
        read, message = None, f"{path}: "
        try:
            read = read_camera_file(path)
        except CameraError as error:
            message = str(error)
        assert message.startswith(f"{path}: ") and (read is None or np.isfinite(read.thermal).all())
