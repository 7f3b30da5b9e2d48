"""The small correction of files that hold both images: where it helps, and where it keeps away."""

import dataclasses

import cv2
import numpy as np
import pytest
from camera_files import flir_jpeg
from test_registration import scene

from fusejax.io.align import AsRead, ResampleInfrared, chosen_aligner, correction
from fusejax.io.cameras import Alignment, common_field
from fusejax.io.pair_images import SourceOptions, read_pair
from fusejax.io.pairing import PairPaths
from fusejax.registration import SmallShift, find_small_shift
from fusejax.registration import small_shift as module

pytestmark = pytest.mark.optimized


def moved(ir, x, y):
    matrix = np.array([[1, 0, x], [0, 1, y]], np.float64)
    return cv2.warpAffine(ir, matrix, ir.shape[::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)[..., None]


@pytest.mark.parametrize("frame", ["ir", "vi"])
@pytest.mark.parametrize("shift", [(3, -2), (-1.25, 0.5), (0, 0)])
def test_a_moved_field_is_the_field_of_a_file_with_other_numbers(frame, shift):
    rng = np.random.default_rng(0)
    ir, vi = rng.random((60, 80, 1), np.float32), rng.integers(0, 255, (240, 320, 3), np.uint8)
    stated = Alignment(1.6, 7.0, -4.0)
    step = stated.scale if frame == "ir" else 1.0  # visible pixels of a pixel of the field
    other = dataclasses.replace(stated, offset_x=7 + step * shift[0], offset_y=-4 + step * shift[1])
    field = common_field(stated, (60, 80), (240, 320), frame).moved(shift, (240, 320))
    same = common_field(other, (60, 80), (240, 320), frame)
    for a, b in zip(field.place(ir, vi), same.place(ir, vi), strict=True):
        rows, columns = (slice(0, min(n, m)) for n, m in zip(a.shape[:2], b.shape[:2], strict=True))
        cut = same.top - field.top, same.left - field.left
        assert max(map(abs, cut)) <= 1  # a fraction of a pixel may round the other way
        if cut == (0, 0):
            np.testing.assert_allclose(a[rows, columns].astype(float), b[rows, columns].astype(float), atol=1e-3)


@pytest.mark.slow
def test_a_small_shift_is_found_and_smaller_or_larger_ones_are_left():
    ir, vi = scene(size=(240, 320))
    for x, y in ((6, -4), (-3, 7)):
        found = find_small_shift(moved(ir, x, y), vi[..., None])
        assert found is not None
        np.testing.assert_allclose(found, (-x, -y), atol=0.6)
    for x, y in ((0, 0), (1, 1), (0, 24)):
        assert find_small_shift(moved(ir, x, y), vi[..., None]) is None


@pytest.mark.slow
def test_what_cannot_be_compared_is_left_as_the_file_says():
    ir, vi = scene(size=(240, 320))
    other = scene(seed=5, size=(240, 320))[0]
    for odd in (moved(other, 5, 5), np.zeros((240, 320, 1)), np.random.default_rng(0).random((240, 320, 1))):
        assert find_small_shift(odd, vi[..., None]) is None
    assert find_small_shift(ir[:20, :20, None], vi[:20, :20, None]) is None


@pytest.mark.slow
@pytest.mark.parametrize("frame", ["ir", "vi"])
def test_a_file_whose_numbers_are_off_is_corrected_and_said_once(tmp_path, frame):
    ir, vi = scene(size=(240, 320))
    counts = np.round(14000 + 2000 * moved(ir, 3, -5)[..., 0]).astype(np.uint16)
    shown = np.repeat(np.round(255 * np.clip(vi, 0, 1)).astype(np.uint8)[..., None], 3, axis=-1)
    path, said = tmp_path / "FLIR1.jpg", []
    path.write_bytes(flir_jpeg(counts, cv2.resize(shown, (640, 480), interpolation=cv2.INTER_CUBIC)))
    step = SmallShift(say=said.append)
    pair, options = PairPaths("FLIR1", path, path), SourceOptions(frame=frame)
    stated, better = read_pair(pair, options), read_pair(pair, options, correct=step)
    assert read_pair(pair, options, correct=step).ir.shape == stated.ir.shape == better.ir.shape
    assert find_small_shift(stated.ir, stated.vi) is not None and find_small_shift(better.ir, better.vi) is None
    assert len(said) == 1 and "FLIR1 is moved by " in said[0] and "--register none" in said[0]


def test_steps_that_leave_pairs_as_they_are_carry_the_correction():
    step = SmallShift()
    assert correction(AsRead(step)) is step and correction(AsRead()) is correction(None) is None
    resampled = chosen_aligner(AsRead(step), "ir")
    assert isinstance(resampled, ResampleInfrared) and correction(resampled) is step


@pytest.mark.parametrize(("moving", "looked"), [(0, 5), (1, 5), (2, 5 + 12)])
def test_five_files_of_many_decide_whether_the_others_are_looked_at(tmp_path, monkeypatch, moving, looked):
    paths = [tmp_path / f"FLIR{n:02d}.jpg" for n in range(12)]
    data = flir_jpeg(np.full((40, 48), 14000, np.uint16), np.zeros((80, 96, 3), np.uint8))
    for path in paths:
        path.write_bytes(data)
    seen = []

    def look(ir, vi):
        del vi
        seen.append(ir)
        return (2.0, 0.0) if len(seen) <= moving else None

    monkeypatch.setattr(module, "find_small_shift", look)
    step = SmallShift(tuple(PairPaths(path.stem, path, path) for path in paths))
    for path in paths:
        read_pair(PairPaths(path.stem, path, path), SourceOptions(), correct=step)
    assert len(seen) == looked
