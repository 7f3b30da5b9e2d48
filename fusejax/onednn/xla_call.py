"""Python functions as handlers of XLA's foreign function interface, without a compiler.

The handler reports the version of the interface for which `fusejax.onednn.xla_ffi` was written, and
XLA refuses it if that no longer fits.
"""

import atexit
import collections
import ctypes
import itertools
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from fusejax.onednn import xla_ffi


class Job(NamedTuple):
    """What a call has to do.

    Attributes:
        pieces: functions that may run at once, on several of XLA's threads. They should spend their
            time outside Python's lock.
        finish: called once after all of them.
    """

    pieces: list[Callable[[], None]]
    finish: Callable[[], None] | None = None


def register(name: str, plan: Callable[[tuple[int, ...], list[int], list[int]], Job]) -> Any:
    """Makes `plan` a target of `jax.ffi.ffi_call` on CPU.

    Args:
        name: name of the target; its calls have exactly one attribute, an array of int64.
        plan: function of that array, the addresses of the arguments and the addresses of the
            results, which the returned job fills. It runs on several of XLA's threads at once. If
            it or a part of the job raises, the program fails.

    Returns:
        The handler; keep it as long as programs may call it, because XLA stores only its address.
    """

    @xla_ffi.Handler
    def handler(pointer: Any) -> int | None:
        frame = pointer.contents
        if frame.extension and frame.extension.contents.type == xla_ffi.METADATA:
            query = ctypes.cast(frame.extension, ctypes.POINTER(xla_ffi.Query)).contents
            query.metadata.contents.version.major, query.metadata.contents.version.minor = xla_ffi.VERSION
            return None
        _inside.append(None)
        try:
            attribute = frame.attributes.items[0].contents
            args, results = (
                [buffers.items[n].contents.data for n in range(buffers.size)] for buffers in (frame.args, frame.results)
            )
            job = plan(tuple(attribute.data[: attribute.size]), args, results)
            return _Call(name, job, frame.api.contents).run(frame)
        except Exception as error:  # must not propagate through C; XLA raises it again
            return _report(frame.api.contents, name, error)
        finally:
            _inside.pop()

    atexit.register(_finish)
    jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(handler), platform="cpu")
    return handler


def _finish() -> None:
    """Waits at exit until none of XLA's threads runs Python or is about to.

    A thread that wants Python's lock after the end of the interpreter never returns, and XLA, which
    waits for its threads, does not either.
    """
    jax.block_until_ready(jax.live_arrays())
    while _inside or _scheduled:
        time.sleep(0.001)
    time.sleep(0.02)  # for threads that have left `_inside` and are on their way back to XLA


class _Call:
    """One call of a handler.

    XLA may run independent calls one after the other while its other threads are idle, so a call
    offers its pieces to XLA's thread pool. No thread waits for another. The calling thread works on
    pieces too. If other threads are still busy when no piece is left, the call returns a future
    that the last one resolves. Neither several calls at a time nor a pool of one thread can block.
    """

    def __init__(self, name: str, job: Job, api: Any):
        self._name, self._job, self._api = name, job, api
        self._open = collections.deque(job.pieces)
        self._running = len(job.pieces)
        self._lock = threading.Lock()
        self._ended = False
        self._future: int | None = None
        self._error: Exception | None = None

    def run(self, frame: Any) -> int | None:
        """Works, and returns None or the address of an error.

        If another thread is still at work, the future in `frame` announces the end.
        """
        for _ in range(len(self._job.pieces) - 1):
            _schedule(frame, self._work)
        self._work()
        with self._lock:
            if self._ended:
                return self._failure()
            args = xla_ffi.FutureArgs.sized()
            self._api.create_future(ctypes.byref(args))
            self._future = frame.future = args.future
        return None

    def _work(self) -> None:
        while True:
            try:
                piece = self._open.popleft()
            except IndexError:
                return
            self._attempt(piece)
            with self._lock:
                self._running -= 1
                last = self._running == 0
            if last:
                self._end()

    def _end(self) -> None:
        if self._job.finish and not self._error:
            self._attempt(self._job.finish)
        with self._lock:
            self._ended = True
        if self._future is None:
            return
        if self._error:
            self._api.fail_future(ctypes.byref(xla_ffi.FutureErrorArgs.sized(self._future, self._failure())))
        else:
            self._api.complete_future(ctypes.byref(xla_ffi.FutureArgs.sized(self._future)))

    def _attempt(self, part: Callable[[], None]) -> None:
        try:
            part()
        except Exception as error:  # must not propagate through C; XLA raises it again
            self._error = error

    def _failure(self) -> int | None:
        return _report(self._api, self._name, self._error) if self._error else None


def _report(api: Any, name: str, error: Exception) -> int:
    return api.create_error(ctypes.byref(xla_ffi.ErrorArgs.sized(f"{name}: {error}".encode(), xla_ffi.INTERNAL)))


# One entry for each of XLA's threads that runs Python.
_inside: list[None] = []
# Tasks that XLA's threads have not begun, by the number that XLA hands back.
_scheduled: dict[int, Callable[[], None]] = {}
_numbers = itertools.count(1)


def _schedule(frame: Any, task: Callable[[], None]) -> None:
    number = next(_numbers)
    _scheduled[number] = task
    frame.api.contents.schedule(ctypes.byref(xla_ffi.ScheduleArgs.sized(frame.context, _run_scheduled, number)))


@xla_ffi.Task
def _run_scheduled(number: int) -> None:
    _inside.append(None)
    try:
        _scheduled.pop(number)()
    finally:
        _inside.pop()
