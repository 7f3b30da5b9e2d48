"""The page of a live session: motion JPEG, controls, snapshots and recording, over HTTP."""

import contextlib
import dataclasses
import hmac
import importlib.resources
import json
import secrets
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import cv2

from fusejax.live.controls import SLIDERS, VIEWS, Controls
from fusejax.live.outputs import Recorder
from fusejax.live.statistics import Statistics

if TYPE_CHECKING:
    import av

_VIEWERS = 16
_SECONDS = 5.0  # without progress, after which a viewer is dropped
_LARGEST_BODY = 10_000
_QUALITY = 85
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class HttpOutput:
    """Serves the frames to browsers; a viewer that does not read holds up nobody.

    On loopback, only requests to a loopback name are answered, so that no foreign page can reach it
    through a name of its own. Elsewhere, a random token is part of the address.

    Attributes:
        url: address of the page.
    """

    def __init__(
        self, host: str, port: int, *, controls: Controls, statistics: Statistics, recorder: Recorder | None = None
    ):
        """Starts the server.

        Args:
            host: address to listen on.
            port: port; 0 for any free one.
            controls: settings that the page changes.
            statistics: figures that the page shows.
            recorder: records when the page asks for it.

        Raises:
            OSError: if the port cannot be used; names it.
        """
        self.controls, self.statistics, self.recorder = controls, statistics, recorder
        self.token = "" if host in _LOOPBACK else secrets.token_urlsafe(16)
        self.local, self.viewers = host in _LOOPBACK, 0
        self._frame: Any = None
        self._jpeg, self._number = b"", 0
        self._new = threading.Condition()
        try:
            self._server = ThreadingHTTPServer((host, port), _Handler)
        except OSError as error:
            raise OSError(error.errno, error.strerror, f"--http {host}:{port}") from error
        self._server.daemon_threads = True
        _Handler.outputs[self._server] = self
        bound = self._server.server_address[1]
        self.url = f"http://{host}:{bound}/" + (f"?token={self.token}" if self.token else "")
        threading.Thread(target=self._server.serve_forever, name="page", daemon=True).start()

    def show(self, frame: "av.VideoFrame", seconds: float) -> None:
        """See `fusejax.live.session.Output`."""
        del seconds
        jpeg = b""
        if self.viewers:
            pixels = frame.to_ndarray(format="bgr24")
            jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
        with self._new:
            self._frame, self._jpeg, self._number = frame, jpeg, self._number + 1
            self._new.notify_all()

    def close(self) -> None:
        """Ends the server."""
        self._server.shutdown()
        self._server.server_close()
        _Handler.outputs.pop(self._server, None)

    def status(self) -> dict[str, Any]:
        """What the page shows, as JSON values."""
        return {
            "summary": str(self.statistics.summary(recent=True)),
            "settings": dataclasses.asdict(self.controls.settings),
            "sliders": [dataclasses.asdict(slider) for slider in SLIDERS],
            "views": VIEWS,
            "recording_file": self.recorder.current if self.recorder else None,
        }

    def next_jpeg(self, seen: int) -> tuple[int, bytes]:
        """Waits for a frame that is newer than the one with the given number."""
        with self._new:
            self._new.wait_for(lambda: self._number > seen and self._jpeg, timeout=_SECONDS)
            return self._number, self._jpeg if self._number > seen else b""

    def snapshot(self) -> bytes | None:
        """The latest frame as PNG; None before the first one."""
        frame = self._frame
        if frame is None:
            return None
        return cv2.imencode(".png", frame.to_ndarray(format="bgr24"))[1].tobytes()


class _Handler(BaseHTTPRequestHandler):
    outputs: dict[Any, HttpOutput] = {}  # noqa: RUF012 - one per running server
    protocol_version = "HTTP/1.1"
    timeout = _SECONDS  # of reading a request and of writing to a viewer

    def do_GET(self) -> None:
        """Page, stream, snapshot and status."""
        if (output := self._allowed()) is None:
            return
        path = urlsplit(self.path).path
        if path == "/":
            page = importlib.resources.files("fusejax.live").joinpath("page.html").read_bytes()
            self._answer(page, "text/html; charset=utf-8")
        elif path == "/status":
            self._answer(json.dumps(output.status()).encode(), "application/json")
        elif path == "/snapshot.png":
            data = output.snapshot()
            if data is None:
                self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "there is no frame yet")
            else:
                self._answer(data, "image/png")
        elif path == "/stream.mjpg":
            self._stream(output)
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there are /, /stream.mjpg, /snapshot.png, /status and /settings")

    def do_POST(self) -> None:
        """Settings."""
        if (output := self._allowed()) is None:
            return
        length = self.headers.get("Content-Length", "")
        # A form of a foreign page cannot send this type.
        if self.headers.get_content_type() != "application/json":
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send application/json")
        elif not length.isdigit() or int(length) > _LARGEST_BODY:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "send a small JSON object")
        elif urlsplit(self.path).path != "/settings":
            self._refuse(HTTPStatus.NOT_FOUND, "settings go to /settings")
        else:
            try:
                values = json.loads(self.rfile.read(int(length)))
                if not isinstance(values, dict):
                    raise ValueError("send a JSON object")
                settings = output.controls.change(**values)
            except (ValueError, RecursionError) as error:
                self._refuse(HTTPStatus.BAD_REQUEST, str(error))
                return
            self._answer(json.dumps(dataclasses.asdict(settings)).encode(), "application/json")

    def log_message(self, format: str, *args: Any) -> None:
        """Keeps requests out of the terminal."""

    def _allowed(self) -> HttpOutput | None:
        output = self.outputs.get(self.server)
        if output is None:
            return None
        name = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        given = parse_qs(urlsplit(self.path).query).get("token", [""])[0]
        if (output.local and name not in _LOOPBACK) or not hmac.compare_digest(given.encode(), output.token.encode()):
            self._refuse(HTTPStatus.FORBIDDEN, "use the address that fusejax live printed")
            return None
        return output

    def _stream(self, output: HttpOutput) -> None:
        if output.viewers >= _VIEWERS:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, f"{_VIEWERS} viewers are connected")
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.close_connection = True
        output.viewers += 1
        seen = 0
        try:
            while self.outputs.get(self.server) is output:
                seen, jpeg = output.next_jpeg(seen)
                if jpeg:
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    self.wfile.write(head.encode() + jpeg + b"\r\n")
        except OSError:  # gone, or not reading
            pass
        finally:
            output.viewers -= 1

    def _answer(self, data: bytes, kind: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(data)

    def _refuse(self, status: HTTPStatus, text: str) -> None:
        data = f"{text}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.write(data)
