"""Counts and latency of a live session, in memory that does not grow."""

import dataclasses

import numpy as np

_LONGEST = 10_000  # milliseconds
_RECENT = 64


@dataclasses.dataclass(frozen=True)
class Summary:
    """What a session did.

    Attributes:
        frames: number of fused frames that were shown.
        fps: frames per second, over the whole session or recently.
        median: milliseconds from capture to display, median; NaN without frames.
        late: the same, 95% of the frames are faster.
        dropped: frames that were not shown, by reason.
    """

    frames: int
    fps: float
    median: float
    late: float
    dropped: dict[str, int]

    def __str__(self) -> str:
        """One line."""
        if not self.frames:
            return f"no frames{self._dropped()}"
        latency = f"latency {self.median:.0f} ms (95%: {self.late:.0f} ms)"
        return f"{self.frames} frames, {self.fps:.1f} frames/s, {latency}{self._dropped()}"

    def _dropped(self) -> str:
        parts = [f"{number} {reason}" for reason, number in self.dropped.items() if number]
        return f"; dropped: {', '.join(parts)}" if parts else "; none dropped"


class Statistics:
    """Collects the time of every frame."""

    def __init__(self) -> None:
        """Starts without frames."""
        self._counts = np.zeros(_LONGEST + 1, np.int64)
        self._shown = np.zeros(_RECENT)
        self._first = self._last = 0.0
        self.frames = 0
        self.dropped: dict[str, int] = {}

    def drop(self, reason: str, number: int = 1) -> None:
        """Counts frames that are not shown."""
        self.dropped[reason] = self.dropped.get(reason, 0) + number

    def show(self, taken: float, shown: float) -> None:
        """Notes a frame.

        Args:
            taken: when it was taken, in seconds.
            shown: when it was handed to all outputs, on the same clock.
        """
        self._counts[min(max(round(1000 * (shown - taken)), 0), _LONGEST)] += 1
        self._shown[self.frames % _RECENT] = shown
        self._first = shown if self.frames == 0 else self._first
        self._last = shown
        self.frames += 1

    def summary(self, *, recent: bool = False) -> Summary:
        """The figures so far.

        Args:
            recent: frames per second over the last frames instead of the whole session.
        """
        span, steps = self._last - self._first, self.frames - 1
        if recent and self.frames > _RECENT:
            span, steps = self._last - self._shown[self.frames % _RECENT], _RECENT - 1
        fps = float(steps / span) if span > 0 else 0.0
        return Summary(self.frames, fps, self._quantile(0.5), self._quantile(0.95), dict(self.dropped))

    def _quantile(self, fraction: float) -> float:
        if self.frames == 0:
            return float("nan")
        return float(np.searchsorted(np.cumsum(self._counts), fraction * self.frames))
