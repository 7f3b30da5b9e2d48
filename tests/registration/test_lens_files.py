"""Numbers of lenses in files of OpenCV and JSON."""

import dataclasses
import json

import pytest
from test_lens import BARREL, KINDS, calibrated

from fusejax.registration import read_lens


@pytest.mark.parametrize("suffix", ["yml", "xml", "json"])
def test_the_numbers_are_read_from_files_of_opencv(tmp_path, suffix):
    assert read_lens(calibrated(tmp_path / f"camera.{suffix}", KINDS["tangential"])) == KINDS["tangential"]


def test_the_numbers_are_read_from_plain_json(tmp_path):
    (tmp_path / "lens.json").write_text(
        json.dumps(dataclasses.asdict(BARREL) | {"cx": 127, "distortion": [-0.3, 0, 0, 0]})
    )
    assert read_lens(tmp_path / "lens.json") == BARREL


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fx": -280}, "fx = -280 and fy = 285; both must be above 0"),
        ({"fy": 0}, "fx = 280 and fy = 0; both must be above 0"),
        ({"distortion": [-0.3, 0.1, 0]}, "has 3 distortion numbers; give k1 k2 p1 p2, or 5, 8"),
        ({"distortion": -0.3}, r"distortion is -0.3; give a list of numbers"),
        ({"distortion": ["a", 0, 0, 0]}, "'a' is no number"),
        ({"distortion": [float("nan"), 0, 0, 0]}, r"\{'distortion\[0\]': nan\}, which are no finite numbers"),
        ({"cx": float("inf")}, r"\{'cx': inf\}, which are no finite numbers"),
        ({"cy": True}, "True is no number"),
        ({"cy": 10**400}, "a number has 401 digits"),
        ({"width": 0}, "is for images of 0x192; give their width"),
        ({"width": 255.5}, "the size is 255.5x192; give whole numbers"),
        ({"height": None}, "None is no number"),
    ],
)
def test_damaged_numbers_are_refused_with_what_came(tmp_path, changes, message):
    path = tmp_path / "lens.json"
    path.write_text(json.dumps(dataclasses.asdict(BARREL) | changes))
    with pytest.raises(ValueError, match=message) as error:
        read_lens(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "OpenCV cannot read it; give the file"),
        ("{", "malformed JSON"),
        ("[1, 2]", "OpenCV cannot read it; give the file"),
        ("{}", r"lacks \['fx', 'fy'"),
        ("%YAML:1.0\n---\nimage_width: 3\n", r"lacks \['camera_matrix', 'distortion_coefficients', 'image_height'\]"),
        ("%YAML:1.0\n---\ncamera_matrix: !!opencv-matrix\n   rows: 3\n   cols: 3\n   dt: d\n   data: [ 1, 2", "has no"),
        (
            "%YAML:1.0\n---\ncamera_matrix: 3\ndistortion_coefficients: 1\nimage_width: 1\nimage_height: 1\n",
            "has no lens",
        ),
        ("camera_matrix:\n  rows: 3\n", "has no lens"),
    ],
)
def test_damaged_files_are_refused_by_name(tmp_path, text, message):
    path = tmp_path / "camera.yml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        read_lens(path)
    assert str(path) in str(error.value)
