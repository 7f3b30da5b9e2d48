"""Every invalid input of `fuse_video` is rejected by name, before anything is written."""

import sys

import numpy as np
import pytest
from benchmarks.moving import moving_scene
from test_video import SIZE, write_video, write_yuv

from fusejax.cli.main import main
from fusejax.inference.video import fuse_video
from fusejax.inference.video_plan import pair_frames
from fusejax.io.pyav import VideoError
from fusejax.io.video import VideoFile

av = pytest.importorskip("av")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Valid videos `ir` and `vi`, and invalid ones named after what is wrong."""
    folder = tmp_path_factory.mktemp("inputs")
    pairs = list(moving_scene(2, frames=5, size=SIZE))
    ir, vi = ([pair[kind] for pair in pairs] for kind in ("ir", "vi"))
    write_video(folder / "ir.mkv", ir)
    write_video(folder / "vi.mkv", vi)
    write_video(folder / "short.mkv", ir[:3])
    write_video(folder / "small.mkv", [x[:32, :32] for x in ir])
    write_yuv(folder / "gap.mkv", pts=[0, 40, 80, 160, 200], frames=5, pix_fmt="gray")
    write_yuv(folder / "even.mkv", pts=[0, 40, 80, 120, 160], frames=5, pix_fmt="gray")
    with av.open(str(folder / "sound.mkv"), "w") as container:
        stream = container.add_stream("flac", rate=8000, layout="mono")
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 4000), np.int16), format="s16", layout="mono")
        samples.sample_rate, samples.pts = 8000, 0
        container.mux(stream.encode(samples))
        container.mux(stream.encode(None))
    (folder / "text.mkv").write_text("no video at all" * 100)
    (folder / "empty.mp4").write_bytes(b"")
    data = bytearray((folder / "ir.mkv").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(2000)
    (folder / "rotten.mkv").write_bytes(data)
    return folder


@pytest.mark.parametrize(
    ("ir", "text"),
    [
        ("missing.mkv", r"missing\.mkv: no such file"),
        ("vi.mkv", r"both .*vi\.mkv; give the infrared and the visible video"),
        ("short.mkv", r"short\.mkv has 3 frames but .*vi\.mkv has 5"),
        ("small.mkv", r"small\.mkv is 32x32 but .*vi\.mkv is 48x40 \(width x height\).*--resize ir"),
        ("sound.mkv", r"sound\.mkv has no video stream"),
        ("text.mkv", r"text\.mkv cannot be read as a video"),
        ("empty.mp4", r"empty\.mp4 cannot be read as a video"),
        (".", r"give two videos, or two folders of frames"),
    ],
)
def test_unusable_videos_are_named_and_nothing_is_written(root, tmp_path, ir, text):
    with pytest.raises(VideoError, match=text):
        fuse_video(root / ir, root / "vi.mkv", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("ir", "text"), [("rotten.mkv", r"rotten\.mkv"), ("gap.mkv", r"frame 3 is at 0\.160 s in .*gap")]
)
def test_what_shows_only_while_reading_stops_without_a_file(root, tmp_path, ir, text):
    with pytest.raises(ValueError, match=text):
        fuse_video(root / ir, root / "vi.mkv", tmp_path / "out")
    assert list((tmp_path / "out").glob("*")) == []


def test_a_gap_in_the_visible_video_is_found_as_well(root):
    with pytest.raises(VideoError, match=r"frame 3 is at 0\.120 s in .*even.* but at 0\.160 s in .*gap"):
        list(pair_frames(VideoFile(root / "even.mkv"), VideoFile(root / "gap.mkv")))


def test_a_video_with_fewer_frames_than_its_header_says_is_named(root):
    """Such a pair passes the comparison of lengths."""
    with pytest.raises(VideoError, match=r"short\.mkv ends after 3 frames, but the other does not"):
        list(pair_frames(VideoFile(root / "short.mkv"), VideoFile(root / "vi.mkv")))


def test_targets_are_checked_before_any_work(root, tmp_path):
    given = (root / "ir.mkv", root / "vi.mkv")
    with pytest.raises(ValueError, match="one of the sources"):
        fuse_video(*given, root, overwrite=True)
    with pytest.raises(VideoError, match=r"\.avi is not supported; use \.mkv"):
        fuse_video(*given, tmp_path / "a.avi")
    with pytest.raises(VideoError, match=r"h264 needs the suffix \.mp4"):
        fuse_video(*given, tmp_path / "a.mkv", codec="h264")
    with pytest.raises(ValueError, match="temporal is -1"):
        fuse_video(*given, tmp_path, temporal=-1.0)
    (tmp_path / "vi.mkv").write_text("mine")
    with pytest.raises(FileExistsError, match=r"vi\.mkv already exists.*--overwrite"):
        fuse_video(*given, tmp_path)
    assert (tmp_path / "vi.mkv").read_text() == "mine"
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="is a file"):
        fuse_video(*given, tmp_path / "file")


def test_folders_need_a_rate_and_equal_names(root, tmp_path):
    from fusejax.io.images import write_image

    for kind, names in (("ir", "abc"), ("vi", ("a", "b", "d"))):
        for name in names:
            write_image(tmp_path / kind / f"{name}.png", np.zeros((16, 16), np.uint8))
    with pytest.raises(VideoError, match=r"--rate 30"):
        fuse_video(tmp_path / "ir", tmp_path / "vi", tmp_path / "out")
    with pytest.raises(VideoError, match=r"1 frames are only in .*ir, such as c"):
        fuse_video(tmp_path / "ir", tmp_path / "vi", tmp_path / "out", rate=25)
    with pytest.raises(VideoError, match="--rate is for folders"):
        fuse_video(root / "ir.mkv", root / "vi.mkv", tmp_path / "out", rate=25)
    write_image(tmp_path / "vi" / "c.png", np.zeros((16, 17), np.uint8))
    with pytest.raises(VideoError, match=r"c\.png differs in size from"):
        fuse_video(tmp_path / "vi", tmp_path / "ir", tmp_path / "out", rate=25)


def test_without_pyav_the_message_says_how_to_install_it(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(VideoError, match=r"pip install 'fusejax\[video\]'"):
        VideoFile(root / "ir.mkv")


def test_an_old_pyav_is_named(root, monkeypatch):
    monkeypatch.setattr(av, "__version__", "17.0.0")
    with pytest.raises(VideoError, match=r"PyAV is 17\.0\.0, but videos need 18\.1 or newer: pip install -U"):
        VideoFile(root / "ir.mkv")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--ir", "ir.mkv", "--vi", "vi.mkv", "--panel", "--skip-bad"], "--skip-bad, --panel is for images"),
        (["--ir", "ir", "--vi", "vi", "--temporal", "1"], "--temporal is for videos only; for folders of frames, also"),
    ],
)
def test_the_command_refuses_options_of_the_other_kind(root, tmp_path, capsys, options, text):
    words = [str(root / word) if not word.startswith("--") and word != "1" else word for word in options]
    with pytest.raises(SystemExit):
        main(["fuse", *words, "--out", str(tmp_path / "out")])
    assert text in capsys.readouterr().err
