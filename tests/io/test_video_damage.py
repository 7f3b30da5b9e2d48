"""Videos that are cut off or damaged are refused by name, and frames are freed at once."""

import gc

import av
import pytest
from PIL import Image
from video_making import counts, encode, gray, motion_jpeg, visible

from fusejax.io.pyav import VideoError
from fusejax.io.video import VideoFile


def test_a_truncated_file_is_named(tmp_path):
    encode(tmp_path / "whole.mp4", visible(40), "libx264", "yuv420p")
    front = {"movflags": "faststart"}  # the index comes first, so the rest can be opened
    with av.open(str(tmp_path / "whole.mp4")) as before, av.open(str(tmp_path / "a.mp4"), "w", options=front) as after:
        copy = after.add_stream_from_template(before.streams.video[0])
        for packet in before.demux(before.streams.video[0]):
            if packet.dts is not None:
                packet.stream = copy
                after.mux(packet)
    data = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "a.mp4").write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(VideoError, match=r"a\.mp4 is truncated"):
        VideoFile(tmp_path / "a.mp4")


def test_an_unknown_codec_is_named(tmp_path):
    path = encode(tmp_path / "a.avi", gray(3), "ffv1", "gray")
    path.write_bytes(path.read_bytes().replace(b"FFV1", b"qqqq"))
    with pytest.raises(VideoError, match=r"a\.avi"):
        VideoFile(path)


def test_damaged_files_are_read_or_refused_by_name(tmp_path, rng):
    made = [
        encode(tmp_path / "a.mkv", counts(4), "ffv1", "gray16le"),
        encode(tmp_path / "a.mp4", visible(4), "libx264", "yuv420p"),
        encode(tmp_path / "a.avi", gray(4), "rawvideo", "yuyv422"),
        encode(tmp_path / "a.ts", visible(4), "mpeg2video", "yuv420p"),
        encode(tmp_path / "a.mov", counts(4), "png", "gray16be"),
    ]
    refused = []
    for number in range(60):
        source = made[number % len(made)]
        data = bytearray(source.read_bytes())
        if number % 3:
            for place in rng.integers(0, len(data) if number % 2 else min(600, len(data)), 12):
                data[place] = rng.integers(256)
        else:
            del data[rng.integers(len(data)) :]
        path = tmp_path / f"damaged{source.suffix}"
        path.write_bytes(data)
        try:
            video = VideoFile(path)
            for frame in video:
                frame.luma()
            list(video.sample(1))
        except VideoError as error:
            refused.append(str(error))
    assert 5 < len(refused) < 60
    assert all("damaged." in text for text in refused)


@pytest.mark.parametrize("name", ["a.mkv", "exif.avi"])
def test_frames_are_freed_at_once(tmp_path, name):
    """A frame that waits for the collector of cycles costs megabytes."""
    if name == "a.mkv":
        path = encode(tmp_path / name, visible(30), "ffv1", "yuv422p")
    else:
        exif = Image.Exif()
        exif[271] = "camera"
        path = motion_jpeg(tmp_path / name, visible(30), exif)
    gc.collect()
    gc.disable()
    try:
        before = sum(isinstance(each, av.VideoFrame) for each in gc.get_objects())
        for number, frame in enumerate(VideoFile(path)):
            frame.luma()
            if number % 10 < 9:  # looking at all objects takes a while
                continue
            alive = sum(isinstance(each, av.VideoFrame) for each in gc.get_objects()) - before
            assert alive < 12
    finally:
        gc.enable()
