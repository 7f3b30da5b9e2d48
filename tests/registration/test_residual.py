"""Whether pairs line up as they are: residuals with intervals, and the check of a folder."""

import dataclasses
import warnings

import cv2
import numpy as np
import pytest
from fusing import save_tiny_weights
from test_register_commands import folders
from test_registration import scene

from fusejax.cli.fuse import run as fuse
from fusejax.io.pairing import PairPaths
from fusejax.registration import Registration, Residual, is_aligned
from fusejax.registration import folder_check as checks
from fusejax.registration.folder_check import CheckBeside, check_pairs
from fusejax.registration.residual import displacement, residual_of
from fusejax.registration.rough import rough_residual


def shift(x, y):
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])


def registration(matrix, **changes):
    values = {"model": "similarity", "uncertainty": 1.0, "correlation": 0.5, "score": 0.5}
    values |= {"second_score": 0.1, "contrast": 2.0, "overlap": 0.9, "refused": ""}
    return Registration(matrix, **values | changes)


def test_the_displacement_of_a_shift_is_its_length_also_between_resolutions():
    assert displacement(shift(3, 4), (48, 64), (48, 64)) == pytest.approx(5)
    half = np.array([[0.5, 0, -0.25], [0, 0.5, -0.25], [0, 0, 1]])  # resampling to half the size
    assert displacement(half, (24, 32), (48, 64)) == pytest.approx(0)
    assert displacement(shift(1.5, 2) @ half, (24, 32), (48, 64)) == pytest.approx(5)  # visible pixels


def test_a_residual_has_an_interval_and_says_what_it_cannot_tell():
    told = residual_of(registration(shift(6, 8)), (480, 640), (480, 640))
    assert told.pixels == pytest.approx(10)
    assert 0 < told.low < 10 < told.high
    assert told.within(100) is True
    assert told.within(2) is False
    assert told.within(10) is None
    assert str(told).startswith("off by 10.0 pixels (")
    refused = residual_of(registration(shift(0, 0), refused="too dark"), (480, 640), (480, 640))
    assert refused.within(2) is None
    assert str(refused) == "cannot tell: too dark"
    far = residual_of(registration(shift(300, 0)), (480, 640), (480, 640))
    assert "300 pixels away" in far.unknown


@pytest.mark.slow
def test_a_shifted_pair_is_off_by_its_shift():
    ir, vi = scene()
    assert is_aligned(ir, vi).pixels < 0.7
    moved = cv2.warpAffine(ir, shift(6, 0)[:2], ir.shape[::-1], borderMode=cv2.BORDER_REFLECT)
    found = is_aligned(moved, vi)
    assert found.low <= 6 <= found.high
    assert found.pixels == pytest.approx(6, abs=0.7)


def off(pixels):
    return Residual(pixels, max(0.0, pixels - 1), pixels + 1)


@pytest.fixture
def pairs(tmp_path):
    folders(tmp_path, [scene(n, size=(40, 48)) for n in range(6)])
    return [PairPaths(str(n), tmp_path / "ir" / f"{n}.png", tmp_path / "vi" / f"{n}.png") for n in range(6)]


def answers(monkeypatch, *found, rough=9.0):
    left = list(found)
    monkeypatch.setattr(checks, "rough_residual", lambda ir, vi: rough)
    monkeypatch.setattr(checks, "is_aligned", lambda ir, vi: left.pop(0))
    return left


@pytest.mark.parametrize(
    ("found", "looked_at", "warned"),
    [
        ((off(0.5), off(0.6), off(9.0)), 2, False),
        ((off(9.0), off(8.0), off(0.5)), 2, True),
        ((off(9.0), off(0.5), off(8.0)), 3, True),
        ((off(9.0), off(2.0), off(2.0)), 3, False),  # intervals on both sides of 2
        ((Residual(np.nan, 0, np.inf, "flat"),) * 3, 3, False),
    ],
)
def test_a_folder_is_looked_at_until_two_pairs_agree(monkeypatch, pairs, found, looked_at, warned):
    answers(monkeypatch, *found)
    check = check_pairs(pairs)
    assert len(check.found) == looked_at
    assert (check.line() is not None) == warned
    if warned:
        assert f"2 of {looked_at} pairs looked at do not line up" in check.line()
        assert "--register auto" in check.line()


def test_a_folder_that_looks_fine_is_not_measured(monkeypatch, pairs):
    left = answers(monkeypatch, off(9.0), rough=1.0)
    check = check_pairs(pairs)
    assert check.found == {} and check.line() is None and len(left) == 1


def test_two_odd_pairs_of_five_are_no_reason_to_measure(monkeypatch, pairs):
    answers(monkeypatch, *[off(9.0)] * 3)
    looks = iter([9.0, 1.0, 9.0, 1.0, 1.0])
    monkeypatch.setattr(checks, "rough_residual", lambda ir, vi: next(looks))
    assert check_pairs(pairs).found == {}


@pytest.mark.parametrize("shift", [(0, 0), (8, 0), (-5, 6)])
def test_a_rough_look_finds_shifts_although_infrared_is_inverted(shift):
    ir, vi = scene()
    moved = cv2.warpAffine(ir, np.array([[1, 0, shift[0]], [0, 1, shift[1]]], float), ir.shape[::-1])
    assert rough_residual(moved, vi) == pytest.approx(np.hypot(*shift), abs=1.5)
    counts = np.round(7000 + 900 * moved).astype(np.uint16)
    assert rough_residual(counts, vi) == pytest.approx(np.hypot(*shift), abs=1.5)


def test_a_damaged_sample_is_passed_over(monkeypatch, pairs):
    pairs[0].ir.write_bytes(b"no image")
    answers(monkeypatch, *[off(9.0)] * 5)
    assert "0" not in check_pairs(pairs).found


def test_an_error_of_the_check_is_not_lost(pairs):
    def find():
        raise RuntimeError("broken")

    with CheckBeside(find) as check:
        pass
    with pytest.raises(RuntimeError, match="broken"):
        check.line()


@pytest.mark.slow
@pytest.mark.parametrize(("more", "warned"), [([], True), (["--no-check"], False), (["--register", "rig.json"], False)])
def test_fuse_warns_once_of_a_folder_that_does_not_line_up(monkeypatch, tmp_path, pairs, more, warned):
    from test_register_commands import shifted_rig

    from fusejax.registration import write_rig

    monkeypatch.chdir(tmp_path)
    write_rig("rig.json", dataclasses.replace(shifted_rig(1), ir_size=(40, 48), vi_size=(40, 48)))
    monkeypatch.setattr(checks, "LEAST_PAIRS", 6)
    answers(monkeypatch, *[off(9.0)] * 5)
    sources = ["--ir", "ir", "--vi", "vi", "--out", "out", "--weights", str(save_tiny_weights(tmp_path))]
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        fuse([*sources, *more])
    assert sum("do not line up" in str(one.message) for one in shown) == warned
