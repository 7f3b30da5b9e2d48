"""Estimates of how long a run takes, reported after the first step and regularly afterwards."""

import time

from fusejax.progress import duration

_STEPS_FOR_ESTIMATE = 10
_SECONDS_BETWEEN_LINES = 30.0


class Pace:
    """Speed and remaining time, from the steps since the last compilation, including evaluations
    and saves.

    Args:
        steps: length of the run in steps.
    """

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._first: tuple[int, float] | None = None
        self._said, self._estimated = 0.0, False

    def begin(self) -> None:
        """Resets the speed, because the next step is the first of another compiled function."""
        self._first, self._estimated = None, False

    def needs_result(self, step: int) -> bool:
        """Whether to wait for the result of `step` before `stepped`.

        The loop runs ahead of the devices, by more than the ten steps of the first estimate. So it
        waits twice after each compilation: for the first step, and for the one of that estimate.
        """
        return self._first is None or self._is_due(step)

    def stepped(self, step: int) -> str | None:
        """Marks the end of a step.

        Returns:
            A line for the user after the first step, an estimate for the whole run after ten more,
            then a line every 30 seconds; otherwise None.
        """
        now = time.monotonic()
        if self._first is None:
            self._first, self._said = (step, now), now
            return f"step {step}/{self._steps}"
        due = self._is_due(step)
        if step >= self._steps or not (due or now - self._said >= _SECONDS_BETWEEN_LINES):
            return None
        self._said, self._estimated = now, self._estimated or due
        seconds = (now - self._first[1]) / (step - self._first[0])
        left = duration(seconds * (self._steps - step))
        return f"step {step}/{self._steps}, {seconds:.3g} s per step, about {left} left"

    def _is_due(self, step: int) -> bool:
        return self._first is not None and not self._estimated and step - self._first[0] >= _STEPS_FOR_ESTIMATE
