"""Live sources: cameras, network streams, and files that are played in real time."""

import dataclasses
import re
import sys
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from fusejax.io.pyav import VideoError, file_url, import_av
from fusejax.io.video import DecodedFrame
from fusejax.io.video_orientation import upright
from fusejax.io.video_times import Clock
from fusejax.live.clock import StreamClock

_STREAM = re.compile(r"(rtsps?|rtmps?|https?|udp|tcp|srt|rtp)://", re.IGNORECASE)
_LATE_SECONDS = 0.25
_FIRST_WAIT, _LONGEST_WAIT = 0.25, 2.0  # seconds between attempts to connect
# No delay for the sake of buffering; RTSP over TCP loses no packets.
_STREAM_OPTIONS = {"fflags": "nobuffer", "flags": "low_delay", "rtsp_transport": "tcp"}


@dataclasses.dataclass(frozen=True)
class Address:
    """Where frames come from.

    Attributes:
        name: as given, for messages.
        url: as FFmpeg opens it.
        format: FFmpeg's name of the device's format; None for files and network streams.
        is_file: whether it is a file, which is played in real time and ends.
    """

    name: str
    url: str
    format: str | None = None
    is_file: bool = False


def parse_source(text: str, *, platform: str = sys.platform) -> Address:
    """Parses `--ir` and `--vi` of `fusejax live`.

    Args:
        text: number of a camera, a device such as /dev/video0, the address of a stream, or a file.
        platform: as in `sys.platform`.

    Returns:
        The address.

    Raises:
        VideoError: if it is none of these.
    """
    if text.isascii() and text.isdigit() and not Path(text).is_file():
        if platform == "darwin":
            return Address(text, text, "avfoundation")
        if platform == "win32":
            raise VideoError(f"cameras have names on Windows, not numbers such as {text}: give video=NAME.")
        return Address(text, f"/dev/video{text}", "v4l2")
    if text.startswith("/dev/video"):
        return Address(text, text, "v4l2")
    if platform == "win32" and text.startswith("video="):
        return Address(text, text, "dshow")
    if Path(text).is_file():
        return Address(text, file_url(text), is_file=True)
    if _STREAM.match(text):
        return Address(text, text)
    raise VideoError(
        f"{text}: no such file; give a file, the number of a camera, /dev/videoN, or the address of a stream "
        "(rtsp://, http://, udp://)."
    )


@dataclasses.dataclass(frozen=True)
class LiveFrame:
    """A frame of a live source.

    Attributes:
        seconds: when it was taken, for pairing.
        due: when it should be shown, by `time.monotonic`; later than `seconds` for files that this
            machine cannot play in real time.
        picture: the decoded frame.
    """

    seconds: float
    due: float
    picture: DecodedFrame


class Playback:
    """The clock by which all files of a session are played.

    Where one of them cannot be decoded in time, the clock waits for it, so that they stay together.
    """

    def __init__(self, start: float):
        """Starts the clock.

        Args:
            start: time of the first frames, by `time.monotonic`.
        """
        self.start, self._delay, self._lock = start, 0.0, threading.Lock()

    def due(self, seconds: float) -> float:
        """When a frame is due that is shown so many seconds after the first one; perhaps now."""
        with self._lock:
            late = time.monotonic() - (self.start + seconds + self._delay)
            if late > _LATE_SECONDS:
                self._delay += late
            return self.start + seconds + self._delay


class Source(threading.Thread):
    """Reads one source in a thread and hands its frames on, connecting again where it breaks.

    Attributes:
        address: where the frames come from.
        frames: number of frames so far.
        breaks: number of times the connection was lost.
        opening: the first frame; only its size and luma may be used.
        opened: set when there is a first frame, or when there will be none.
        ended: whether a file has ended.
        error: why the source cannot be used at all, or was last lost; None if it is connected.
    """

    def __init__(self, address: Address, deliver: Callable[[LiveFrame], None], *, timeout: float):
        """Stores the settings; `start` begins to read.

        Args:
            address: where the frames come from.
            deliver: called with every frame, in this source's thread.
            timeout: seconds without data after which a connection counts as lost.
        """
        super().__init__(name=f"source {address.name}", daemon=True)
        self.address, self._deliver, self._timeout = address, deliver, timeout
        self.frames = self.breaks = 0
        self.ended, self.error = False, None
        self._stopped, self._playing = threading.Event(), threading.Event()
        self._playback = Playback(0.0)
        self.opening: DecodedFrame | None = None
        self.opened = threading.Event()

    def play(self, playback: Playback) -> None:
        """Begins to play a file.

        Args:
            playback: clock of all files.
        """
        self._playback = playback
        self._playing.set()

    def stop(self) -> None:
        """Asks the thread to end."""
        self._stopped.set()
        self._playing.set()

    def run(self) -> None:
        """Reads until `stop` is called, or until a file ends."""
        wait = _FIRST_WAIT
        while not self._stopped.is_set():
            before = self.frames
            try:
                self._read()
                lost = "the stream has ended"
            except (VideoError, OSError, import_av().error.FFmpegError) as error:
                lost = getattr(error, "strerror", None) or str(error)
                if "Immediate exit" in lost:
                    lost = f"no data for {self._timeout:g} s"
            if self.address.is_file:
                self.error = None if lost == "the stream has ended" else f"{self.address.name}: {lost}"
                self.ended = True
                self.opened.set()
                return
            if self._stopped.is_set():
                return
            self.error = f"{self.address.name}: {lost}"
            if self.frames > before:
                self.breaks += 1
                wait = _FIRST_WAIT
            self._stopped.wait(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    def _read(self) -> None:
        address, av = self.address, import_av()
        options = {} if address.is_file or address.format else _STREAM_OPTIONS
        patience = self._timeout, self._timeout
        with av.open(
            address.url, format=address.format, timeout=patience, options=options, metadata_errors="replace"
        ) as container:
            if not container.streams.video or container.streams.video[0].codec_context is None:
                raise VideoError("there is no video in it")
            stream = container.streams.video[0]
            if address.is_file:
                stream.thread_type = "AUTO"  # threads would delay the frames of a camera
            arrival, rate = StreamClock(), stream.guessed_rate or stream.average_rate or Fraction(25)
            avi = container.format.name == "avi" and bool(stream.codec_context.has_b_frames)
            played = Clock(rate, timed=not avi)
            for frame in upright(Path(address.name), container.decode(stream)):
                now, picture = time.monotonic(), DecodedFrame(frame, 0.0)
                self.error = None
                if self.opening is None:
                    self.opening = picture
                    self.opened.set()
                if address.is_file:
                    self._playing.wait()
                    shown = played.place(frame)
                    due = self._playback.due(shown)
                    self._stopped.wait(max(0.0, due - time.monotonic()))
                    seconds = self._playback.start + shown
                else:
                    seconds = due = arrival.place(frame.time, now)
                if self._stopped.is_set():
                    return
                self.frames += 1
                self._deliver(LiveFrame(seconds, due, picture))
