"""Fusing videos: every frame of the input is in the output, and no partial file is ever left."""

import fractions
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks.moving import moving_scene

from fusejax.inference.fuser import Fuser
from fusejax.inference.temporal import initial_state, settle
from fusejax.inference.video import fuse_video
from fusejax.io.images import read_image, to_float, write_image
from fusejax.io.video import DecodedFrame, VideoFile
from fusejax.io.video_writing import VideoWriter, from_pixels
from fusejax.ops.color import recolor, rgb_to_luma

av = pytest.importorskip("av")
SIZE = (40, 48)
RATE = fractions.Fraction(25)
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pairs():
    return list(moving_scene(2, frames=6, size=SIZE, speed=3.0))


def write_video(path, frames, *, rate=RATE, codec="ffv1"):
    with VideoWriter(path, codec=codec, rate=rate) as writer:
        for pixels in frames:
            writer.write(from_pixels(pixels))
    return path


@pytest.fixture(scope="module")
def videos(pairs, tmp_path_factory):
    """A lossless pair of videos and the same frames in folders."""
    root = tmp_path_factory.mktemp("videos")
    for kind in ("ir", "vi"):
        write_video(root / f"{kind}.mkv", [pair[kind] for pair in pairs])
        for number, pair in enumerate(pairs):
            write_image(root / kind / f"{number:03d}.png", pair[kind])
    return root


def rgb_frames(path):
    return [frame.frame.to_ndarray(format="rgb24") for frame in VideoFile(path)]


