"""The web service gives the bytes of the command, and refuses what it cannot fuse."""

import http.client
import json
import socket
import struct
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from fusing import save_tiny_weights

from fusejax.cli.serve import ServeFlags, serve_options
from fusejax.inference.folder import fuse_folder
from fusejax.inference.loading import load
from fusejax.io.images import write_image
from fusejax.serve.app import ServeOptions, create_app
from fusejax.serve.counts import Counts

pytest.importorskip("fastapi")
pytest.importorskip("python_multipart")
uvicorn = pytest.importorskip("uvicorn")
TOKEN = "a-secret-of-the-tests"


def start(app):
    """A server on loopback, in a thread; returns its port and a function that ends it."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    return server.servers[0].sockets[0].getsockname()[1], lambda: (setattr(server, "should_exit", True), thread.join())


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    return load(save_tiny_weights(tmp_path_factory.mktemp("weights")))


@pytest.fixture(scope="module")
def port(backend):
    options = ServeOptions(most_bytes=2_000_000, most_pixels=200_000, timeout=60.0)
    found, end = start(create_app(backend, options))
    yield found
    end()


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A pair of files, the infrared one with raw counts."""
    root, rng = tmp_path_factory.mktemp("pair"), np.random.default_rng(0)
    counts = (7000 + 900 * cv2.GaussianBlur(rng.random((40, 56)), (0, 0), 3)).astype(np.uint16)
    write_image(root / "ir.png", counts)
    write_image(root / "vi.png", rng.integers(0, 256, (40, 56, 3), np.uint8))
    return root / "ir.png", root / "vi.png"


