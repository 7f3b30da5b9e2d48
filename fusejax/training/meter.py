"""Resource use of a run: time per step, time waiting for data, memory."""

import resource
import statistics
import time

import jax


class Meter:
    """Measures times between log lines.

    Nothing here waits for a device, so the times are those of the loop that feeds it. A device lags
    behind the loop by at most a few steps, so over a window of many steps the means are those of
    the device.
    """

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Restarts the window; call this after anything but training, such as an evaluation."""
        self._start = self._last = time.perf_counter()
        self._waited = 0.0
        self._steps: list[float] = []

    def exclude(self, seconds: float) -> None:
        """Excludes time that has just passed, such as a compilation, from the window."""
        self._start += seconds
        self._last += seconds

    def waited(self, seconds: float) -> None:
        """Adds time spent waiting for a batch."""
        self._waited += seconds

    def stepped(self, steps: int = 1) -> None:
        """Marks the end of a step, or of several steps dispatched together."""
        now = time.perf_counter()
        self._steps += [(now - self._last) / steps] * steps
        self._last = now

    def report(self, batch_size: int) -> dict[str, float]:
        """Returns the figures of the window and restarts it.

        Args:
            batch_size: number of images per step.

        Returns:
            Values for the keys `run_log.COST_KEYS`: images/s, step time (mean and standard
            deviation) in seconds, fraction of time spent waiting for data, memory in GiB.
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
    """Peak memory so far of this process's first device, or of the process if the device shares the
    host's memory.
    """
    stats = jax.local_devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in stats:
        return stats["peak_bytes_in_use"] / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
