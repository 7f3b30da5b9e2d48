"""Decoded pairs kept in memory, for small sets and steps that are faster than decoding."""

from collections.abc import Sequence

from fusejax.data.folders import Source
from fusejax.typing import Pair


class KeptInMemory:
    """A random-access source that reads each element of another source once and keeps it.

    A 640x480 pair takes 1.2 MB. Two threads that request the same element at the same time may both
    read it.
    """

    def __init__(self, source: Source):
        self.source = source
        self._kept: dict[int, Pair] = {}

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Pair:
        if index not in self._kept:
            self._kept[index] = self.source[index]
        return self._kept[index]

    @property
    def skipped(self) -> Sequence[str]:
        """One line per pair that the source skipped."""
        return getattr(self.source, "skipped", ())
