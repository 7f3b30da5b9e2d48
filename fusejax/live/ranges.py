"""The infrared range of a live stream, which settles while the scene stays."""

import math

import numpy as np
from jaxtyping import Shaped

from fusejax.inference.thermal import Range, RangeOption, automatic_ranges, full_range

_WIDEN_SECONDS, _NARROW_SECONDS = 0.3, 5.0
_LOOK_SECONDS = 0.2  # a range takes longer to find than to use


class LiveRange:
    """Follows the counts of a raw thermal stream.

    The range of a whole video cannot be known before its end. Here it widens quickly when something
    hotter or colder comes in, so that it is not blown out, and narrows slowly when that leaves, so
    that the scene does not pump. 8-bit streams, and a range that was given, stay as they are.
    """

    def __init__(self, option: RangeOption):
        """Starts without a frame.

        Args:
            option: auto, full, or (LOW, HIGH).
        """
        self._option = option
        self._range: Range | None = None
        self._looked = -math.inf
        self._target: Range | None = None
        self._before = 0.0

    def of(self, ir: Shaped[np.ndarray, "h w 1"], seconds: float) -> Range:
        """The range for one frame.

        Args:
            ir: values of the frame.
            seconds: its time.

        Returns:
            (low, high) in the values of the frame.
        """
        if not isinstance(self._option, str):
            return self._option
        if self._option == "full" or ir.dtype == np.uint8:
            return full_range(ir.dtype)
        if self._target is None or seconds - self._looked >= _LOOK_SECONDS:
            self._target, self._looked = automatic_ranges([ir])[ir.dtype], seconds
        if self._range is None:
            self._range = self._target
        passed, self._before = max(0.0, seconds - self._before), seconds
        low = _follow(self._range[0], self._target[0], passed, outward=self._target[0] < self._range[0])
        high = _follow(self._range[1], self._target[1], passed, outward=self._target[1] > self._range[1])
        self._range = low, high
        return self._range


def _follow(value: float, target: float, passed: float, *, outward: bool) -> float:
    return value + (target - value) * -math.expm1(-passed / (_WIDEN_SECONDS if outward else _NARROW_SECONDS))
