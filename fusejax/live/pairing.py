"""Pairing the frames of two live streams by their time stamps."""

import threading
from collections import deque
from typing import Generic, TypeVar

from fusejax.inference.time_pairing import Timed

_Frame = TypeVar("_Frame")
_MANY = 3  # frames that may wait all the time; more would be shown too late
_BURST = 1.0  # seconds for which more may wait, because the machine was busy with something else


class Waiting(Generic[_Frame]):
    """Visible frames that wait for their turn; for two threads.

    A machine that is busy for a moment catches up, with the next frames shown late. One that is too
    slow would show all frames late, so that frames are dropped then.
    """

    def __init__(self):
        """Starts without frames."""
        self._frames: deque[_Frame] = deque()
        self._behind: float | None = None  # since when frames wait of which there once were more than _MANY
        self._arrived = threading.Condition()

    def put(self, frame: _Frame, now: float) -> int:
        """Adds a frame; the number of frames that were dropped for it, the oldest first.

        Args:
            frame: the latest frame.
            now: seconds of a monotonic clock.
        """
        with self._arrived:
            self._frames.append(frame)
            self._arrived.notify()
            if len(self._frames) <= _MANY:
                return 0
            self._behind = now if self._behind is None else self._behind
            if now - self._behind < _BURST:
                return 0
            late = len(self._frames) - _MANY
            for _ in range(late):
                self._frames.popleft()
            return late

    def take(self, patience: float) -> _Frame | None:
        """The oldest frame; None if there is none within `patience` seconds."""
        with self._arrived:
            if not self._frames:  # all of them have been taken in time
                self._behind = None
            self._arrived.wait_for(lambda: len(self._frames) > 0, timeout=patience)
            return self._frames.popleft() if self._frames else None

    def clear(self) -> None:
        """Forgets all frames."""
        with self._arrived:
            self._frames.clear()
            self._behind = None


class Partners:
    """The latest infrared frames of a live stream; for two threads.

    The rule is that of `hold_last`. The next infrared frame is waited for only if it is due.

    Attributes:
        interval: usual seconds between two frames; 0 until there are two.
    """

    def __init__(self, *, offset: float, bound: float):
        """Starts without frames.

        Args:
            offset: seconds to add to the times of the infrared frames.
            bound: seconds for which an infrared frame is held.
        """
        self.offset, self.bound = offset, bound
        self._frames: deque[Timed] = deque(maxlen=64)
        self.interval = 0.0
        self._arrived = threading.Condition()

    def put(self, frame: Timed) -> None:
        """Adds a frame of the infrared stream."""
        with self._arrived:
            if self._frames:
                step = frame.seconds - self._frames[-1].seconds
                if step <= 0:  # the clock has jumped back
                    self._frames.clear()
                else:
                    self.interval = step if self.interval == 0 else 0.8 * self.interval + 0.2 * step
            self._frames.append(frame)
            self._arrived.notify_all()

    def partner(self, seconds: float, *, ahead: float, patience: float) -> Timed | None:
        """The infrared frame for a visible frame.

        Args:
            seconds: time of the visible frame.
            ahead: see `hold_last`.
            patience: seconds to wait for a frame that is due.

        Returns:
            The frame; None if there is none within the bound.
        """
        with self._arrived:
            self._arrived.wait_for(lambda: not self._is_due(seconds + ahead), timeout=patience)
            latest = seconds + ahead - self.offset
            frames = [frame for frame in self._frames if frame.seconds <= latest]
            if not frames or seconds - (frames[-1].seconds + self.offset) > self.bound:
                return None
            while len(frames) > 1:  # older ones are not needed any more
                frames.pop(0)
                self._frames.popleft()
            return frames[0]

    def _is_due(self, latest: float) -> bool:
        """Whether a later frame is expected not after the given time."""
        if not self._frames:
            return True
        return self._frames[-1].seconds + max(self.interval, 1e-3) + self.offset <= latest
