"""What a written video keeps of its source, and that no other file is ever touched."""

import json
import os
import shutil
import subprocess
import zlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from video_making import encode, ffmpeg, visible

from fusejax.io.matroska_aspect import _CRC, _SEGMENT, _TRACKS, _elements, _find
from fusejax.io.video import VideoFile
from fusejax.io.video_writing import VideoWriter, from_pixels

av = pytest.importorskip("av")
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the ffmpeg program makes or reads the file")
RATE = Fraction(10)


def rewrite(source, target, codec):
    """Writes all frames of a video unchanged."""
    video = VideoFile(source)
    with VideoWriter(target, codec=codec, rate=video.rate, like=video) as writer:
        for frame in video:
            writer.write(frame.with_luma(frame.luma()))
    return target


def probed(path, *entries):
    words = [
        "ffprobe",
        "-v",
        "error",
        "-of",
        "json",
        "-show_entries",
        ":".join(entries),
        "-read_intervals",
        "%+#1",
        path,
    ]
    return json.loads(subprocess.run(words, check=True, capture_output=True).stdout)


def test_written_h264_says_that_its_range_is_limited(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", codec="h264", rate=RATE) as writer:
        for pixels in visible(3):
            writer.write(from_pixels(pixels))
    assert [int(frame.frame.color_range) for frame in VideoFile(tmp_path / "a.mp4")] == [1, 1, 1]


@needs_ffmpeg
@pytest.mark.parametrize(("name", "codec"), [("o.mkv", "ffv1"), ("o.mp4", "h264")])
def test_the_shape_of_pixels_is_kept(tmp_path, name, codec):
    vi = encode(tmp_path / "vi.mkv", visible(3), "libx264", "yuv420p", aspect=Fraction(16, 15))
    assert VideoFile(vi).aspect == Fraction(16, 15)
    written = rewrite(vi, tmp_path / name, codec)
    assert VideoFile(written).aspect == Fraction(16, 15)
    found = probed(written, "frame=sample_aspect_ratio", "stream=sample_aspect_ratio,display_aspect_ratio")
    assert found["frames"][0]["sample_aspect_ratio"] == "16:15"
    assert found["streams"][0] == {"sample_aspect_ratio": "16:15", "display_aspect_ratio": "8:5"}


@pytest.mark.parametrize(
    "aspect", [Fraction(4, 3), Fraction(12, 11), Fraction(301, 299), Fraction(64, 45), Fraction(1)]
)
def test_any_aspect_fits_into_the_header_and_the_pixels_stay(tmp_path, aspect):
    for size in ((32, 48), (576, 720), (480, 641)):
        path, pixels = tmp_path / "a.mkv", np.full((*size, 3), 77, np.uint8)
        with VideoWriter(path, codec="ffv1", rate=RATE, aspect=aspect) as writer:
            for _ in range(3):
                writer.write(from_pixels(pixels))
        head = bytearray(path.read_bytes()[: 2**16])
        tracks = _find(head, _find(head, 0, len(head), _SEGMENT).content, len(head), _TRACKS)
        check = next(_elements(head, tracks.content, tracks.end))
        stored = int.from_bytes(head[check.content : check.end], "little")
        assert (check.number, stored) == (_CRC, zlib.crc32(head[check.end : tracks.end]))
        video = VideoFile(path)
        assert float(video.aspect) == pytest.approx(float(aspect), rel=1e-4)
        assert video.count == 3
        for frame in video:
            np.testing.assert_array_equal(frame.frame.to_ndarray(format="rgb24"), pixels)


@needs_ffmpeg
@pytest.mark.parametrize(("name", "codec"), [("o.mkv", "ffv1"), ("o.mp4", "h264")])
def test_the_order_of_fields_is_kept(tmp_path, name, codec):
    lines = ("-vf", "tinterlace=interleave_top,fieldorder=tff", "-flags", "+ilme+ildct", "-x264opts", "tff=1")
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=160x120:r=50:d=1", *lines, "-c:v", "libx264", tmp_path / "vi.mp4")
    written = rewrite(tmp_path / "vi.mp4", tmp_path / name, codec)
    found = probed(written, "stream=field_order", "frame=interlaced_frame,top_field_first")
    assert found["streams"][0]["field_order"] == "tt"
    assert (found["frames"][0]["interlaced_frame"], found["frames"][0]["top_field_first"]) == (1, 1)


@pytest.mark.parametrize("name", ["cam:1.mkv", "tcp:127.0.0.1:47123.mkv"])
def test_a_colon_in_the_name_of_a_target_is_no_protocol(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    source = encode(tmp_path / "vi.mkv", visible(3), "ffv1", "bgr0")
    rewrite(source, Path(name), "ffv1")
    assert sorted(os.listdir(tmp_path)) == sorted([name, "vi.mkv"])
    assert VideoFile(tmp_path / name).count == 3


def test_no_link_leads_a_video_into_another_file(tmp_path):
    (tmp_path / "victim").write_text("mine")
    out = tmp_path / "o"
    out.mkdir()
    (out / ".vi.unfinished.mkv").symlink_to(tmp_path / "victim")
    with VideoWriter(out / "vi.mkv", codec="ffv1", rate=RATE) as writer:
        writer.write(from_pixels(visible(1)[0]))
    assert (tmp_path / "victim").read_text() == "mine"
    assert not (out / "vi.mkv").is_symlink() and VideoFile(out / "vi.mkv").count == 1


def test_two_writers_of_one_target_do_not_mix(tmp_path):
    target = tmp_path / "t.mkv"
    with VideoWriter(target, codec="ffv1", rate=RATE) as first:
        first.write(from_pixels(np.zeros((32, 32, 3), np.uint8)))
        with VideoWriter(target, codec="ffv1", rate=RATE) as second:
            second.write(from_pixels(np.full((64, 64, 3), 200, np.uint8)))
        assert VideoFile(target).size == (64, 64)
        first.write(from_pixels(np.zeros((32, 32, 3), np.uint8)))
    assert (VideoFile(target).size, VideoFile(target).count) == ((32, 32), 2)
    assert os.listdir(tmp_path) == ["t.mkv"]


def test_what_a_killed_writer_left_is_removed_but_not_what_a_living_one_writes(tmp_path):
    left = tmp_path / f".fusejax-{'0' * 32}.mkv"
    left.write_bytes(b"half a video")
    other = tmp_path / ".fusejax-notes.mkv"
    other.write_bytes(b"of somebody else")
    with VideoWriter(tmp_path / "t.mkv", codec="ffv1", rate=RATE) as living:
        living.write(from_pixels(visible(1)[0]))
        assert not left.exists() and other.exists()
        with VideoWriter(tmp_path / "t.mkv", codec="ffv1", rate=RATE) as second:
            second.write(from_pixels(visible(1)[0]))
            assert living.partial.exists()


def test_a_written_file_has_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_text("")
    with VideoWriter(tmp_path / "t.mkv", codec="ffv1", rate=RATE) as writer:
        writer.write(from_pixels(visible(1)[0]))
    assert (tmp_path / "t.mkv").stat().st_mode == (tmp_path / "plain").stat().st_mode
