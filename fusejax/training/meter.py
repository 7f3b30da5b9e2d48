"""What a run spends: time per step, time waiting for data, memory."""

import resource
import statistics
import time

import jax


class Meter:
    """Times between two log lines.

    Nothing here waits for a device, so times are those of the loop that feeds it. A device runs
    behind the loop by a few steps at most: over a window of many steps the means are the device's.
    """

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forgets the window; to be called after what is not training, such as an evaluation."""
        self._start = self._last = time.perf_counter()
        self._waited = 0.0
        self._steps: list[float] = []

    def exclude(self, seconds: float) -> None:
        """Takes time that has just passed, such as a compilation, out of the window."""
        self._start += seconds
        self._last += seconds

    def waited(self, seconds: float) -> None:
        """Adds time in which the step had no batch."""
        self._waited += seconds

    def stepped(self, steps: int = 1) -> None:
        """Marks the end of a step, or of several that were dispatched together."""
        now = time.perf_counter()
        self._steps += [(now - self._last) / steps] * steps
        self._last = now

    def report(self, batch_size: int) -> dict[str, float]:
        """Figures of the window, which starts again.

        Args:
            batch_size: images of a step.

        Returns:
            The keys of `log_file.COST_KEYS`: images/s, step time (mean and standard deviation) in
            seconds, share of the time spent waiting for data, memory in GiB.
        """
        elapsed, count = time.perf_counter() - self._start, len(self._steps)
        figures = {
            "images_per_second": count * batch_size / elapsed,
            "step_seconds": elapsed / count,
            "step_seconds_spread": statistics.pstdev(self._steps),
            "data_wait_share": self._waited / elapsed,
            "memory_gib": memory_gib(),
        }
        self.restart()
        return figures


def memory_gib() -> float:
    """Peak memory so far of this process's first device; of the process if the device shares the
    host's.
    """
    stats = jax.local_devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in stats:
        return stats["peak_bytes_in_use"] / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
