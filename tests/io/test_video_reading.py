"""Videos from cameras, editors and recorders are read as players show them, or refused by name."""

import shutil
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from video_making import RATE, counts, cut, encode, ffmpeg, gray, motion_jpeg, visible

from fusejax.inference.video_plan import check_fit, find_range, pair_frames
from fusejax.io.frame_folder import FrameFolder
from fusejax.io.images import write_image
from fusejax.io.pyav import VideoError
from fusejax.io.video import VideoFile, count_frames, is_video
from fusejax.io.video_orientation import upright
from fusejax.io.video_times import Clock, _rate

av = pytest.importorskip("av")
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the ffmpeg program makes the file")
B_FRAMES = {"bf": "2", "x264-params": "b-adapt=0:scenecut=0:threads=1"}


def pair_of(path):
    """Both sources of a file."""
    left, right = VideoFile(path), VideoFile(path)
    check_fit(left, right, any_size=False)
    return list(pair_frames(left, right))


def lumas(path):
    return np.stack([frame.luma() for frame in VideoFile(path)])


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [("a.mov", "png", "gray16be"), ("a.avi", "rawvideo", "yuyv422"), ("a.mov", "rawvideo", "uyvy422"),
     ("b.mov", "png", "ya8"), ("a.mkv", "ffv1", "gray16le")],
)  # fmt: skip
def test_infrared_in_unusual_pixel_formats_is_that_of_a_plain_file(tmp_path, name, codec, pix_fmt):
    wide = "16" in pix_fmt
    frames = counts() if wide else gray()
    plain = encode(tmp_path / "plain.mkv", frames, "ffv1", "gray16le" if wide else "gray")
    for one, other in zip(VideoFile(encode(tmp_path / name, frames, codec, pix_fmt)), VideoFile(plain), strict=True):
        difference = one.infrared().astype(int) - other.infrared()
        assert np.abs(difference).max() <= (0 if wide or pix_fmt == "ya8" else 1)


@pytest.mark.parametrize(("name", "options"), [("a.mp4", {"g": "10", "bf": "0"}), ("a.mov", {"g": "10", "bf": "2"})])
def test_frames_hidden_by_an_edit_list_do_not_count(tmp_path, name, options):
    whole = encode(tmp_path / f"whole_{name}", visible(), "libx264", "yuv420p", options=options)
    clip = cut(whole, tmp_path / name, 0.5)
    video = VideoFile(clip)
    assert (video.count, count_frames(video), video.rate) == (7, 7, RATE)
    assert len(pair_of(clip)) == 7
    np.testing.assert_array_equal(lumas(clip), lumas(whole)[5:])


@pytest.mark.parametrize("options", [{}, {"g": "4"}])
@pytest.mark.parametrize("suffix", [".ts", ".flv", ".mpg"])
def test_the_range_is_found_from_all_samples_where_seeking_is_unreliable(tmp_path, suffix, options):
    codec = "mpeg2video" if suffix == ".mpg" else "libx264"
    rate = 25
    path = encode(tmp_path / f"a{suffix}", gray(80), codec, "yuv420p", options=options, rate=rate)
    video = VideoFile(path)
    plain, indices = lumas(path), np.linspace(0, 79, 32).astype(int)
    sampled = [frame.luma() for frame in video.sample(32)]
    assert len(sampled) == 32
    assert sum(np.array_equal(a, plain[k]) for a, k in zip(sampled, indices, strict=True)) == 32
    assert find_range(video, "auto") == (0.0, 255.0)


@pytest.mark.parametrize("frames", [70, 200])
def test_random_access_equals_decoding_to_that_frame(tmp_path, frames):
    options = {"g": "25", "bf": "2"}
    path = encode(tmp_path / "a.mp4", visible(frames), "libx264", "yuv420p", options=options)
    plain = [(frame.seconds, frame.luma()) for frame in VideoFile(path)]
    sampled = list(VideoFile(path).sample(7))
    for k, frame in zip(np.linspace(0, frames - 1, 7).astype(int), sampled, strict=True):
        assert frame.seconds == pytest.approx(plain[k][0])
        np.testing.assert_array_equal(frame.luma(), plain[k][1])


