"""Videos of unequal rates, or with an offset, are paired by their time stamps."""

from fractions import Fraction

import numpy as np
import pytest
from video_making import encode, gray, visible

from fusejax.inference.fuser import Fuser
from fusejax.inference.time_pairing import find_offset
from fusejax.inference.video import fuse_video
from fusejax.inference.video_plan import pair_by_time
from fusejax.io.frame_folder import FrameFolder
from fusejax.io.images import read_image, write_image
from fusejax.io.pyav import VideoError
from fusejax.io.video import VideoFile

av = pytest.importorskip("av")


def expected(fuser, ir, vi):
    return [
        fuser.fuse_luma(one.luma()[None], other.luma()[None], exact_size=True)[0]
        for one, other in zip(ir, vi, strict=True)
    ]


def test_a_slow_infrared_video_is_held(weights, tmp_path):
    ir = encode(tmp_path / "ir.mkv", gray(4), "ffv1", "gray", rate=9)
    vi = encode(tmp_path / "vi.mkv", visible(12), "ffv1", "yuv422p", rate=30)
    with pytest.warns(UserWarning, match=r"ir\.mkv has 9 .* but .*vi\.mkv has 30 .*; every visible frame"):
        fused = fuse_video(ir, vi, tmp_path / "o", weights=weights)
    assert (fused.frames, fused.left_out) == (12, 0)
    infrared = list(VideoFile(ir))
    partners = [infrared[int((k + 0.5) * 9 / 30 + 1e-6)] for k in range(12)]  # the latest within half an interval
    wanted = expected(Fuser.load(weights), partners, VideoFile(vi))
    for luma, frame in zip(wanted, VideoFile(fused.written), strict=True):
        np.testing.assert_allclose(frame.luma(), luma, atol=0.5 / 219 + 1e-6)


def test_frames_of_a_very_slow_camera_are_held_for_one_and_a_half_intervals(tmp_path):
    for name, count in (("ir", 2), ("vi", 30)):
        for k in range(count):
            write_image(tmp_path / name / f"{k:02d}.png", np.zeros((8, 8), np.uint8))
    ir, vi = FrameFolder(tmp_path / "ir", Fraction(1)), FrameFolder(tmp_path / "vi", Fraction(10))
    partners = [None if found is None else found.seconds for found, _ in pair_by_time(ir, vi, 0.0)]
    assert partners == [0.0] * 10 + [1.0] * 16 + [None] * 4


def test_an_offset_moves_infrared_and_what_has_no_partner_is_left_out(weights, tmp_path):
    ir = encode(tmp_path / "ir.mkv", gray(12), "ffv1", "gray")
    vi = encode(tmp_path / "vi.mkv", visible(12), "ffv1", "yuv422p")
    fused = fuse_video(ir, vi, tmp_path / "o", weights=weights, offset=0.3)  # the first three have no partner
    assert (fused.frames, fused.left_out, fused.offset) == (9, 3, 0.3)
    wanted = expected(Fuser.load(weights), list(VideoFile(ir))[:9], list(VideoFile(vi))[3:])
    for luma, frame in zip(wanted, VideoFile(fused.written), strict=True):
        np.testing.assert_allclose(frame.luma(), luma, atol=0.5 / 219 + 1e-6)
    with pytest.raises(VideoError, match=r"never overlap in time with an offset of 50 s"):
        fuse_video(ir, vi, tmp_path / "never", weights=weights, offset=50.0)
    assert list((tmp_path / "never").glob("*")) == []


@pytest.mark.slow
def test_folders_of_unequal_rates_need_no_equal_names(weights, tmp_path):
    for name, frames in (("ir", gray(3)), ("vi", visible(10))):
        for k, pixels in enumerate(frames):
            write_image(tmp_path / name / f"{name}_{k}.png", pixels)
    given = {"weights": weights, "rate": 10.0, "ir_rate": 3.0}
    fused = fuse_video(tmp_path / "ir", tmp_path / "vi", tmp_path / "images", **given)
    assert fused.frames == 10
    video = fuse_video(tmp_path / "ir", tmp_path / "vi", tmp_path / "a.mkv", **given)
    for k, frame in enumerate(VideoFile(video.written)):
        assert frame.seconds == pytest.approx(k / 10, abs=1e-3)
        image = read_image(tmp_path / "images" / f"vi_{k}.png")
        np.testing.assert_array_equal(frame.frame.to_ndarray(format="rgb24"), image)
    with pytest.raises(VideoError, match=r"--ir-rate is 0; give the number"):
        fuse_video(tmp_path / "ir", tmp_path / "vi", tmp_path / "x", weights=weights, rate=10.0, ir_rate=0.0)


def moving(folder, shift, rate, seconds, *, seed=0):
    """Frames in which a square moves irregularly; its motion is that of `shift` seconds earlier."""
    rng = np.random.default_rng(seed)
    steps = np.abs(rng.normal(0, 1, 2000)) * (rng.random(2000) < 0.3)
    path = np.cumsum(steps)
    for k in range(round(rate * seconds)):
        pixels = np.full((48, 64), 60, np.uint8)
        at = 10 * (k / rate - shift + 20)
        left = int(np.interp(at, np.arange(2000), 6 * path) % 48)
        pixels[10:30, left : left + 14] = 200
        write_image(folder / f"{k}.png", pixels)
    return FrameFolder(folder, Fraction(rate))


@pytest.mark.parametrize(("shift", "rate"), [(0.0, 10), (0.7, 10), (-1.3, 10), (0.7, 5)])
def test_the_offset_is_found_from_what_moves_in_both(tmp_path, shift, rate):
    ir, vi = moving(tmp_path / "ir", shift, rate, 15), moving(tmp_path / "vi", 0.0, 10, 15)
    assert find_offset(ir, vi) == pytest.approx(-shift, abs=0.11)


def test_an_offset_that_nothing_tells_is_refused(tmp_path):
    ir, vi = moving(tmp_path / "ir", 0.0, 10, 8, seed=1), moving(tmp_path / "vi", 0.0, 10, 8)
    with pytest.raises(VideoError, match=r"the motion in both is not alike.*--offset SECONDS"):
        find_offset(ir, vi)
    for name in ("still_ir", "still_vi"):
        for k in range(20):
            write_image(tmp_path / name / f"{k}.png", np.full((48, 64), 9, np.uint8))
    with pytest.raises(VideoError, match="not alike"):
        find_offset(*(FrameFolder(tmp_path / name, Fraction(10)) for name in ("still_ir", "still_vi")))