def write_yuv(path, *, pts, frames=6, pix_fmt="yuv420p", audio=False):
    """A video of random planes at the given times (in 1/1000 s), with sound."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = SIZE[1], SIZE[0], pix_fmt
        stream.codec_context.time_base = fractions.Fraction(1, 1000)
        sound = container.add_stream("flac", rate=8000, layout="mono") if audio else None
        for n in range(frames):
            frame = av.VideoFrame(SIZE[1], SIZE[0], pix_fmt)
            for plane in frame.planes:
                plane.update(rng.integers(16, 236, plane.buffer_size, np.uint8).tobytes())
            frame.pts, frame.time_base = pts[n], fractions.Fraction(1, 1000)
            container.mux(stream.encode(frame))
            if sound:
                samples = av.AudioFrame.from_ndarray(np.full((1, 320), 50 * n, np.int16), format="s16", layout="mono")
                samples.sample_rate, samples.pts = 8000, 320 * n
                container.mux(sound.encode(samples))
        for each in container.streams.get():
            container.mux(each.encode(None))
    return path


@pytest.mark.parametrize(("shape", "dtype"), [((3,), np.uint8), ((1,), np.uint8), ((1,), np.uint16), ((3,), np.uint16)])
def test_ffv1_gives_back_every_pixel(tmp_path, rng, shape, dtype):
    frames = [rng.integers(0, np.iinfo(dtype).max, (41, 47, *shape), dtype) for _ in range(4)]
    video = VideoFile(write_video(tmp_path / "a.mkv", frames))
    assert (video.rate, video.count, video.size) == (RATE, 4, (41, 47))
    name = {1: "gray", 3: "rgb24"}[shape[0]] if dtype == np.uint8 else {1: "gray16le", 3: "rgb48le"}[shape[0]]
    for pixels, frame in zip(frames, video, strict=True):
        np.testing.assert_array_equal(frame.frame.to_ndarray(format=name).reshape(pixels.shape), pixels)


def test_a_video_equals_its_frames_one_by_one(videos, pairs, weights, tmp_path):
    fused = fuse_video(videos / "ir.mkv", videos / "vi.mkv", tmp_path, weights=weights, preview=True)
    assert (fused.written, fused.frames, fused.audio) == (tmp_path / "vi.mkv", 6, None)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["vi.mkv", "vi_preview.mp4"]
    fuser = Fuser.load(weights)
    for pair, frame in zip(pairs, rgb_frames(fused.written), strict=True):
        np.testing.assert_array_equal(frame, fuser.fuse_pair(pair["ir"], pair["vi"], exact_size=True).image)
    preview = VideoFile(tmp_path / "vi_preview.mp4")
    assert preview.count == 6 and preview.rate == RATE
    assert preview.size[1] == 3 * 48 + 2 * 4
    shown = np.stack(rgb_frames(preview.path))[:, -40:, -48:].astype(float)
    fused_frames = np.stack(rgb_frames(fused.written)).astype(float)
    for first, second in ((0, 1), (1, 2)):  # hue: differences of colors, which a gray panel does not have
        for of in (shown, fused_frames):
            assert np.abs(of[..., first] - of[..., second]).mean() > 2
        hue = [(of[..., first] - of[..., second]).mean((0, 1, 2)) for of in (shown, fused_frames)]
        assert abs(hue[0] - hue[1]) < 3


@pytest.mark.slow
def test_folders_of_frames_give_folders_or_a_video(videos, weights, tmp_path):
    given = {"weights": weights, "rate": 25.0, "temporal": 0.5}
    images = fuse_video(videos / "ir", videos / "vi", tmp_path / "images", **given)
    names = sorted(p.name for p in images.written.iterdir())
    assert names == [f"{n:03d}.png" for n in range(6)]
    video = fuse_video(videos / "ir", videos / "vi", tmp_path / "fused.mkv", **given)
    assert VideoFile(video.written).rate == RATE
    same = fuse_video(videos / "ir.mkv", videos / "vi.mkv", tmp_path, weights=weights, temporal=0.5)
    for name, frame, other in zip(names, rgb_frames(video.written), rgb_frames(same.written), strict=True):
        np.testing.assert_array_equal(read_image(images.written / name), frame)
        np.testing.assert_array_equal(frame, other)


def test_the_decision_settles_by_the_time_stamps(videos, weights, tmp_path, pairs):
    fused = fuse_video(videos / "ir.mkv", videos / "vi.mkv", tmp_path, weights=weights, temporal=0.3)
    fuser, state = Fuser.load(weights), initial_state(*SIZE)
    for number, (pair, frame) in enumerate(zip(pairs, VideoFile(fused.written), strict=True)):
        decoded = frame.luma()
        vi = next(f for n, f in enumerate(VideoFile(videos / "vi.mkv")) if n == number)
        ir, vi_y = to_float(pair["ir"])[None], vi.luma()[None]
        state, expected = settle(
            state, ir, vi_y, fuser.fuse_luma(ir, vi_y, exact_size=True), 0.04 if number else 0.0, 0.3
        )
        np.testing.assert_allclose(decoded, np.asarray(expected)[0], atol=1.5 / 255)  # 8 bits, clipped colors


def test_settling_is_told_the_time_since_the_frame_before(videos, weights, tmp_path, monkeypatch):
    intervals = []

    def note(state, ir, vi_y, fused_y, interval, seconds):
        intervals.append(interval)
        return state, fused_y

    monkeypatch.setattr("fusejax.inference.frames.settle", note)
    fuse_video(videos / "ir.mkv", videos / "vi.mkv", tmp_path, weights=weights, temporal=0.3)
    assert intervals == pytest.approx([0, 0.04, 0.04, 0.04, 0.04, 0.04])


def test_hue_times_and_sound_are_those_of_the_visible_video(weights, tmp_path):
    times = [0, 38, 80, 121, 160, 203]  # jitters around 40 ms
    ir = write_yuv(tmp_path / "ir.mkv", pts=times, pix_fmt="gray")
    vi = write_yuv(tmp_path / "vi.mkv", pts=times, audio=True)
    fused = fuse_video(ir, vi, tmp_path / "out", weights=weights)
    assert fused.audio == "audio (flac) is copied"
    fuser = Fuser.load(weights)
    for left, before, after in zip(VideoFile(ir), VideoFile(vi), VideoFile(fused.written), strict=True):
        assert after.frame.pts == before.frame.pts
        assert after.frame.format.name == "yuv420p"
        expected = fuser.fuse_luma(left.luma()[None], before.luma()[None], exact_size=True)[0]
        for plane in (1, 2):
            old, new = (np.frombuffer(x.frame.planes[plane], np.uint8).astype(int) - 128 for x in (before, after))
            assert ((old * new >= 0) & (abs(new) <= 2 * abs(old) + 1)).all()
        np.testing.assert_allclose(after.luma(), expected, atol=0.5 / 219 + 1e-6)  # half a level of 16 to 235
    sounds = []
    for path in (vi, fused.written):
        with av.open(str(path)) as container:
            sounds.append(np.concatenate([f.to_ndarray() for f in container.decode(audio=0)], axis=1))
    np.testing.assert_array_equal(*sounds)


@pytest.mark.parametrize("name", ["yuv444p", "yuv420p", "nv12", "yuv422p10le", "yuvj444p"])
def test_colors_of_frames_keep_their_saturation_as_those_of_images_do(name):
    y, x = np.mgrid[:16, :24].astype(np.float32)
    rgb = np.stack([0.2 + 0.02 * x, 0.6 - 0.02 * y, 0.3 + 0 * x], -1)  # without corners, which subsampling rounds

    def made():
        frame = av.VideoFrame.from_ndarray((rgb * 255).round().astype(np.uint8), format="rgb24").reformat(format=name)
        frame.pts, frame.time_base = 0, fractions.Fraction(1, 30)
        return DecodedFrame(frame, 0.0)

    frame = made()
    same = DecodedFrame(frame.with_luma(frame.luma()), 0.0)
    np.testing.assert_allclose(same.rgb(), made().rgb(), atol=1.5 / 255)
    for change in (0.6, 1.4):
        frame = made()
        before, fused_y = frame.rgb(), np.clip(frame.luma() * change, 0, 1)
        after = DecodedFrame(frame.with_luma(fused_y), 0.0).rgb()
        np.testing.assert_allclose(after, recolor(fused_y, before), atol=6 / 255)
        assert np.abs(after - before).max() > 0.1


def test_black_and_white_are_where_the_range_of_the_luma_plane_says():
    for name, marked, low, high in (("yuv420p", 0, 16, 235), ("yuv420p", 2, 0, 255), ("gray", 0, 0, 255)):
        frame = av.VideoFrame(16, 2, name)
        stride = frame.planes[0].line_size
        frame.planes[0].update(bytes([low] * stride + [high] * stride))
        frame.color_range = marked
        np.testing.assert_allclose(DecodedFrame(frame, 0.0).luma()[:, 0, 0], [0, 1], atol=1e-6)


def test_videos_may_start_at_different_times(weights, tmp_path):
    times = np.arange(0, 240, 40)
    ir = write_yuv(tmp_path / "ir.mkv", pts=[int(t) + 1000 for t in times], pix_fmt="gray")
    vi = write_yuv(tmp_path / "vi.mkv", pts=[int(t) for t in times])
    assert fuse_video(ir, vi, tmp_path / "out", weights=weights).frames == 6


@pytest.mark.slow
def test_h264_has_even_and_odd_sizes_and_says_what_it_leaves_out(weights, tmp_path, pairs):
    for crop in (0, 1):
        cut = [{k: pair[k][: 40 - crop, : 48 - crop] for k in ("ir", "vi")} for pair in pairs]
        for kind in ("ir", "vi"):
            write_video(tmp_path / f"{kind}{crop}.mkv", [pair[kind] for pair in cut])
        out = tmp_path / f"{crop}.mp4"
        fused = fuse_video(tmp_path / f"ir{crop}.mkv", tmp_path / f"vi{crop}.mkv", out, weights=weights)
        plain = [Fuser.load(weights).fuse(pair["ir"], pair["vi"]) for pair in cut]
        error = np.abs(np.stack(rgb_frames(fused.written)).astype(int) - np.stack(plain))
        # Chroma has half of the resolution, at which its saturation is kept too, and losses are
        # meant; swapped colors differ by 20 and more.
        assert error.mean() < 5


def test_raw_thermal_has_one_range_for_the_whole_video(weights, tmp_path, pairs):
    """The warmest frame decides for all of them, so equal counts stay equal."""
    counts = [7000 + 3 * pair["ir"].astype(np.uint16) for pair in pairs]
    counts[4][10:30, 10:30] = 11000
    ir, vi = write_video(tmp_path / "ir.mkv", counts), write_video(tmp_path / "vi.mkv", [p["vi"] for p in pairs])
    with pytest.warns(UserWarning, match=r"infrared values 7\d\d\d to 11000"):
        fused = fuse_video(ir, vi, tmp_path / "out", weights=weights)
    chosen = (float(min(c.min() for c in counts)), 11000.0)
    again = fuse_video(ir, vi, tmp_path / "set", weights=weights, ir_range=chosen)
    left, right = (rgb_to_luma(np.stack(rgb_frames(x.written)).astype(np.float32)) for x in (fused, again))
    assert np.abs(left - right).max() <= 2.5  # the lowest 0.01 % are outliers for auto; colors are rounded


class Interrupt(BaseException):
    """Stands for Ctrl-C, which the test runner would handle itself."""


def test_an_interrupt_leaves_nothing_and_the_next_call_starts_again(videos, weights, tmp_path, monkeypatch):
    calls, plain = [], Fuser.fuse_sources

    def interrupted(self, sources, **options):
        calls.append(1)
        if len(calls) == 4:
            raise Interrupt
        return plain(self, sources, **options)

    given = (videos / "ir.mkv", videos / "vi.mkv", tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(Fuser, "fuse_sources", interrupted)
        with pytest.raises(Interrupt):
            fuse_video(*given, weights=weights, preview=True)
    assert list(tmp_path.iterdir()) == []
    assert fuse_video(*given, weights=weights).frames == 6


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)])
def test_a_stopped_process_leaves_no_file_under_the_final_name(videos, weights, tmp_path, number, status):
    words = ["fuse", "--ir", str(videos / "ir.mkv"), "--vi", str(videos / "vi.mkv"), "--out", str(tmp_path)]
    code = f"""
import os, signal
from fusejax.cli.main import main
from fusejax.inference.fuser import Fuser
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start background jobs without it
plain, calls = Fuser.fuse_sources, []
def stopping(self, sources, **options):
    calls.append(1)
    if len(calls) == 4:
        os.kill(os.getpid(), {int(number)})
    return plain(self, sources, **options)
Fuser.fuse_sources = stopping
main({[*words, "--weights", weights]!r})
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=False)
    assert done.returncode == status
    left = [p.name for p in tmp_path.iterdir()]
    assert len(left) == (number == signal.SIGKILL) and all(name.startswith(".fusejax-") for name in left)
    fuse_video(videos / "ir.mkv", videos / "vi.mkv", tmp_path, weights=weights)
    assert [p.name for p in tmp_path.iterdir()] == ["vi.mkv"]
    assert VideoFile(tmp_path / "vi.mkv").count == 6