def test_b_frames_without_presentation_times_keep_their_order_and_distance(tmp_path):
    given = [encode(tmp_path / f"a{suffix}", visible(), "libx264", "yuv420p", options=B_FRAMES) for suffix in
             (".mp4", ".avi", ".h264")]  # fmt: skip
    expected = lumas(given[0])
    for path in given:
        video = VideoFile(path)
        assert [frame.seconds for frame in video] == pytest.approx(np.arange(12) / float(video.rate), abs=1e-4)
        np.testing.assert_array_equal(lumas(path), expected)
        assert np.all(np.diff([frame.frame.pts for frame in video]) > 0)


def test_infrared_with_b_frames_in_avi_pairs_with_any_visible_video(tmp_path):
    ir = VideoFile(encode(tmp_path / "ir.avi", gray(), "libx264", "yuv420p", options=B_FRAMES))
    vi = VideoFile(encode(tmp_path / "vi.mkv", visible(), "ffv1", "yuv422p"))
    check_fit(ir, vi, any_size=False)
    assert len(list(pair_frames(ir, vi))) == 12


@pytest.mark.parametrize("orientation", [None, 6])
def test_motion_jpeg_with_exif_is_read(tmp_path, orientation):
    exif = Image.Exif()
    exif[271] = "camera"
    if orientation:
        exif[274] = orientation
    plain = motion_jpeg(tmp_path / "plain.avi", visible(), Image.Exif())
    marked = motion_jpeg(tmp_path / "exif.avi", visible(), exif)
    expected = lumas(plain)
    np.testing.assert_array_equal(lumas(marked), np.rot90(expected, -1, (1, 2)) if orientation else expected)


@needs_ffmpeg
def test_a_stream_that_changes_its_size_is_refused_with_the_frame(tmp_path):
    parts = []
    for k, size in enumerate(("96x64", "128x80")):
        source = ("-f", "lavfi", "-i", f"testsrc=s={size}:r=10:d=2")
        ffmpeg(*source, "-c:v", "libx264", "-pix_fmt", "yuv420p", tmp_path / f"{k}.ts")
        parts.append((tmp_path / f"{k}.ts").read_bytes())
    (tmp_path / "two.ts").write_bytes(parts[0] + parts[1])
    with pytest.raises(VideoError, match=r"two\.ts changes its size at frame 20, from 96x64.* to 128x80"):
        pair_of(tmp_path / "two.ts")
    find_range(VideoFile(tmp_path / "two.ts"), "full")


@needs_ffmpeg
def test_joined_recordings_go_on_without_a_jump(tmp_path):
    ffmpeg("-f", "lavfi", "-i", "testsrc=s=96x64:r=10:d=2", "-c:v", "libx264", "-pix_fmt", "yuv420p", tmp_path / "a.ts")
    (tmp_path / "b.ts").write_bytes((tmp_path / "a.ts").read_bytes() * 2)
    video = VideoFile(tmp_path / "b.ts")
    assert [frame.seconds for frame in video] == pytest.approx(np.arange(40) / 10)
    assert video.rate == 10


def frame_at(seconds):
    frame = av.VideoFrame(8, 8, "gray")
    frame.pts, frame.time_base = round(2 * seconds), Fraction(1, 2)
    return frame


def test_the_clock_goes_on_over_any_number_of_recordings():
    clock = Clock(Fraction(1), timed=True)
    frames = [frame_at(seconds) for _ in range(3) for seconds in (5, 6.5, 8)]
    expected = [start + seconds for start in (0, 4, 8) for seconds in (0, 1.5, 3)]
    assert [clock.place(frame) for frame in frames] == expected
    assert [frame.time for frame in frames] == [5 + seconds for seconds in expected]


def test_the_rate_is_the_one_on_average_where_frames_are_missing():
    stream = SimpleNamespace(
        average_rate=Fraction(20), base_rate=Fraction(25), guessed_rate=Fraction(25), time_base=Fraction(1, 100)
    )
    times = np.cumsum([4, 4, 4, 8] * 10).tolist()  # a step of 25 frames/s; one in five is missing
    assert _rate(stream, times) == 20
    assert _rate(stream, list(range(0, 100, 4))) == 25


@needs_ffmpeg
@pytest.mark.slow
def test_pictures_that_are_never_shown_are_no_frames(tmp_path):
    for step in "12":
        source = ("-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=6", "-c:v", "libvpx", "-auto-alt-ref", "1")
        options = ("-lag-in-frames", "25", "-arnr-maxframes", "7", "-b:v", "200k", "-pass", step)
        ffmpeg(*source, *options, "-passlogfile", tmp_path / "log", tmp_path / "a.webm")
    video = VideoFile(tmp_path / "a.webm")
    assert video.count > 150  # the packets
    assert count_frames(video) == 150 and video.rate == 25
    assert len(pair_of(tmp_path / "a.webm")) == 150


