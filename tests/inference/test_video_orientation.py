"""Videos from phones: stored in the sensor's orientation, shown and fused according to their
display matrix.
"""

import numpy as np
import pytest
from benchmarks.moving import moving_scene
from fusing import save_tiny_weights
from test_video import RATE, rgb_frames, write_video

from fusejax.inference.video import fuse_video
from fusejax.io.pyav import VideoError
from fusejax.io.video import VideoFile

av = pytest.importorskip("av")
SIZE = (40, 48)


@pytest.fixture(scope="module")
def pairs():
    return list(moving_scene(2, frames=4, size=SIZE, speed=3.0))


def write_turned(path, frames, degrees, *, hflip=False, pix_fmt="bgr0"):
    """Lossless stored frames with metadata to rotate them counterclockwise and then mirror them."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=RATE)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.set_display_rotation(degrees, hflip=hflip)
        for pixels in frames:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            container.mux(stream.encode(frame.reformat(format=pix_fmt)))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("hflip", [False, True])
@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_frames_are_those_that_players_show(tmp_path, rng, quarters, hflip):
    stored = [rng.integers(0, 256, (41, 30, 3), np.uint8) for _ in range(70)]
    video = VideoFile(write_turned(tmp_path / "a.mkv", stored, 90 * quarters, hflip=hflip))
    shown = [np.rot90(x, quarters)[:, :: -1 if hflip else 1] for x in stored]
    assert video.size == shown[0].shape[:2] and video.count == 70
    for expected, frame in zip(shown, video, strict=True):
        np.testing.assert_array_equal(frame.frame.to_ndarray(format="rgb24"), expected)
    assert np.diff([frame.seconds for frame in video]) == pytest.approx(1 / 25, abs=1e-3)  # Matroska keeps milliseconds
    assert {frame.frame.height for frame in video.sample(5)} == {video.size[0]}


@pytest.mark.slow
@pytest.mark.parametrize("turned", ["vi", "ir", "both"])
def test_a_turned_video_is_fused_as_an_upright_one(tmp_path, pairs, turned):
    weights = save_tiny_weights(tmp_path)
    upright, given = {}, {}
    for kind in ("ir", "vi"):
        frames = [np.broadcast_to(pair[kind], (*SIZE, 3)) for pair in pairs]
        upright[kind] = write_video(tmp_path / f"{kind}.mkv", frames)
        marked = turned in (kind, "both")
        stored = [np.rot90(x, -1) for x in frames]
        given[kind] = write_turned(tmp_path / f"{kind}_90.mkv", stored, 90) if marked else upright[kind]
    expected = fuse_video(upright["ir"], upright["vi"], tmp_path / "upright", weights=weights)
    fused = fuse_video(given["ir"], given["vi"], tmp_path / "turned", weights=weights, preview=True)
    np.testing.assert_array_equal(rgb_frames(fused.written), rgb_frames(expected.written))
    with av.open(str(fused.written)) as container:  # once is enough: the result carries no mark
        frame = next(container.decode(video=0))
        assert (frame.height, frame.width) == SIZE and not frame.rotation
    assert VideoFile(fused.preview).size[1] > 3 * SIZE[1]


def test_chroma_and_times_of_a_turned_video_stay(tmp_path, pairs):
    weights = save_tiny_weights(tmp_path)
    frames = [np.rot90(pair["vi"], -1) for pair in pairs]
    vi = write_turned(tmp_path / "vi.mkv", frames, 90, pix_fmt="yuv420p")
    ir = write_video(tmp_path / "ir.mkv", [pair["ir"] for pair in pairs])
    fused = fuse_video(ir, vi, tmp_path / "o", weights=weights, strength=0.0)  # chroma follows the luma
    for before, after in zip(VideoFile(vi), VideoFile(fused.written), strict=True):
        assert (after.frame.format.name, after.seconds) == ("yuv420p", before.seconds)
        for plane in (1, 2):
            assert bytes(after.frame.planes[plane]) == bytes(before.frame.planes[plane])


def test_a_slanted_video_is_refused(tmp_path, pairs):
    path = write_turned(tmp_path / "a.mkv", [pair["vi"] for pair in pairs], 30)
    with pytest.raises(VideoError, match=r"a\.mkv has rotation metadata of -?30 degrees; only multiples"):
        VideoFile(path)


def test_a_turn_that_makes_sizes_differ_is_named_with_both_sizes(tmp_path, pairs):
    ir = write_video(tmp_path / "ir.mkv", [pair["ir"] for pair in pairs])
    vi = write_turned(tmp_path / "vi.mkv", [pair["vi"] for pair in pairs], 90)
    with pytest.raises(VideoError, match=r"ir\.mkv is 48x40 but .*vi\.mkv is 40x48"):
        fuse_video(ir, vi, tmp_path / "out")
