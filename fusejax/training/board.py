"""Events for TensorBoard."""

import time
from collections.abc import Callable

import numpy as np
from etils import epath
from jaxtyping import UInt8

_SECONDS_BETWEEN_FLUSHES = 30.0


class Board:
    """Events of a run, written in the caller's thread.

    The thread of tensorboardX's `SummaryWriter` dies if the disk is full, and the run then waits
    forever for space in its queue. Here the first failure is reported and ends the events of this
    process; the run's log continues.

    Args:
        folder: folder for the event file, local or remote; created if needed.
        start: number of steps done before; later steps of an earlier process are hidden.
        report: function that prints one line.
    """

    def __init__(self, folder: epath.Path, *, start: int, report: Callable[[str], None]) -> None:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import SessionLog  # pyright: ignore[reportAttributeAccessIssue] - generated code
        from tensorboardX.record_writer import directory_check

        self._report, self._writer, self._flushed = report, None, time.monotonic()

        def open_file() -> None:
            directory_check(str(folder))
            self._writer = EventsWriter(f"{folder}/events")

        self._attempt(open_file)
        self._add(start, session_log=SessionLog(status=SessionLog.START))

    def scalar(self, name: str, value: float, step: int) -> None:
        """Adds one value."""
        from tensorboardX.summary import scalar

        self._add(step, summary=scalar(name, value))

    def image(self, name: str, image: UInt8[np.ndarray, "h w 3"], step: int) -> None:
        """Adds an 8-bit RGB image."""
        from tensorboardX.summary import image as image_summary

        self._add(step, summary=image_summary(name, image, dataformats="HWC"))

    def close(self) -> None:
        """Writes pending events."""
        if self._writer is not None:
            self._attempt(self._writer.close)

    def _add(self, step: int, **content: object) -> None:
        from tensorboardX.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue] - generated code

        def write() -> None:
            assert self._writer is not None
            self._writer.write_event(Event(wall_time=time.time(), step=step, **content))
            if time.monotonic() - self._flushed > _SECONDS_BETWEEN_FLUSHES:
                self._flushed = time.monotonic()
                self._writer.flush()

        if self._writer is not None:
            self._attempt(write)

    def _attempt(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # the errors of cloud libraries have no common type
            self._writer = None
            self._report(f"TensorBoard events stop here, but the log continues: {type(error).__name__}: {error}")