@needs_ffmpeg
@pytest.mark.slow
def test_open_groups_that_were_cut_have_the_frames_that_decode(tmp_path):
    coded = "keyint=10:min-keyint=10:open-gop=1:bframes=3:scenecut=0:log-level=0"
    for name, noise in (("a", 10), ("b", 40)):
        source = ("-f", "lavfi", "-i", f"testsrc=s=96x64:r=10:d=8,noise=alls={noise}")
        ffmpeg(*source, "-c:v", "libx265", "-x265-params", coded, "-pix_fmt", "yuv420p", tmp_path / f"{name}.mkv")
        for suffix in (".mkv", ".mp4"):
            ffmpeg("-ss", "2", "-i", tmp_path / f"{name}.mkv", "-c", "copy", tmp_path / f"{name}_cut{suffix}")
    for suffix in (".mkv", ".mp4"):
        ir, vi = (VideoFile(tmp_path / f"{name}_cut{suffix}") for name in "ab")
        check_fit(ir, vi, any_size=False)
        assert ir.rate == vi.rate == 10
        assert len(list(pair_frames(ir, vi))) == count_frames(ir)


def test_frames_follow_the_numbers_in_their_names(tmp_path):
    for name in ("1.png", "2.png", "10.png", "9.png", "frame_9999.png", "frame_10000.png", "007.png", "11.png"):
        write_image(tmp_path / name, np.zeros((8, 8), np.uint8))
    names = [path.name for path in FrameFolder(tmp_path, Fraction(10)).files]
    assert names == ["1.png", "2.png", "007.png", "9.png", "10.png", "11.png", "frame_9999.png", "frame_10000.png"]


@pytest.mark.parametrize("name", ["cam1:a.mp4", "10:30.mkv", "tcp:127.0.0.1:47123.mp4", "file:a.mp4", "pipe:0.mkv"])
def test_a_colon_in_a_name_is_no_protocol(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    encode(Path(name), gray(3), "ffv1", "gray")
    assert VideoFile(Path(name)).count == 3
    assert len(list(VideoFile(tmp_path / name))) == 3


@pytest.mark.parametrize("suffix", [".mts", ".M2TS", ".3gp", ".ogv", ".mxf", ".vob"])
def test_suffixes_of_camcorders_are_videos(suffix):
    assert is_video(Path("a").with_suffix(suffix))


def test_rows_from_bottom_to_top_are_read_from_the_top(tmp_path):
    """A frame that was turned by 180 degrees points at its last row."""
    frame = av.VideoFrame.from_ndarray(gray(1)[0], format="gray").reformat(format="yuv420p")
    frame.pts, frame.time_base = 0, Fraction(1, 10)
    graph = av.filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
    graph.link_nodes(source, graph.add("vflip"), graph.add("buffersink")).configure()
    graph.vpush(frame)
    flipped = graph.vpull()
    assert flipped.planes[0].line_size < 0
    (read,) = upright(tmp_path, [flipped])
    rows = np.frombuffer(memoryview(read.planes[0]), np.uint8).reshape(read.height, -1)[:, : read.width]
    expected = np.frombuffer(memoryview(frame.planes[0]), np.uint8).reshape(frame.height, -1)[::-1, : frame.width]
    np.testing.assert_array_equal(rows, expected)


def test_a_title_in_another_encoding_does_not_matter(tmp_path):
    path = encode(tmp_path / "a.avi", gray(3), "ffv1", "gray")
    with av.open(str(path)) as before, av.open(str(tmp_path / "b.avi"), "w") as after:
        after.metadata["title"] = "Warmebild"
        copy = after.add_stream_from_template(before.streams.video[0])
        for packet in before.demux(before.streams.video[0]):
            if packet.dts is not None:
                packet.stream = copy
                after.mux(packet)
    data = (tmp_path / "b.avi").read_bytes()
    assert data.count(b"Warmebild") == 1
    (tmp_path / "b.avi").write_bytes(data.replace(b"Warmebild", "Wärmebild".encode("latin-1")))
    np.testing.assert_array_equal(lumas(tmp_path / "b.avi"), lumas(path))
