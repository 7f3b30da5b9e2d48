"""The same work in two libraries, each in a process of its own.

Sharing a process would bias timings through busy threads and warm caches.
"""

import multiprocessing
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple


class Memory(NamedTuple):
    """Resident memory of a process in GiB.

    Attributes:
        before: before the first call, compiled programs included.
        most: most while calls ran.
    """

    before: float
    most: float


def block(call: Callable[[], Any]) -> float:
    """Median seconds of calls that fill 0.3 s, after a pause and one call that is not counted."""
    time.sleep(0.1)
    call()
    times = []
    while sum(times) < 0.3:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


class Worker:
    """A process that makes calls on request.

    Args:
        make: importable function that returns the calls by name.
        *args: its arguments.
    """

    def __init__(self, make: Callable[..., dict[str, Callable[[], Any]]], *args: Any):
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, make, args), daemon=True)
        self._process.start()
        theirs.close()

    def block(self, name: str) -> float:
        """`block` of a call, in the process."""
        return self._ask("block", name)

    def memory(self, name: str) -> Memory:
        """Makes a call three times; call it before other calls of this name."""
        return Memory(*self._ask("memory", name))

    def close(self) -> None:
        """Ends the process, which frees its memory."""
        self._connection.close()
        self._process.join()

    def _ask(self, *question: str) -> Any:
        self._connection.send(question)
        return self._connection.recv()


def _serve(connection: Connection, make: Callable[..., dict[str, Callable[[], Any]]], args: tuple[Any, ...]) -> None:
    calls = make(*args)
    while True:
        try:
            what, name = connection.recv()
        except EOFError:
            return
        connection.send(block(calls[name]) if what == "block" else _memory(calls[name]))


def _memory(call: Callable[[], Any]) -> tuple[float, float]:
    Path("/proc/self/clear_refs").write_text("5")  # the peak becomes what is resident now
    before = _resident("VmRSS")
    for _ in range(3):
        call()
    return before, _resident("VmHWM")


def _resident(which: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        name, value = line.split(":", 1)
        if name == which:
            return int(value.split()[0]) / 2**20
    raise ValueError(f"/proc/self/status has no {which}.")
