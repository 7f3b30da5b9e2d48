"""Figures of a service in the text format of Prometheus."""

import statistics
import threading
from collections import Counter, deque

_BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds


_RECENT, _ENOUGH = 64, 16  # pairs of which the usual time is known


class Counts:
    """Requests by status, and how long those took that were fused.

    Attributes:
        waiting: requests that are being answered.
    """

    def __init__(self) -> None:
        """Starts at zero."""
        self._lock = threading.Lock()
        self._statuses: Counter[int] = Counter()
        self._buckets, self._seconds, self._fused = [0] * len(_BOUNDS), 0.0, 0
        self.waiting = 0
        self._recent: deque[float] = deque(maxlen=_RECENT)

    def note(self, status: int, seconds: float) -> None:
        """Adds a request to /fuse.

        Args:
            status: of the answer.
            seconds: from the arrival of the request to the answer.
        """
        with self._lock:
            self._statuses[status] += 1
            if status == 200:
                self._fused += 1
                self._seconds += seconds
                for k, bound in enumerate(_BOUNDS):
                    self._buckets[k] += seconds <= bound

    def note_pair(self, seconds: float) -> None:
        """Adds the time that a worker took, without waiting.

        Args:
            seconds: from begin to end.
        """
        with self._lock:
            self._recent.append(seconds)

    @property
    def pair_seconds(self) -> float:
        """What a worker usually needs for a pair; 0 while too few are known.

        It is a median, since the first pair of a size is slow: the network is compiled for it.
        """
        with self._lock:
            return statistics.median(self._recent) if len(self._recent) >= _ENOUGH else 0.0

    def text(self) -> str:
        """All figures."""
        with self._lock:
            lines = ["# TYPE fusejax_requests_total counter"]
            lines += [f'fusejax_requests_total{{status="{k}"}} {n}' for k, n in sorted(self._statuses.items())]
            lines += ["# TYPE fusejax_waiting gauge", f"fusejax_waiting {self.waiting}"]
            lines.append("# TYPE fusejax_fuse_seconds histogram")
            lines += [
                f'fusejax_fuse_seconds_bucket{{le="{bound:g}"}} {n}'
                for bound, n in zip(_BOUNDS, self._buckets, strict=True)
            ]
            lines.append(f'fusejax_fuse_seconds_bucket{{le="+Inf"}} {self._fused}')
            lines += [f"fusejax_fuse_seconds_sum {self._seconds:.6f}", f"fusejax_fuse_seconds_count {self._fused}"]
        return "\n".join(lines) + "\n"
