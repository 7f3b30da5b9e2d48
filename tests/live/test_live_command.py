"""Live sessions on files, local streams and pages; everything stays on loopback."""

import dataclasses
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from video_making import encode, gray, visible

from fusejax.cli.live import LiveFlags, live_command
from fusejax.inference.fuser import Fuser
from fusejax.inference.styles import overlay
from fusejax.io.pyav import VideoError
from fusejax.io.video import VideoFile
from fusejax.live.controls import Controls, Settings
from fusejax.live.http import HttpOutput
from fusejax.live.outputs import FileOutput, RawOutput, Recorder
from fusejax.live.session import LiveOptions, Session
from fusejax.live.sources import Address, parse_source
from fusejax.live.statistics import Statistics

av = pytest.importorskip("av")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def fuser(weights):
    return Fuser.load(weights)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two seconds of both sources, infrared also at 9 frames per second and in another size."""
    root = tmp_path_factory.mktemp("live")
    encode(root / "ir.mkv", gray(60), "ffv1", "gray", rate=30)
    encode(root / "ir9.mkv", gray(18), "ffv1", "gray", rate=9)
    encode(root / "small.mkv", [x[:32, :32] for x in gray(60)], "ffv1", "gray", rate=30)
    encode(root / "vi.mkv", visible(60), "ffv1", "yuv422p", rate=30)
    return root


class Kept:
    """An output that keeps what it is shown."""

    def __init__(self):
        self.frames, self.seconds, self.closed = [], [], False

    def show(self, frame, seconds):
        self.frames.append(frame.to_ndarray(format="rgb24"))
        self.seconds.append(seconds)

    def close(self):
        self.closed = True


def session_of(ir, vi, fuser, *outputs, controls=None, **options):
    return Session(
        parse_source(str(ir)), parse_source(str(vi)), fuser, outputs=outputs, controls=controls,
        options=LiveOptions(**options),
    )  # fmt: skip


def test_a_rig_registers_live_sources_of_unequal_sizes(files, fuser):
    from fusejax.registration import RegisterInfrared, Rig

    rig = Rig(np.diag([1 / 3, 1 / 2, 1.0]), (32, 32), (64, 96), "affine", 0.5, 9, 9)
    kept = Kept()
    session_of(files / "small.mkv", files / "vi.mkv", fuser, kept, align=RegisterInfrared(rig)).run()
    assert len(kept.frames) > 5 and kept.frames[0].shape == (64, 96, 3)


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


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


class Sender:
    """Sends a test picture over UDP, as a camera does; can be killed and started again."""

    def __init__(self, port, size="96x64", *, color=False):
        picture = f"testsrc2=s={size}:r=25" + ("" if color else ",hue=s=0")
        self.words = [
            "ffmpeg", "-v", "error", "-re", "-f", "lavfi", "-i", picture,
            "-c:v", "mpeg2video", "-q:v", "3", "-g", "5", "-f", "mpegts", f"udp://127.0.0.1:{port}?pkt_size=1316",
        ]  # fmt: skip
        self.start()

    def start(self, size=None):
        words = [w.replace("96x64", size) for w in self.words] if size else self.words
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL)

    def kill(self):
        self.process.kill()
        self.process.wait()


def wait_until(condition, seconds, text):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, text
        time.sleep(0.05)


@pytest.mark.slow
def test_a_stream_that_was_killed_is_taken_up_within_five_seconds(files, fuser):
    ports = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM)
    senders = [Sender(ports[0]), Sender(ports[1], color=True)]
    kept, controls = Kept(), Controls(Settings())
    udp = [f"udp://127.0.0.1:{port}?reuse=1" for port in ports]
    session = session_of(*udp, fuser, kept, controls=controls, timeout=1.5, give_up=60.0)
    results = []
    thread = threading.Thread(target=lambda: results.append(session.run()))
    thread.start()
    try:
        wait_until(lambda: len(kept.frames) > 25, 60, "no stream")
        senders[0].kill()
        wait_until(lambda: session.ir.error is not None, 10, "the loss was not noticed")
        before = len(kept.frames)
        senders[0].start()
        began = time.monotonic()
        wait_until(lambda: len(kept.frames) > before + 5, 20, "not taken up again")
        assert time.monotonic() - began < 5
        senders[0].kill()
        senders[0].start("64x48")  # another camera: nothing is shown that does not fit
        wait_until(lambda: session.statistics.dropped.get("of another size", 0) > 5, 20, "the size was not noticed")
    finally:
        controls.stop.set()
        thread.join(timeout=20)
        for sender in senders:
            sender.kill()
    assert not thread.is_alive() and results[0].frames == len(kept.frames)
    assert session.ir.breaks >= 1 and results[0].dropped["without an infrared frame"] > 0
    assert {frame.shape for frame in kept.frames} == {(64, 96, 3)}


class RtspCamera:
    """An RTSP server in a process of its own, which can be killed and started again."""

    def __init__(self, kind):
        self.words = [sys.executable, str(Path(__file__).parent / "rtsp_server.py"), str(free_port()), kind]
        self.url = f"rtsp://127.0.0.1:{self.words[2]}/camera"
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.words, stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"listening\n"

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.mark.slow
def test_an_rtsp_camera_that_was_killed_is_taken_up_within_five_seconds(fuser):
    infrared, color = RtspCamera("gray"), RtspCamera("color")
    kept, controls = Kept(), Controls(Settings())
    session = session_of(infrared.url, color.url, fuser, kept, controls=controls, give_up=60.0)
    results = []
    thread = threading.Thread(target=lambda: results.append(session.run()))
    thread.start()
    try:
        wait_until(lambda: len(kept.frames) > 25, 60, "no stream")
        assert kept.frames[-1][30, :, 0].max() > kept.frames[-1][30, :, 2].max() + 50  # the red square is shown
        color.kill()
        wait_until(lambda: session.vi.error is not None, 10, "the loss was not noticed")
        before = len(kept.frames)
        color.start()
        began = time.monotonic()
        wait_until(lambda: len(kept.frames) > before + 5, 20, "not taken up again")
        assert time.monotonic() - began < 5
    finally:
        controls.stop.set()
        thread.join(timeout=20)
        infrared.kill()
        color.kill()
    assert not thread.is_alive() and session.vi.breaks == 1 and session.ir.breaks == 0
    assert results[0].frames == len(kept.frames) and np.all(np.diff(kept.seconds) > 0)


def frame_of(value):
    return av.VideoFrame.from_ndarray(np.full((64, 96, 3), value, np.uint8), format="rgb24")


@pytest.fixture
def page(tmp_path):
    controls = Controls(Settings())
    recorder = Recorder(tmp_path, controls)
    output = HttpOutput("127.0.0.1", 0, controls=controls, statistics=Statistics(), recorder=recorder)
    yield output
    output.close()
    recorder.close()


def ask(page, method, path, body=None, **headers):
    port = int(page.url.split(":")[2].split("/")[0])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


JSON = {"Content-Type": "application/json"}


def test_the_page_shows_changes_and_keeps(page, tmp_path):
    assert ask(page, "GET", "/snapshot.png")[0] == 503
    page.show(frame_of(90), 0.0)
    status, png = ask(page, "GET", "/snapshot.png")
    np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR), 90)
    assert b"<img" in ask(page, "GET", "/")[1]
    status, answer = ask(page, "POST", "/settings", json.dumps({"temporal": 0.5, "recording": True}), **JSON)
    assert status == 200 and json.loads(answer)["temporal"] == 0.5
    for k in range(5):
        page.recorder.show(frame_of(40 * k), k / 10)
    assert json.loads(ask(page, "GET", "/status")[1])["recording_file"].endswith(".mp4")
    ask(page, "POST", "/settings", json.dumps({"recording": False}), **JSON)
    page.recorder.show(frame_of(0), 0.6)
    (file,) = page.recorder.written
    assert [round(frame.seconds, 3) for frame in VideoFile(file)] == [0, 0.1, 0.2, 0.3, 0.4]


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [("POST", "/settings", "{}", {}, 415), ("POST", "/settings", '{"temporal": "x"}', JSON, 400),
     ("POST", "/settings", "[1]", JSON, 400), ("POST", "/settings", "{", JSON, 400),
     ("POST", "/settings", '{"temporal": 1e9}', JSON, 400), ("POST", "/settings", '{"else": 1}', JSON, 400),
     ("POST", "/settings", "[" * 9000, JSON, 400),
     ("POST", "/settings", "x" * 20_000, JSON, 413), ("POST", "/x", "{}", JSON, 404), ("GET", "/x", None, {}, 404),
     ("GET", "/", None, {"Host": "evil.example"}, 403), ("DELETE", "/", None, {}, 501)],
)  # fmt: skip
def test_wrong_requests_are_refused(page, method, path, body, headers, status):
    assert ask(page, method, path, body, **headers)[0] == status
    assert page.controls.settings == Settings()


def test_a_page_for_other_machines_needs_its_token():
    output = HttpOutput("0.0.0.0", 0, controls=Controls(Settings()), statistics=Statistics())
    try:
        assert ask(output, "GET", "/status")[0] == 403
        assert ask(output, "GET", "/status?token=wrong")[0] == 403
        assert ask(output, "GET", f"/status?token={output.token}")[0] == 200
    finally:
        output.close()


def test_a_viewer_that_never_reads_holds_up_nobody(page, rng):
    port = int(page.url.split(":")[2].split("/")[0])
    with socket.create_connection(("127.0.0.1", port)) as silent:
        silent.sendall(b"GET /stream.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until(lambda: page.viewers == 1, 10, "no viewer")
        noise = av.VideoFrame.from_ndarray(rng.integers(0, 256, (480, 640, 3), np.uint8), format="rgb24")
        times = []
        for k in range(40):
            began = time.monotonic()
            page.show(noise, k / 30)
            times.append(time.monotonic() - began)
        assert max(times) < 1.0
        reader = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        reader.request("GET", "/stream.mjpg")
        answer = reader.getresponse()
        wait_until(lambda: page.viewers == 2, 10, "no second viewer")
        page.show(noise, 2.0)
        assert b"image/jpeg" in answer.read(200)
        wait_until(lambda: page.viewers <= 1, 20, "the silent viewer is still there")


@pytest.mark.slow
def test_the_page_of_one_session_is_a_source_of_another(page, files, fuser):
    ended = threading.Event()

    def feed():
        while not ended.wait(1 / 25):
            page.show(frame_of(120), time.monotonic())

    threading.Thread(target=feed, daemon=True).start()
    kept, controls = Kept(), Controls(Settings())
    session = session_of(f"{page.url}stream.mjpg", files / "vi.mkv", fuser, kept, controls=controls, timeout=3.0)
    try:
        summary = session.run()
    finally:
        ended.set()
    assert summary.frames == len(kept.frames) > 5


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
