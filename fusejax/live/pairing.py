"""Pairing frames of two streams by their time stamps, at equal or unequal rates."""

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar, runtime_checkable


@runtime_checkable
class Timed(Protocol):
    """A frame with the time at which it was taken."""

    @property
    def seconds(self) -> float:
        """Time in seconds."""
        ...


T = TypeVar("T", bound=Timed)
V = TypeVar("V", bound=Timed)


def hold_last(
    ir: Iterable[T], vi: Iterable[V], *, offset: float, bound: float, ahead: float
) -> Iterator[tuple[T | None, V]]:
    """Gives every visible frame the latest infrared frame, which is held until the next one.

    Args:
        ir: infrared frames in the order of their times.
        vi: visible frames in the order of their times.
        offset: seconds to add to the times of the infrared frames.
        bound: seconds for which an infrared frame is held.
        ahead: seconds by which an infrared frame may be later than its visible frame; half the
            shorter interval, so that streams of equal rates are paired one by one, and those of
            a faster infrared camera with the nearest frame.

    Yields:
        The infrared frame, or None where there is none within the bound, and the visible frame.
    """
    rest = iter(ir)
    held: T | None = None
    coming = next(rest, None)
    for visible in vi:
        while coming is not None and coming.seconds + offset <= visible.seconds + ahead:
            held, coming = coming, next(rest, None)
        fits = held is not None and visible.seconds - (held.seconds + offset) <= bound
        yield (held if fits else None), visible


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
