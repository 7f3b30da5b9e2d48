"""`fusejax evaluate --registration`: measures of pairs as taken and registered."""

import csv
import json

import cv2
import numpy as np
import pytest
from test_register_commands import folders, shifted_rig
from test_registration import scene

from fusejax.cli.evaluate import run as evaluate
from fusejax.registration import scores, write_rig
from fusejax.registration.residual import Residual
from fusejax.registration.scores import read_truths


@pytest.fixture
def off(tmp_path, monkeypatch):
    """Two pairs whose infrared image is shifted by 5 pixels, the rig that mends it, the truth."""
    pairs = []
    for n in range(2):
        ir, vi = scene(n, size=(48, 64))
        moved = cv2.warpAffine(ir, np.array([[1, 0, 5.0], [0, 1, 0]]), (64, 48), borderMode=cv2.BORDER_REFLECT)
        pairs.append((moved, vi))
    sources = folders(tmp_path, pairs)
    write_rig(tmp_path / "rig.json", shifted_rig(5))
    truth = {str(n): {"matrix": [[1, 0, 5], [0, 1, 0], [0, 0, 1]]} for n in range(2)}
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    monkeypatch.setattr(scores, "is_aligned", lambda ir, vi: Residual(1.0, 0.0, 2.0))
    return tmp_path, [*sources, "--registration", "--out", str(tmp_path / "out")]


def read(root):
    with (root / "out" / "registration.csv").open() as file:
        return list(csv.DictReader(file))


def test_registration_raises_what_aligned_images_share_and_removes_the_error(off, capsys):
    root, given = off
    evaluate([*given, "--register", str(root / "rig.json"), "--truth", str(root / "truth.json")])
    rows = read(root)
    assert [(row["pair"], row["state"]) for row in rows[:2]] == [("0", "as taken"), ("0", "registered")]
    for taken, registered in (rows[:2], rows[2:]):
        assert float(taken["corner"]) == pytest.approx(5) and float(taken["endpoint"]) == pytest.approx(5)
        assert float(registered["corner"]) == pytest.approx(0)
        assert float(registered["MI"]) > float(taken["MI"])
        assert float(registered["GC"]) > float(taken["GC"]) + 0.2
        assert float(taken["overlap"]) == 1
        assert float(registered["overlap"]) == pytest.approx(59 / 64)
    document = json.loads((root / "out" / "registration.json").read_text())
    assert document["measures"]["corner"]["source"] == "DeTone et al. 2016"
    assert document["pairs"]["1"]["registered"]["residual"] == 1.0
    assert "alignment: medians over 2 pairs" in capsys.readouterr().out
    with pytest.raises(FileExistsError, match="--overwrite"):
        evaluate(given)


def test_points_of_a_folder_give_landmark_errors(off):
    root, given = off
    (root / "points").mkdir()
    for n in range(2):
        points = {"vi": [[3, 4], [20, 30]], "ir": [[8, 4], [25, 33]]}
        (root / "points" / f"{n}.json").write_text(json.dumps(points))
    evaluate([*given, "--truth", str(root / "points")])
    (one, _) = read(root)
    assert float(one["landmark"]) == pytest.approx((5 + np.hypot(5, 3)) / 2)
    assert "corner" not in one


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "holds no transforms"),
        ('{"0": {"matrix": [[1, 2], [3, 4]]}}', "0 has no `matrix` of 3x3"),
        ('{"0": 3}', "0 has no `matrix` of 3x3"),
        ('{"0": {"mat', "malformed JSON"),
    ],
)
def test_wrong_truths_are_refused_by_name(tmp_path, text, message):
    (tmp_path / "truth.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_truths(tmp_path / "truth.json")
    (tmp_path / "0.json").write_text('{"vi": [[1, 2]], "ir": [[1, 2], [3, 4]]}')
    (tmp_path / "truth.json").unlink()
    with pytest.raises(ValueError, match=r"0\.json holds no points"):
        read_truths(tmp_path)


def test_truths_of_other_pairs_and_without_registration_are_errors(off):
    root, given = off
    (root / "truth.json").write_text('{"other": {"H": [[1, 0, 5], [0, 1, 0], [0, 0, 1]]}}')
    with pytest.raises(ValueError, match="none of the pairs, such as 0, is among the truths, such as other"):
        evaluate([*given, "--truth", str(root / "truth.json")])
    with pytest.raises(ValueError, match="--truth is for --registration"):
        evaluate([*given[:4], "--weights", "average", "--truth", str(root / "truth.json")])
