"""Live sessions on files, local streams and pages; everything stays on loopback."""

import dataclasses
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from live_sessions import Kept, frame_of, free_port, session_of, wait_until

from fusejax.cli.live import LiveFlags, live_command
from fusejax.inference.styles import overlay
from fusejax.io.pyav import VideoError
from fusejax.io.video import VideoFile
from fusejax.live.controls import Controls, Settings
from fusejax.live.outputs import FileOutput, RawOutput
from fusejax.live.session import Session
from fusejax.live.sources import Address, parse_source

ROOT = Path(__file__).parents[2]


def test_a_rig_registers_live_sources_of_unequal_sizes(files, fuser):
    from fusejax.registration import RegisterInfrared, Rig

    rig = Rig(np.diag([1 / 3, 1 / 2, 1.0]), (32, 32), (64, 96), "affine", 0.5, 9, 9)
    kept = Kept()
    session_of(files / "small.mkv", files / "vi.mkv", fuser, kept, align=RegisterInfrared(rig)).run()
    assert len(kept.frames) > 5 and kept.frames[0].shape == (64, 96, 3)


@pytest.mark.slow
def test_files_are_fused_in_real_time_with_the_partner_of_every_frame(files, fuser):
    kept = Kept()
    began = time.monotonic()
    summary = session_of(files / "ir.mkv", files / "vi.mkv", fuser, kept).run()
    assert time.monotonic() - began > 1.9
    assert summary.frames + sum(summary.dropped.values()) == 60
    assert kept.closed and np.all(np.diff(kept.seconds) > 0)
    pairs = list(zip(VideoFile(files / "ir.mkv"), VideoFile(files / "vi.mkv"), strict=True))
    numbers = np.round((np.array(kept.seconds) - kept.seconds[0]) * 30).astype(int)
    first = 60 - 1 - numbers[-1]  # a busy machine may lose the first ones
    for k, frame in list(zip(numbers, kept.frames, strict=True))[::10]:
        infrared, picture = pairs[k + first]
        vi_y = picture.luma()
        fused_y = fuser.fuse_luma(infrared.luma()[None], vi_y[None], exact_size=True)[0]
        expected = picture.with_luma(fused_y).to_ndarray(format="rgb24")
        assert np.abs(frame.astype(int) - expected).mean() < 1.0


@pytest.mark.slow
@pytest.mark.parametrize("changed", [{"strength": 0.0}, {"view": "visible"}, {"view": "infrared"}, {"view": "overlay"}])
def test_strength_and_view_are_those_of_fuse(files, fuser, changed):
    class Five(Kept):
        def show(self, frame, seconds):
            super().show(frame, seconds)
            if len(self.frames) == 5:
                controls.stop.set()

    controls, kept = Controls(Settings()), Five()
    controls.change(**changed)
    session_of(files / "ir.mkv", files / "vi.mkv", fuser, kept, controls=controls).run()
    pairs = list(zip(VideoFile(files / "ir.mkv"), VideoFile(files / "vi.mkv"), strict=True))
    view = changed.get("view", "visible")  # strength 0 is the visible video
    wanted = []
    for infrared, picture in pairs:
        rgb = overlay(infrared.luma(), picture.rgb()) if view == "overlay" else picture.rgb()
        wanted.append(infrared.luma().repeat(3, -1) if view == "infrared" else rgb)
    for frame in kept.frames:
        assert min(np.abs(frame / 255 - each).mean() for each in wanted) < 0.01