def body_of(files, fields=()):
    """A multipart form and its type."""
    parts = []
    for name, (filename, data) in files.items():
        head = f'--edge\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n\r\n'
        parts.append(head.encode() + data + b"\r\n")
    for name, value in dict(fields).items():
        parts.append(f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
    return b"".join(parts) + b"--edge--\r\n", {"Content-Type": "multipart/form-data; boundary=edge"}


def ask(port, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    return answer.status, answer.read(), dict(answer.getheaders())


def fuse(port, files, headers=None, **fields):
    body, kind = body_of(files, fields)
    return ask(port, "POST", "/fuse", body, kind | (headers or {}))


def uploads(pair):
    return {"ir": ("thermal.png", pair[0].read_bytes()), "vi": ("photo.png", pair[1].read_bytes())}


@pytest.mark.filterwarnings("ignore:infrared values")
@pytest.mark.parametrize(
    ("fields", "options"),
    [({}, {}), ({"ir_low": 7000, "ir_high": 8000}, {"ir_range": (7000.0, 8000.0)}),
     ({"ir_polarity": "black", "format": "tif"}, {"ir_polarity": "black", "format": "tif"}),
     ({"format": "jpg"}, {"format": "jpg"}), ({"strength": 0.5}, {"strength": 0.5}),
     ({"style": "edges"}, {"style": "edges"})],
)  # fmt: skip
def test_answers_are_the_bytes_of_the_command(port, backend, pair, tmp_path, fields, options):
    status, data, headers = fuse(port, uploads(pair), **fields)
    assert status == 200 and headers["content-type"].startswith("image/")
    suffix = fields.get("format", "png")
    fuse_folder(*pair, tmp_path / f"fused.{suffix}", weights=backend, **options)
    assert data == (tmp_path / f"fused.{suffix}").read_bytes()


def png_of(width, height):
    """A PNG file that says it has that size and holds almost no pixels."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("changed", "fields", "status", "text"),
    [({"ir": ("a.png", png_of(60_000, 60_000))}, {}, 422, "megapixels"),
     ({"ir": ("a.png", png_of(600, 500))}, {}, 413, "ir.png has 600x500 pixels; at most 0.2 megapixels"),
     ({"ir": ("a.mp4", b"ftyp")}, {}, 415, ".mp4 files are not accepted"),
     ({"ir": ("a", b"x")}, {}, 415, "without a suffix"),
     ({"ir": ("../../etc/passwd.png", b"no image")}, {}, 422, "ir.png"),
     ({"vi": ("b.png", png_of(40, 30))}, {}, 422, "vi.png"),
     ({}, {"ir_low": 1}, 422, "both ir_low and ir_high"), ({}, {"ir_low": 5, "ir_high": 5}, 422, "LOW must be below"),
     ({}, {"format": "gif"}, 422, "format"), ({}, {"strength": 9}, 422, "strength")],
)  # fmt: skip
def test_what_cannot_be_fused_is_refused_by_name(port, pair, changed, fields, status, text):
    found, data, _ = fuse(port, uploads(pair) | changed, **fields)
    assert found == status and text in data.decode()
    assert "/tmp" not in data.decode()


def test_a_single_image_needs_its_partner(port, pair):
    status, data, _ = fuse(port, {"ir": uploads(pair)["ir"]})
    assert status == 422 and "ir.png" in data.decode()


def test_large_and_cut_off_requests_are_refused_and_others_are_served(port, pair):
    body, kind = body_of({"ir": ("a.png", bytes(3_000_000))})
    assert ask(port, "POST", "/fuse", body[:1000], kind | {"Content-Length": "2000000000"})[0] == 413
    chunks = iter([body[k : k + 100_000] for k in range(0, len(body), 100_000)])  # no length is stated
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", "/fuse", chunks, kind, encode_chunked=True)
        assert connection.getresponse().status == 413
    except (ConnectionError, http.client.RemoteDisconnected):
        pass  # the server hangs up while the client still sends
    with socket.create_connection(("127.0.0.1", port)) as cut:
        cut.sendall(b"POST /fuse HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n")
        cut.sendall(b"Content-Type: multipart/form-data; boundary=edge\r\n\r\n--edge\r\n")
    assert fuse(port, uploads(pair))[0] == 200
    assert ask(port, "GET", "/health")[0] == 200


@pytest.mark.filterwarnings("ignore:infrared values")
def test_many_clients_get_the_same_bytes(port, pair):
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: fuse(port, uploads(pair)), range(48)))
    assert {status for status, *_ in answers} == {200}
    assert len({data for _, data, _ in answers}) == 1


def test_times_are_counted_in_every_bucket_that_holds_them():
    counts = Counts()
    for status, seconds in ((200, 0.2), (200, 7.0), (413, 0.01)):
        counts.note(status, seconds)
    lines = counts.text().splitlines()
    found = {line.split('"')[1]: int(line.split()[-1]) for line in lines if "_bucket" in line}
    bounds = ("0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "30", "+Inf")
    assert found == dict(zip(bounds, (0, 0, 1, 1, 1, 1, 1, 2, 2, 2), strict=True))
    assert "fusejax_fuse_seconds_sum 7.200000" in lines and "fusejax_fuse_seconds_count 2" in lines
    assert 'fusejax_requests_total{status="413"} 1' in lines


def test_figures_and_description(port, pair):
    fuse(port, uploads(pair))
    text = ask(port, "GET", "/metrics")[1].decode()
    assert 'fusejax_requests_total{status="200"}' in text and "fusejax_fuse_seconds_count" in text
    described = json.loads(ask(port, "GET", "/openapi.json")[1])
    assert set(described["paths"]) == {"/fuse", "/health", "/metrics"}
    assert ask(port, "GET", "/docs")[0] == 404  # would load scripts from other servers
    assert json.loads(ask(port, "GET", "/health")[1])["weights"] == "tiny"
    assert ask(port, "GET", "/health", None, {"Host": "evil.example"})[0] == 400


def test_a_request_that_does_not_arrive_ends_in_time(backend, pair):
    found, end = start(create_app(backend, ServeOptions(token=TOKEN, timeout=1.0)))
    try:
        assert fuse(found, uploads(pair))[0] == 401
        assert fuse(found, uploads(pair), {"Authorization": "Bearer wrong"})[0] == 401
        assert ask(found, "GET", "/health", None, {"Host": "any.example"})[0] == 200
        assert ask(found, "GET", "/metrics")[0] == 401
        with socket.create_connection(("127.0.0.1", found), timeout=20) as slow:
            slow.sendall(b"POST /fuse HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n")
            slow.sendall(f"Authorization: Bearer {TOKEN}\r\n".encode())
            slow.sendall(b"Content-Type: multipart/form-data; boundary=edge\r\n\r\n--edge\r\n")
            assert b" 408 " in slow.recv(1000).splitlines()[0]
    finally:
        end()


def test_more_requests_than_there_is_room_for_are_sent_away(backend, pair):
    released = threading.Event()

    def slow_fuse(*_args, **_options):
        released.wait(20)
        raise ValueError("enough")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fusejax.serve.app.fuse_folder", slow_fuse)
        app = create_app(backend, ServeOptions(queue=1, workers=1))
        found, end = start(app)
        with ThreadPoolExecutor(4) as pool:
            answers = [pool.submit(fuse, found, uploads(pair)) for _ in range(4)]
            while not any(answer.done() for answer in answers):
                time.sleep(0.02)
            assert json.loads(ask(found, "GET", "/health")[1])["status"] == "ok"
            released.set()
            statuses = sorted(answer.result()[0] for answer in answers)
        end()
    assert statuses == [422, 422, 503, 503]


def test_a_pair_that_takes_longer_than_allowed_is_given_up(backend, pair):
    released = threading.Event()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fusejax.serve.app.fuse_folder", lambda *_args, **_options: released.wait(20))
        found, end = start(create_app(backend, ServeOptions(workers=1, timeout=0.3)))
        status, data, _ = fuse(found, uploads(pair))
        released.set()
        end()
    assert status == 504 and "longer than 0.3 s" in data.decode()


@pytest.mark.slow
def test_a_service_that_is_too_slow_for_its_clients_sends_some_away_and_hangs_none(backend, pair):
    def slow_fuse(ir, vi, out, **_options):
        time.sleep(0.4)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(b"fused")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fusejax.serve.app.fuse_folder", slow_fuse)
        found, end = start(create_app(backend, ServeOptions(queue=64, workers=1, timeout=1.5)))

        def timed(_):
            began = time.monotonic()
            status, _, headers = fuse(found, uploads(pair))
            return status, time.monotonic() - began, headers.get("retry-after")

        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(timed, range(36)))
        statuses = [status for status, *_ in answers]
        assert set(statuses) == {200, 503} and 3 <= statuses.count(200) <= 33
        assert max(seconds for _, seconds, _ in answers) < 6  # four time limits; without them, 12 wait for 4.8 s each
        assert {again for status, _, again in answers if status == 503} == {"1"}
        # What waits in vain is not fused later.
        assert timed(0)[0] == 200
        end()


@pytest.mark.parametrize(
    ("wrong", "text"),
    [({"host": "0.0.0.0"}, "FUSEJAX_TOKEN"), ({"host": "0.0.0.0", "token": "short"}, "at least 16"),
     ({"queue": 0}, "--queue is 0"), ({"port": 70_000}, "--port is 70000"), ({"timeout": -1.0}, "--timeout is -1")],
)  # fmt: skip
def test_wrong_options_are_named(monkeypatch, wrong, text):
    monkeypatch.delenv("FUSEJAX_TOKEN", raising=False)
    with pytest.raises(ValueError, match=text):
        serve_options(ServeFlags(**wrong))
    assert serve_options(ServeFlags()).token is None
    monkeypatch.setenv("FUSEJAX_TOKEN", TOKEN)
    assert serve_options(ServeFlags(host="0.0.0.0")).token == TOKEN
