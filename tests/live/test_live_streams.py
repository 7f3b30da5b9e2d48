"""Streams that are lost and taken up again; everything stays on loopback."""

import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from live_sessions import Kept, free_port, session_of, wait_until

from fusejax.live.controls import Controls, Settings


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
