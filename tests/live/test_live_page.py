"""The page of a live session, over HTTP on loopback."""

import http.client
import json
import socket
import threading
import time

import av
import cv2
import numpy as np
import pytest
from live_sessions import Kept, frame_of, session_of, wait_until

from fusejax.io.video import VideoFile
from fusejax.live.controls import Controls, Settings
from fusejax.live.http import HttpOutput
from fusejax.live.outputs import Recorder
from fusejax.live.statistics import Statistics


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
