"""Frames are fused the same way, wherever they come from, with what is kept between them."""

import warnings

import numpy as np
import pytest
from fusing import TINY, tiny_params

from fusejax.data.synthetic import synthetic_pair
from fusejax.inference import Aligned, Aligner, Frame, FrameFuser, FrameSource, Fuser, fuse_folder, fuse_frames
from fusejax.inference.temporal import initial_state, settle
from fusejax.inference.video_plan import pair_frames
from fusejax.io import ArrayFrames, read_image, write_image
from fusejax.io.align import AsRead, ResampleInfrared
from fusejax.io.images import to_float
from fusejax.ops.color import rgb_to_luma

SIZE = (24, 32)


@pytest.fixture(scope="module")
def fuser():
    return Fuser(tiny_params(), TINY)


@pytest.fixture(scope="module")
def frames():
    """Four noisy frames of a static scene: infrared and visible."""
    pair, rng = synthetic_pair(4, size=SIZE), np.random.default_rng(0)

    def noisy(image):
        moving = image.astype(np.int16) + rng.integers(-3, 4, (4, *image.shape))
        return np.clip(moving, 0, 255).astype(np.uint8)

    return noisy(pair["ir"]), noisy(pair["vi"])


def test_without_a_time_constant_frames_are_single_images(fuser, frames):
    by_frame = FrameFuser(fuser)
    for n, (ir, vi) in enumerate(zip(*frames, strict=True)):
        np.testing.assert_allclose(by_frame.fuse(ir, vi, n / 25), fuser.fuse(ir, vi), atol=1)
    gray = by_frame.fuse(ir[..., 0], vi[..., 0], 1.0)
    assert (gray.shape, gray.dtype) == (SIZE, np.uint8)


def test_the_decision_settles_as_in_the_formula(fuser, frames):
    by_frame, state, before = FrameFuser(fuser, temporal=0.3), initial_state(*SIZE), 7.0
    for ir, vi, time in zip(*frames, (7.0, 7.04, 7.2, 7.21), strict=True):
        ir_y, vi_y = to_float(ir)[None], rgb_to_luma(to_float(vi))[None]
        plain = fuser.fuse_luma(ir_y, vi_y, exact_size=True)
        state, expected = settle(state, ir_y, vi_y, plain, time - before, 0.3)
        found = by_frame.fuse_luma(ir, vi_y[0], time)
        np.testing.assert_array_equal(found.luma, np.asarray(expected)[0])
        np.testing.assert_array_equal(found.ir, ir_y[0])
        before = time
    assert np.abs(np.asarray(expected) - plain).max() > 1e-4


@pytest.mark.parametrize("change", ["size", "time", "reset"])
def test_another_scene_starts_anew(fuser, frames, change):
    by_frame, (ir, vi) = FrameFuser(fuser, temporal=0.3), frames
    for n in range(2):
        by_frame.fuse(ir[n], vi[n], 5 + n / 25)
    if change == "reset":
        by_frame.reset()
    rows, time = slice(0, 16 if change == "size" else None), 1.0 if change == "time" else 6.0
    expected = FrameFuser(fuser, temporal=0.3).fuse(ir[3][rows], vi[3][rows], 0.0)
    np.testing.assert_array_equal(by_frame.fuse(ir[3][rows], vi[3][rows], time), expected)


