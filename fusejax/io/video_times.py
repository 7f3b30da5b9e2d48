"""When the frames of a video file are shown, and how many there are, from what containers say.

Headers count samples, not frames: an edit list hides some of them, some codecs keep reference
pictures that are never shown, and a clip cut without encoding begins with pictures that cannot be
decoded. Presentation times are missing in AVI with B-frames and in raw streams, and jump back where
recordings were joined.
"""

import dataclasses
import fractions
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from fusejax.io.pyav import VideoError

if TYPE_CHECKING:
    import av

_JOINED_SECONDS = 1.0  # a jump back by more than that is another recording, not a wrong order
_RATE_TOLERANCE = 0.02


@dataclasses.dataclass(frozen=True)
class Survey:
    """What the packets of a stream say.

    Attributes:
        count: number of frames, at least those shown; hidden pictures of some codecs are included.
        rate: frames per second.
        timed: whether packets have presentation times.
    """

    count: int
    rate: fractions.Fraction
    timed: bool


def survey(path: str | os.PathLike, container: Any, stream: Any) -> Survey:
    """Reads all packets of a stream, without decoding them.

    Args:
        path: path of the file, for error messages.
        container: the open file.
        stream: its video stream.

    Raises:
        VideoError: if there are no frames, or if the file ends before its last frame.
    """
    ends = max((entry.pos + entry.size for entry in stream.index_entries), default=0)
    if ends > os.path.getsize(path):
        raise VideoError(f"{path} is truncated: its index reaches to byte {ends}, but it has {os.path.getsize(path)}.")
    raw = container.format.name in ("h264", "hevc", "m4v", "mpegvideo", "obu", "vvc")
    shown = [packet.pts for packet in container.demux(stream) if packet.size > 0 and not packet.is_discard]
    rate = _rate(stream, [pts for pts in shown if pts is not None])
    if not shown or not rate:
        raise VideoError(f"{path} has no frames; copy or export it again.")
    avi = container.format.name == "avi" and bool(stream.codec_context.has_b_frames)
    return Survey(len(shown), rate, timed=not (raw or avi))


def _rate(stream: Any, times: list[int]) -> fractions.Fraction | None:
    """The stated rate that agrees with the times; that of the header is wrong for files that were
    cut, and for B-frames in AVI.
    """
    stated = [fractions.Fraction(rate) for rate in (stream.average_rate, stream.base_rate, stream.guessed_rate) if rate]
    steps = np.diff(np.unique(times))
    if not stated or not len(steps):
        return next(iter(stated), None)
    usual = float(1 / (np.median(steps) * float(stream.time_base)))
    mean = float(1 / (np.mean(steps) * float(stream.time_base)))
    for measured in (mean, usual):
        for rate in stated:
            if abs(rate / measured - 1) <= _RATE_TOLERANCE:
                return rate
    return stated[0]


class Clock:
    """Gives every frame a time that is later than that of the frame before."""

    def __init__(self, rate: fractions.Fraction, *, timed: bool):
        """Starts before the first frame.

        Args:
            rate: frames per second, for frames without a usable time.
            timed: whether the container has presentation times; if not, frames are numbered.
        """
        self._interval, self._timed = float(1 / rate), timed
        self._start, self._last, self._offset = 0.0, -1.0, 0.0

    def place(self, frame: "av.VideoFrame") -> float:
        """Seconds of a frame since the first one; also sets the frame's own time if it is unusable.

        Args:
            frame: decoded frame, in order of presentation.

        Returns:
            0 for the first frame, then increasing.
        """
        time = frame.time if self._timed else None
        if self._last < 0:
            self._start, self._last = time or 0.0, 0.0
            if time is None:
                self._set(frame, 0.0)
            return 0.0
        follows = self._last + self._interval
        seconds = follows if time is None else time - self._start + self._offset
        if seconds <= self._last:
            if self._last - seconds > _JOINED_SECONDS:
                self._offset += follows - seconds
            seconds = follows
        if time is None or seconds != time - self._start:
            self._set(frame, seconds)
        self._last = seconds
        return seconds

    def _set(self, frame: "av.VideoFrame", seconds: float) -> None:
        frame.pts = round((self._start + seconds) / float(frame.time_base or 1))
