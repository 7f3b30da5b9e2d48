"""Signals that stop a run: the first one after the current step, the second one immediately."""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator

import jax
from jax.experimental import multihost_utils


class StopRequest:
    """Whether SIGTERM or Ctrl-C has requested a stop.

    With several processes, JAX's own service catches SIGTERM and agrees on a step with the other
    processes; its handler is kept.

    Attributes:
        signaled: True after SIGTERM or Ctrl-C; always False in runs of several processes.
    """

    def __init__(self) -> None:
        self.signaled = False

    def reached(self, step: int) -> bool:
        """Whether the run must stop after this step; the same step on every process."""
        if jax.process_count() > 1:
            return bool(multihost_utils.reached_preemption_sync_point(step))
        return self.signaled

    @contextlib.contextmanager
    def watch(self, say: Callable[[str], None]) -> Iterator[None]:
        """Handles signals while the block runs.

        Python runs its handlers only between two bytecodes of the main thread, which may be inside
        a compilation for a minute. Therefore a thread reads the signals from a socket and responds
        immediately. A second Ctrl-C ends the process without unwinding, because unwinding while XLA
        is running ends in a segmentation fault.

        Args:
            say: prints one line; called from another thread.
        """
        if jax.process_count() > 1 or threading.current_thread() is not threading.main_thread():
            yield
            return
        reading, writing = socket.socketpair()
        writing.setblocking(False)
        watched = (signal.SIGTERM, signal.SIGINT)
        previous = {number: signal.signal(number, self._handle) for number in watched}
        previous_fd = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=_answer, args=(reading, say), daemon=True).start()
        try:
            yield
        finally:
            signal.set_wakeup_fd(previous_fd)
            for number, handler in previous.items():
                signal.signal(number, handler)
            writing.close()  # ends the thread

    def _handle(self, _number: int, _frame: object) -> None:
        self.signaled = True


def _answer(reading: socket.socket, say: Callable[[str], None]) -> None:
    """Announces the stop at the first signal; ends the process at the second."""
    asked = False
    with reading:
        while received := reading.recv(1):
            if received[0] not in (signal.SIGTERM, signal.SIGINT):
                continue
            if asked:
                print("fusejax: stopped immediately, without saving", file=sys.stderr, flush=True)
                os._exit(130)
            asked = True
            say("stopping after this step, then saving; press Ctrl-C again to stop immediately without saving")
