"""Pairing the frames of two videos by their time stamps, at equal or unequal rates."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar, runtime_checkable

import cv2
import numpy as np
from jaxtyping import Float

from fusejax.inference.frame_sources import Recording
from fusejax.io.pyav import VideoError

_SHRUNK = (32, 24)  # width and height at which motion is measured
_LONGEST_SECONDS = 60.0  # of a video that is searched for motion
_LARGEST_OFFSET = 5.0
_LEAST_CORRELATION = 0.4
_BETTER = 0.02  # by which a larger offset must fit better


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


def find_offset(ir: Recording, vi: Recording) -> float:
    """The time by which infrared frames must be moved, from what moves in both videos.

    The change from frame to frame, averaged over the image, is a curve over time for each video.
    The offset is where the correlation of both curves is largest, within 5 seconds and over the
    first minute. A slow camera, or one that starts later, is found; where nothing moves, nothing
    can be.

    Args:
        ir: infrared video.
        vi: visible video.

    Returns:
        Seconds to add to the times of infrared frames.

    Raises:
        VideoError: if the curves do not resemble each other anywhere.
    """
    curves = [_motion(ir), _motion(vi)]
    step = 1 / max(float(ir.rate), float(vi.rate))
    sampled = []
    for times, values in curves:
        grid = np.arange(0.0, times[-1] if len(times) else 0.0, step)
        sampled.append(np.interp(grid, times, values) if len(grid) else np.zeros(0))
    best = (0.0, 0.0)
    most = round(_LARGEST_OFFSET / step)
    for shift in sorted(range(-most, most + 1), key=abs):  # of equal ones, such as of a pendulum, the smallest
        left, right = sampled[0][max(0, -shift) :], sampled[1][max(0, shift) :]
        length = min(len(left), len(right))
        if length < 1 / step or length < 0.5 * min(len(sampled[0]), len(sampled[1])):
            continue
        left, right = (x[:length] - x[:length].mean() for x in (left, right))
        power = float(np.sqrt((left**2).sum() * (right**2).sum()))
        found = float((left * right).sum()) / power if power > 0 else 0.0
        if found > best[0] + _BETTER:
            best = found, shift * step
    if best[0] < _LEAST_CORRELATION:
        raise VideoError(
            f"{ir.path} and {vi.path}: the motion in both is not alike (correlation {best[0]:.2f}), so the offset "
            "cannot be found; give it as --offset SECONDS."
        )
    return best[1]


def _motion(video: Recording) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Times, and the mean change since the frame before."""
    times, values, before = [], [], None
    for frame in video:
        if frame.seconds > _LONGEST_SECONDS:
            break
        small = cv2.resize(frame.luma(), _SHRUNK, interpolation=cv2.INTER_AREA)
        if before is not None:
            times.append(frame.seconds)
            values.append(float(np.abs(small - before).mean()))
        before = small
    return np.array(times, np.float64), np.array(values, np.float64)