def test_the_range_of_the_first_raw_frame_serves_all(fuser, frames):
    ir, vi = frames
    raw = ir.astype(np.uint16) * 3 + 7000
    by_frame = FrameFuser(fuser)
    with pytest.warns(UserWarning, match="infrared values 7"):
        by_frame.fuse(raw[0], vi[0], 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hotter = by_frame.fuse_luma(raw[1] + 100, rgb_to_luma(to_float(vi[1])), 0.1).ir
        same = by_frame.fuse_luma(raw[1], rgb_to_luma(to_float(vi[1])), 0.2).ir
    assert (hotter.mean() - same.mean()) > 0.05


def test_a_range_may_follow_the_frames(fuser, frames):
    class Following:
        def of(self, ir, seconds):
            return 0.0, 255.0 * (1 + seconds)

    ir, vi_y = frames[0][0], rgb_to_luma(to_float(frames[1][0]))
    by_frame = FrameFuser(fuser, ir_range=Following())
    seen = [by_frame.fuse_luma(ir, vi_y, time).ir for time in (0.0, 1.0)]
    np.testing.assert_allclose(seen[0], 2 * seen[1], atol=1e-6)


def test_arrays_are_a_source_of_frames_like_files(fuser, frames, tmp_path):
    ir, vi = ArrayFrames(frames[0], 25.0), ArrayFrames(frames[1], 25.0)
    assert isinstance(ir, FrameSource) and all(isinstance(frame, Frame) for frame in ir)
    results = list(fuse_frames(pair_frames(ir, vi), FrameFuser(fuser, temporal=0.2)))
    by_frame = FrameFuser(fuser, temporal=0.2)
    for n, (frame, result) in enumerate(results):
        assert frame.seconds == n / 25
        np.testing.assert_array_equal(
            frame.with_luma(result.luma), by_frame.fuse(frames[0][n], frames[1][n], frame.seconds)
        )
    assert len(results) == 4
    with pytest.raises(ValueError, match="array ends after 3 frames"):
        list(pair_frames(ArrayFrames(frames[0][:3], 25.0), vi))


def test_batches_and_bad_time_constants_are_refused(fuser, frames):
    with pytest.raises(ValueError, match="one frame at a time"):
        FrameFuser(fuser).fuse(*frames, 0.0)
    for wrong in (-0.1, np.nan, np.inf):
        with pytest.raises(ValueError, match="temporal is"):
            FrameFuser(fuser, temporal=wrong)


class Shift:
    """A made-up registration that mirrors infrared and leaves three columns empty."""

    any_size = False

    def __init__(self):
        self.names = []

    def __call__(self, ir, vi, *, name=None):
        self.names.append(name)
        mask = np.ones((*vi.shape[:2], 1), np.float32)
        mask[:, -3:] = 0
        return Aligned(np.roll(ir, 3, axis=1)[:, ::-1], vi, mask[:, ::-1])


def shifted(ir):
    return np.roll(ir, 3, axis=1)[:, ::-1]


def test_every_way_in_takes_the_step_before_fusing(fuser, frames, tmp_path):
    ir, vi = frames[0][0], frames[1][0]
    assert isinstance(Shift(), Aligner)
    ir_y, vi_y = to_float(shifted(ir)), rgb_to_luma(to_float(vi))
    ir_y[:, :3] = vi_y[:, :3]  # where the mask is 0, the network sees the visible image twice
    expected = fuser.fuse_luma(ir_y[None], vi_y[None])[0].copy()
    expected[:, :3] = vi_y[:, :3]
    assert np.abs(fuser.fuse_pair(shifted(ir), vi).luma - expected).max() > 0.02
    found = fuser.fuse_pair(ir, vi, align=Shift())
    np.testing.assert_allclose(found.luma, expected, atol=1e-6)
    np.testing.assert_allclose(FrameFuser(fuser, align=Shift()).fuse(ir, vi, 0.0), found.image, atol=1)
    two = fuser.fuse(np.stack([ir, ir]), np.stack([vi, vi]), align=Shift())
    np.testing.assert_allclose(two[1], found.image, atol=1)
    write_image(tmp_path / "ir" / "a.png", ir)
    write_image(tmp_path / "vi" / "a.png", vi)
    step = Shift()
    (path,) = fuse_folder(tmp_path / "ir", tmp_path / "vi", tmp_path / "out", weights=fuser, align=step).written
    np.testing.assert_array_equal(read_image(path), found.image)
    assert step.names == ["a"]


def test_resampling_is_such_a_step(fuser, frames):
    ir, vi = frames[0][0], frames[1][0]
    small = fuser.fuse(ir[::2, ::2], vi, align=ResampleInfrared())
    assert small.shape == vi.shape
    with pytest.raises(ValueError, match=r"ir is 16x12 but vi is 32x24 \(width x height\); register the pair first"):
        fuser.fuse(ir[::2, ::2], vi)


class Half:
    """A step after which only the left half is fused, although infrared continues to the right."""

    any_size = False

    def __call__(self, ir, vi, *, name=None):
        share = np.zeros((*vi.shape[:2], 1), np.float32)
        share[:, : vi.shape[1] // 2] = 1
        return Aligned(ir, vi, share=share)


def test_a_share_blends_the_result_and_hides_nothing_from_the_network(fuser, frames):
    ir, vi = frames[0][0], frames[1][0]
    half, whole = fuser.fuse(ir, vi, align=Half()), fuser.fuse(ir, vi)
    middle = vi.shape[1] // 2
    np.testing.assert_array_equal(half[:, :middle], whole[:, :middle])
    np.testing.assert_allclose(half[:, middle:].astype(int), vi[:, middle:], atol=1)
    assert np.abs(whole[:, middle:].astype(int) - vi[:, middle:]).max() > 2


class Wrong:
    """A step whose result has something else in it."""

    any_size = False

    def __init__(self, change):
        self.change = change

    def __call__(self, ir, vi, *, name=None):
        return Aligned(ir, vi)._replace(**self.change)


def test_a_step_that_returns_nonsense_is_named(fuser, frames, tmp_path):
    ir, vi = frames[0][0], frames[1][0]
    for change, message in (
        ({"ir": ir[:8]}, "a: ir is 32x8 but vi is 32x24"),
        ({"ir": ir[:, :8]}, "a: ir is 8x24 but vi is 32x24"),
        ({"mask": np.ones((3, 3, 1), np.float32)}, "a: the mask has the shape"),
        ({"mask": np.full((*SIZE, 1), 2, np.float32)}, "a: the mask has values outside"),
        ({"share": np.full((*SIZE, 1), -1, np.float32)}, "a: the share has values outside"),
    ):
        write_image(tmp_path / "ir" / "a.png", ir)
        write_image(tmp_path / "vi" / "a.png", vi)
        with pytest.raises(ValueError, match=message):
            fuse_folder(tmp_path / "ir", tmp_path / "vi", tmp_path / "out", weights=fuser, align=Wrong(change))
    with pytest.raises(ValueError, match="resize or align, not both"):
        fuse_folder(tmp_path / "ir", tmp_path / "vi", tmp_path / "out", weights=fuser, align=AsRead(), resize="ir")
