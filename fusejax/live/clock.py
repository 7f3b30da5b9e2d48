"""Time stamps of a stream on this machine's clock."""

import math

_JUMP_SECONDS = 1.0
_DRIFT = 1e-3  # seconds per second by which the clock of a camera may be slow


class StreamClock:
    """Maps a stream's own times to `time.monotonic`.

    A frame cannot arrive before it is taken, so the smallest difference of arrival and stream time
    seen so far is the best estimate of the offset between both clocks: delays of the network only
    ever add to it. The estimate may grow slowly, in case the camera's clock is slow. Where the
    stream's time jumps, it starts anew.
    """

    def __init__(self) -> None:
        """Starts before the first frame."""
        self._offset, self._before = math.inf, -math.inf

    def place(self, seconds: float | None, now: float) -> float:
        """The time of a frame on this machine's clock.

        Args:
            seconds: time of the frame by the stream, in seconds; None if it has none.
            now: time of its arrival, by `time.monotonic`.

        Returns:
            A time that is not later than `now`, and later than that of the frame before.
        """
        if seconds is None:
            seconds = now
        found = now - seconds
        if abs(found - self._offset) > _JUMP_SECONDS:
            self._offset = found
        grown = self._offset + _DRIFT * max(now - self._before, 0.0) if math.isfinite(self._before) else self._offset
        self._offset = min(grown, found)
        self._before = now
        return seconds + self._offset
