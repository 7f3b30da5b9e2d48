"""Live sessions of tests: what they show, their ports, and waiting for them."""

import socket
import time

import av
import numpy as np

from fusejax.live.session import LiveOptions, Session
from fusejax.live.sources import parse_source


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


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def wait_until(condition, seconds, text):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, text
        time.sleep(0.05)


def frame_of(value):
    return av.VideoFrame.from_ndarray(np.full((64, 96, 3), value, np.uint8), format="rgb24")