@pytest.mark.slow
def test_a_slow_infrared_file_is_held(files, fuser, tmp_path):
    out = FileOutput(tmp_path / "o.mkv", overwrite=False)
    summary = session_of(files / "ir9.mkv", files / "vi.mkv", fuser, out).run()
    assert summary.frames > 10 and summary.frames + summary.dropped.get("too late", 0) == 60
    times = [frame.seconds for frame in VideoFile(tmp_path / "o.mkv")]
    assert len(times) == summary.frames
    steps = 30 * np.diff(times)
    assert steps == pytest.approx(np.round(steps), abs=0.1) and steps.min() > 0.9


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ir", "options", "text"),
    [("small.mkv", {}, r"small\.mkv is 32x32 but .*vi\.mkv is 96x64.*--resize ir"),
     ("ir.mkv", {"offset": 100.0}, r"never overlap in time.*--offset"),
     ("udp://127.0.0.1:{port}", {"timeout": 0.5, "give_up": 2.0}, r"no data for 0\.5 s|no frame for 2 s"),
     ("http://127.0.0.1:{port}/x", {"timeout": 0.5, "give_up": 2.0}, r"refused")],
)  # fmt: skip
def test_sources_that_cannot_be_fused_end_with_a_clear_error(files, fuser, ir, options, text):
    source = ir.format(port=free_port()) if "://" in ir else files / ir
    began = time.monotonic()
    with pytest.raises(VideoError, match=text):
        session_of(source, files / "vi.mkv", fuser, Kept(), **options).run()
    assert time.monotonic() - began < 30


@pytest.mark.slow
def test_a_session_without_pairs_gives_up_before_its_files_end(files, fuser, monkeypatch):
    opened = Session._open

    def impatient(self):
        opened(self)
        self.options = dataclasses.replace(self.options, give_up=0.5)

    monkeypatch.setattr(Session, "_open", impatient)
    with pytest.raises(VideoError, match=r"no pair of frames for 0\.5 s"):
        session_of(files / "ir.mkv", files / "vi.mkv", fuser, Kept(), offset=100.0).run()


def test_the_words_of_sources_are_understood(tmp_path):
    assert parse_source("0", platform="linux") == Address("0", "/dev/video0", "v4l2")
    assert parse_source("/dev/video2", platform="linux").format == "v4l2"
    assert parse_source("1", platform="darwin") == Address("1", "1", "avfoundation")
    assert parse_source("rtsp://camera/1").url == "rtsp://camera/1"
    (tmp_path / "tcp:1.mkv").write_bytes(b"")
    assert parse_source(str(tmp_path / "tcp:1.mkv")).url.startswith("file:")
    with pytest.raises(VideoError, match=r"nothing: no such file; give a file, the number of a camera"):
        parse_source("nothing")
    with pytest.raises(VideoError, match="cameras have names on Windows"):
        parse_source("0", platform="win32")


def test_a_reader_of_raw_frames_that_does_not_read_holds_up_nobody():
    inner, outer = os.pipe()
    broken = threading.Event()
    with open(outer, "wb", buffering=0) as stream:
        raw = RawOutput(stream, broken=broken)
        began = time.monotonic()
        for k in range(50):
            raw.show(frame_of(k), k / 30)
        assert time.monotonic() - began < 2 and raw.dropped > 30
        os.close(inner)  # the reader goes
        wait_until(lambda: raw.show(frame_of(0), 0.0) or broken.is_set(), 5, "not noticed")
        raw.close()


@pytest.mark.slow
def test_the_command_writes_raw_frames_and_its_figures(files, weights):
    words = ["live", "--ir", str(files / "ir.mkv"), "--vi", str(files / "vi.mkv"), "--raw", "--weights", weights]
    code = f"from fusejax.cli.main import main; main({words!r})"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    figures = done.stderr.decode().splitlines()[-1]
    frames = int(figures.split()[1])
    assert "frames/s, latency" in figures and frames > 10
    assert len(done.stdout) == frames * 64 * 96 * 3


def test_wrong_options_are_named(files, tmp_path):
    given = {"ir": str(files / "ir.mkv"), "vi": str(files / "vi.mkv")}
    for wrong, text in (
        ({"http": "nonsense"}, "--http is 'nonsense'"),
        ({"hold": -1.0}, "--hold is -1"),
        ({"strength": 3.0}, "strength is 3"),
        ({"style": "edges", "strength": 0.5}, "runs no network"),
        ({"seconds": 0.0}, "--seconds is 0"),
        ({"vi": given["ir"]}, "--ir and --vi are both"),
        ({"out": tmp_path / "a.avi"}, r"a\.avi: give a file that ends in \.mkv"),
        ({"ir_range": (2.0, 1.0)}, "LOW must be below HIGH"),
        ({"window": True}, "--window cannot be opened"),
    ):
        if "window" in wrong and os.environ.get("DISPLAY"):
            continue
        with pytest.raises(ValueError, match=text):
            live_command(LiveFlags(**(given | wrong)))
